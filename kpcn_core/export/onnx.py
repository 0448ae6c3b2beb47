"""ONNX for Houdini's ONNX COP, and for whatever else runs ONNX: an image an input, of one size."""

import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from kpcn_core.atomic import replaced
from kpcn_core.export.inputs import COLORS, Input, inputs, prepared
from kpcn_core.export.single_frame import SingleFrame
from kpcn_core.extras import extra
from kpcn_core.model.specialization import MAX_ASYMMETRY

with extra("export"):
    import onnx

OPSET = 17  # of 2022: old enough for the runtimes that programs ship
ASYMMETRY = "asymmetry"
OUTPUTS = ("denoised", "invalid")


class OnnxDenoiser(nn.Module):
    """The denoiser with an argument for each AOV, and λ as the last.

    Args:
        frame: the network.
        wanted: what its encoder needs.
        bottom_up: whether the first row of an image is its lowest, as in Houdini.
    """

    def __init__(self, frame: SingleFrame, wanted: list[Input], bottom_up: bool = False) -> None:
        super().__init__()
        self.frame = frame
        self.wanted = wanted
        self.bottom_up = bottom_up

    @classmethod
    def load(cls, model: str, encoder: str, bottom_up: bool = False) -> "OnnxDenoiser":
        """By the name or the file of a network; errors as of `SingleFrame.load`."""
        frame = SingleFrame.load(model, encoder)
        return cls(frame, inputs(frame.planes), bottom_up)

    @property
    def names(self) -> list[str]:
        """Of the arguments."""
        return [*(one.aov for one in self.wanted), ASYMMETRY]

    def forward(self, *images: Tensor) -> tuple[Tensor, Tensor]:
        """AOVs [1,3,H,W] and λ [1,1,H,W] -> color [1,3,H,W], and a mask [1,1,H,W].

        λ is clamped to 1 to 10, NaN is 1. The mask is 1 where an input was NaN or Inf.
        """
        *aovs, asymmetry = (self.turned(image) for image in images)
        slope = torch.nan_to_num(asymmetry, nan=1.0).clamp(1.0, MAX_ASYMMETRY).log()
        named = dict(zip(self.names, aovs, strict=False))
        color, invalid = self.frame(prepared(named, self.wanted), slope)
        return self.turned(color), self.turned(invalid)

    def turned(self, image: Tensor) -> Tensor:
        """Rows in the network's order, or back."""
        return image.flip(2) if self.bottom_up else image

    def example(self, height: int, width: int) -> tuple[Tensor, ...]:
        """Arguments of the right shapes."""
        sizes = [COLORS] * len(self.wanted) + [1]
        return tuple(torch.ones(1, channels, height, width) for channels in sizes)


def save(
    path: Path,
    module: OnnxDenoiser,
    height: int,
    width: int,
    about: Mapping[str, str],
    overwrite: bool,
) -> None:
    """Write a module for images of one size, with what to know of it as metadata; atomic.

    Raises:
        UnwritableFile: see `atomic.replaced`.
    """
    with replaced(path, overwrite) as temporary:
        with warnings.catch_warnings():
            # Its successor needs a newer opset and further packages.
            warnings.filterwarnings("ignore", category=DeprecationWarning)
            # Sizes are fixed, so that what tracing takes for constants is one.
            warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)  # type: ignore[attr-defined]
            warnings.filterwarnings("ignore", "Constant folding", UserWarning)
            torch.onnx.export(
                module.eval(),
                module.example(height, width),
                str(temporary),
                input_names=module.names,
                output_names=list(OUTPUTS),
                opset_version=OPSET,
                dynamo=False,
            )
        model = onnx.load(temporary)
        onnx.helper.set_model_props(model, dict(about))
        onnx.checker.check_model(model)
        onnx.save(model, temporary)
