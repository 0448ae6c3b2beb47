"""Small networks with random kernels, for tests."""

import torch

from kpcn_core.model.config import ModelConfig
from kpcn_core.model.network import Network


def random_network(fold: int = 1, kernel: int = 5, seed: int = 0) -> Network:
    """Two blocks of eight channels, whose kernels are far from uniform."""
    torch.manual_seed(seed)
    network = Network(ModelConfig(channels=8, blocks=2, kernel=kernel, fold=fold))
    torch.nn.init.normal_(network.kernels.logits.weight)
    return network.eval()
