"""The ways of denoising that `benchmarks.quality` measures beside each other."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

import kpcn_core
from kpcn_core import exr, oidn
from kpcn_core.denoiser import Denoiser
from kpcn_core.frame import Frame, Pixels
from kpcn_core.provenance import weights_name
from kpcn_core.sequence_denoiser import SequenceDenoiser
from kpcn_core.settings import HIGH, NORMAL, Settings

NOISY = "noisy"
PEER = "OIDN high"
BETTER = ", high quality"  # behind a network's name
WINDOWS = (1, 3, 5, 7)
REACH = max(WINDOWS) // 2
PACKAGE = Path(kpcn_core.__file__).parent
CODE = (
    "model/*.py", "ops/*.py", "features*.py", "inference.py", "prepared.py", "composite.py",
    "brightness.py", "restoration.py", "structure.py", "half_turn.py", "encoded.py",
    "denoiser.py", "sequence_denoiser.py", "tiling.py", "region.py", "metrics.py",
)  # fmt: skip


@dataclass(frozen=True)
class Method:
    """A way of denoising.

    Attributes:
        run: frame in, frame out.
        identity: names everything but the frame that its result depends on.
    """

    run: Callable[[Frame], Frame]
    identity: str


@dataclass(frozen=True)
class ShotMethod:
    """A way of denoising a shot.

    Attributes:
        run: the files of a shot -> the colors of its frames that have a whole window.
        identity: as of `Method`.
    """

    run: Callable[[Sequence[Path]], list[Pixels]]
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
    """Our networks: each by itself, in high quality, with each lambda, and with each encoder.

    Args:
        models: names or paths of weights.
        asymmetries: values of lambda beside 1.
        encoders: names beside the one that is chosen by what a frame has.
        device: where to compute.
    """
    found: dict[str, Method] = {}
    for label, name, denoiser in _loaded(models, device):
        variants: dict[str, Callable[[Frame], Frame]] = {
            "": denoiser.denoise,
            BETTER: partial(denoiser.denoise, quality=HIGH),
            **{f", λ = {one:g}": partial(denoiser.denoise, asymmetry=one) for one in asymmetries},
            **{f", encoder {one}": partial(denoiser.denoise, encoder=one) for one in encoders},
        }
        found |= {label + end: Method(run, name + end) for end, run in variants.items()}
    return found


def shot_methods(
    models: Sequence[str], asymmetries: Sequence[float], device: str
) -> dict[str, ShotMethod]:
    """The noisy shot, the peer's frames, and our windows; first and last also as in `ours`.

    Arguments as of `ours`.
    """
    found = {
        NOISY: ShotMethod(_each(lambda frame: frame), NOISY),
        PEER: ShotMethod(_each(oidn.denoise), f"{PEER} {version('pyoidn')}"),
    }
    for label, name, denoiser in _loaded(models, device):
        for window in WINDOWS:
            plain = f", window {window}"
            runs = {plain: partial(_windowed, denoiser, window)}
            if window in (WINDOWS[0], WINDOWS[-1]):
                runs[plain + BETTER] = partial(_windowed, denoiser, window, quality=HIGH)
                for slope in asymmetries:
                    run = partial(_windowed, denoiser, window, slope=slope)
                    runs[f"{plain}, λ = {slope:g}"] = run
            found |= {label + end: ShotMethod(run, name + end) for end, run in runs.items()}
    return found


def middle(paths: Sequence[Path]) -> range:
    """The frames of a shot that have a whole window of the largest size."""
    return range(REACH, len(paths) - REACH)


def _windowed(
    denoiser: Denoiser,
    window: int,
    paths: Sequence[Path],
    slope: float = 1.0,
    quality: str = NORMAL,
) -> list[Pixels]:
    reach, settings = window // 2, Settings(quality=quality)
    sequence = SequenceDenoiser(denoiser, paths, exr.read, reach, reach, settings)
    return [sequence.denoise(index, slope)["color"] for index in middle(paths)]


def _each(run: Callable[[Frame], Frame]) -> Callable[[Sequence[Path]], list[Pixels]]:
    def images(paths: Sequence[Path]) -> list[Pixels]:
        return [run(exr.read(paths[index]))["color"] for index in middle(paths)]

    return images


def _loaded(models: Iterable[str], device: str) -> Iterator[tuple[str, str, Denoiser]]:
    """What a table calls each network, what a cache does, and the network."""
    for model in models:
        name = weights_name(model)
        label = f"kpcn {name.partition(',')[0]}"
        yield label, f"{name}, code {_code()}", Denoiser.load(model, device)


def _code() -> str:
    """A hash of our code as far as it makes pixels; without what only commands and hosts need."""
    found = hashlib.sha256()
    for pattern in CODE:
        for path in sorted(PACKAGE.glob(pattern)):
            found.update(path.read_bytes())
    return found.hexdigest()[:12]
