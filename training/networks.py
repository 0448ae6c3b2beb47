"""The network that a stage of training is about, and the parts of it that the stage trains."""

from torch import nn

from kpcn_core.model.network import Network
from training.baselines import DirectNetwork, RecurrentDirectNetwork
from training.config import TrainingConfig

BASELINES = {"direct": DirectNetwork, "recurrent-direct": RecurrentDirectNetwork}


def network_of(config: TrainingConfig) -> Network | DirectNetwork:
    """The network of a stage, with its first weights."""
    return BASELINES.get(config.stage, Network)(config.network)


def trained_parts(network: Network | DirectNetwork, config: TrainingConfig) -> list[nn.Module]:
    """The modules that a stage trains; of an adaptation, the encoders that get batches.

    A U-Net predicts how its scales are joined, so all of its scales are trained at once.
    """
    if isinstance(network, RecurrentDirectNetwork):
        return [network.combiner, network.colors]
    if isinstance(network, DirectNetwork):
        return [network]
    stage = config.stage
    if stage == "adaptation":
        return [network.encoders[name] for name in trained_encoders(config)]
    if stage == "single-frame":
        return [network.encoders, network.trunk, network.centre]
    if stage == "multi-scale":
        assert network.alpha is not None
        return [network.alpha]
    if stage == "temporal":
        return [network.temporal, network.other]
    return [network.specialization]


def trained_encoders(config: TrainingConfig) -> list[str]:
    """Names of the encoders that get batches; the first is the one to validate with."""
    return [name for name in config.network.encoders if config.batches.share(name) > 0]


def trained_planes(config: TrainingConfig) -> dict[str, tuple[str, ...]]:
    """The same with the planes that they read."""
    return {name: config.network.encoders[name] for name in trained_encoders(config)}
