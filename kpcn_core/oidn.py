"""Intel Open Image Denoise beside ours, through pyoidn (extra "report")."""

from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from kpcn_core.errors import InvalidPixels
from kpcn_core.extras import extra
from kpcn_core.frame import Frame, Pixels

Image = NDArray[np.float32]  # [H,W,3], contiguous: what OIDN reads


def installed() -> bool:
    """Whether pyoidn can be imported."""
    return find_spec("pyoidn") is not None


def denoise(frame: Frame, *, clean_aux: bool = False, quality: str = "high") -> Frame:
    """The frame with its color denoised by Open Image Denoise, HDR, on the CPU.

    Its network is loaded at the first call and kept. Albedo and normal guide it as far as the frame
    has them; the normal only together with the albedo, as OIDN demands. Not for several threads.

    Args:
        frame: needs "color".
        clean_aux: OIDN's best and slowest mode: denoise albedo and normal first, then tell the
            filter that they are clean.
        quality: "high" or "fast".

    Raises:
        MissingAov: the frame has no color.
        MissingDependency: pyoidn is not installed.
        InvalidPixels: the color has NaN or Inf, or OIDN refuses the images.
    """
    with extra("report"):
        import pyoidn

    _check(frame)
    aux = {aov: _image(frame[aov]) for aov in guides(frame)}
    clean_aux = clean_aux and bool(aux)
    if clean_aux:
        aux = {aov: _prefiltered(aov, image) for aov, image in aux.items()}
    try:
        clean = pyoidn.denoise(
            _image(frame["color"]), **aux, hdr=True, clean_aux=clean_aux, quality=quality
        )
    except RuntimeError as error:
        raise InvalidPixels(f"{frame.label}: Open Image Denoise refuses it: {error}") from error
    return frame.with_aovs(color=np.ascontiguousarray(clean.transpose(2, 0, 1)))


def denoise_images(images: Mapping[str, Tensor], quality: str = "high") -> Tensor:
    """A color denoised where it is: on a CPU, or on a GPU if OIDN has its code for those.

    Args:
        images: "color", and what guides it: "albedo", "normal" [H,W,3], contiguous.
        quality: "high" or "fast".

    Raises:
        MissingDependency: pyoidn is not installed.
        RuntimeError: OIDN cannot use the device.
    """
    with extra("report"):
        import pyoidn

    found: Tensor = pyoidn.denoise(**images, hdr=True, quality=quality)
    return found


def guides(frame: Frame) -> tuple[str, ...]:
    """Which AOVs guide OIDN on this frame."""
    if "albedo" not in frame:
        return ()
    return ("albedo", "normal") if "normal" in frame else ("albedo",)


def _check(frame: Frame) -> None:
    """OIDN would take what is not finite for black, without a word."""
    bad = int((~np.isfinite(frame["color"])).any(axis=0).sum())
    if bad:
        raise InvalidPixels(
            f"{frame.label}: {bad} of {frame['color'][0].size} pixels are NaN or Inf, which Open "
            f"Image Denoise does not handle. Render the frame again."
        )


def _image(pixels: Pixels) -> Image:
    return np.ascontiguousarray(pixels.transpose(1, 2, 0))


def _prefiltered(guide: str, image: Image) -> Image:
    """A guide denoised on its own, which pyoidn's one-call function cannot do."""
    import pyoidn

    device, prefilter = _prefilter(guide)
    clean = np.empty_like(image)
    for name, pixels in ((guide, image), ("output", clean)):
        prefilter.set_image(name, pixels, pyoidn.OIDN_FORMAT_FLOAT3)
    prefilter.set_quality(pyoidn.OIDN_QUALITY_HIGH)
    prefilter.commit()
    prefilter.execute()
    message = device.get_error()
    if message is not None:
        raise InvalidPixels(f"Open Image Denoise refuses the {guide}: {message}.")
    return clean


@cache
def _prefilter(guide: str) -> tuple[Any, Any]:
    """OIDN's device and filter for one guide; made once, as they hold a network."""
    import pyoidn

    device = pyoidn.Device(pyoidn.OIDN_DEVICE_TYPE_CPU)
    device.commit()
    return device, pyoidn.Filter(device, pyoidn.OIDN_FILTER_TYPE_RT)
