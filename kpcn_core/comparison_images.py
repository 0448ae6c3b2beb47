"""Images of a comparison: from files, and denoised on the spot."""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from kpcn_core import exr, oidn
from kpcn_core.comparison import Entry, measured
from kpcn_core.denoiser import Denoiser
from kpcn_core.frame import Frame, Pixels

Result = TypeVar("Result")

# Layer of our files -> what it is, for a person.
MAPS = {"error": "error in the file", "samples": "samples"}


def of_frame(label: str, frame: Frame, reference: Pixels | None) -> Entry:
    """An image as it is, with the maps of its file.

    Raises:
        InvalidPixels: see `metrics.measure`.
    """
    return _entry(label, frame, reference, maps=read_maps(frame.path) if frame.path else {})


def by_oidn(label: str, noisy: Frame, reference: Pixels | None) -> Entry:
    """Denoised by Open Image Denoise; errors as `oidn.denoise` and `of_frame`."""
    clean, seconds = timed(lambda: oidn.denoise(noisy))
    guides = ", ".join(("color", *oidn.guides(noisy)))
    return _entry(f"OIDN of {label} ({guides})", clean, reference, seconds)


def by_asymmetry(
    label: str,
    noisy: Frame,
    reference: Pixels | None,
    values: Sequence[float],
    denoiser: Denoiser,
) -> Iterator[Entry]:
    """Denoised once for each lambda; errors as `Denoiser.denoise` and `of_frame`.

    What does not depend on lambda is computed once, and no seconds are given.
    """
    window = denoiser.window([denoiser.encode(noisy)], 0)
    for value in values:
        clean = denoiser.render(window, asymmetry=value)
        yield _entry(f"kpcn, λ = {value:g}", clean, reference)


def read_maps(path: Path) -> dict[str, Pixels]:
    """What a file of ours says of each pixel beside its AOVs: what it is -> [1,H,W]."""
    layers = exr.contents(path).layers
    found = {name: layers.find(name) for name in MAPS}
    return {
        MAPS[name]: exr.read_channels(path, [layer.scalar])
        for name, layer in found.items()
        if layer is not None and layer.scalar is not None
    }


def timed(work: Callable[[], Result]) -> tuple[Result, float]:
    """What the work gives, and the seconds that it took."""
    start = time.perf_counter()
    return work(), time.perf_counter() - start


def _entry(
    label: str,
    frame: Frame,
    reference: Pixels | None,
    seconds: float | None = None,
    maps: dict[str, Pixels] | None = None,
) -> Entry:
    maps = dict(maps or {})
    if "sample_count" in frame and "samples" in maps:
        maps["samples in all"] = frame["sample_count"]
    if reference is None:
        return Entry(label, frame["color"], seconds, maps=maps)
    return measured(label, frame["color"], reference, seconds, maps)
