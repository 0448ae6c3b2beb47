"""The ways of denoising that `benchmarks.quality` measures beside each other."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version

from kpcn_core import oidn
from kpcn_core.denoiser import Denoiser
from kpcn_core.frame import Frame
from kpcn_core.provenance import weights_name

PEER = "OIDN high"


@dataclass(frozen=True)
class Method:
    """A way of denoising.

    Attributes:
        run: frame in, frame out.
        identity: names everything but the frame that its result depends on.
    """

    run: Callable[[Frame], Frame]
    identity: str


def peers() -> dict[str, Method]:
    """Open Image Denoise in its modes."""
    modes: dict[str, Callable[[Frame], Frame]] = {
        "OIDN fast": partial(oidn.denoise, quality="fast"),
        PEER: oidn.denoise,
        "OIDN high, prefiltered + cleanAux": partial(oidn.denoise, clean_aux=True),
    }
    release = version("pyoidn")
    return {name: Method(run, f"{name} {release}") for name, run in modes.items()}


def ours(
    models: Sequence[str], asymmetries: Sequence[float], encoders: Sequence[str], device: str
) -> dict[str, Method]:
    """Our networks: each by itself, with each lambda, and with each encoder.

    Args:
        models: names or paths of weights.
        asymmetries: values of lambda beside 1.
        encoders: names beside the one that is chosen by what a frame has.
        device: where to compute.
    """
    return dict(_each(models, asymmetries, encoders, device))


def _each(
    models: Sequence[str], asymmetries: Sequence[float], encoders: Sequence[str], device: str
) -> list[tuple[str, Method]]:
    found = []
    for model in models:
        denoiser = Denoiser.load(model, device)
        name = weights_name(model)
        label = f"kpcn {name.partition(',')[0]}"
        variants: Mapping[str, Callable[[Frame], Frame]] = {
            "": denoiser.denoise,
            **{f", λ = {one:g}": partial(denoiser.denoise, asymmetry=one) for one in asymmetries},
            **{f", encoder {one}": partial(denoiser.denoise, encoder=one) for one in encoders},
        }
        found += [(label + end, Method(run, name + end)) for end, run in variants.items()]
    return found
