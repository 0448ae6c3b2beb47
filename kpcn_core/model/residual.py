"""Feature extractor of residual blocks (paper §3.1, right half of Fig. 2)."""

from torch import Tensor, nn
from torch.nn import functional


class ResidualBlock(nn.Module):
    """ReLU, convolution, ReLU, convolution, bypassed by a skip connection."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        """Features [B,C,H,W] -> [B,C,H,W]."""
        inner = self.first(functional.relu(features))
        skipped: Tensor = features + self.second(functional.relu(inner))
        return skipped


class ResidualStack(nn.Sequential):
    """A chain of residual blocks."""

    def __init__(self, channels: int, blocks: int) -> None:
        super().__init__(*(ResidualBlock(channels) for _ in range(blocks)))

    def start_as_identity(self) -> None:
        """Change nothing yet: what a longer stack goes on from stays as good as it is."""
        for block in self.children():
            assert isinstance(block, ResidualBlock)
            nn.init.zeros_(block.second.weight)
