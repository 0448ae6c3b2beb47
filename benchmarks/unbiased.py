"""Is `kpcn render` unbiased? Its mean beside Mitsuba's own `path` integrator (docs/rendering.md).

For each scene: one render of ours, several of Mitsuba's at as many samples with other seeds, and
z = (ours - Mitsuba's) / sqrt(variance of ours + variance of Mitsuba's). Ours predicts its variance
itself, Mitsuba's is the spread of its renders. The noise of path tracing has heavy tails, so that
the mean of a pixel's few hundred samples is far from normal; z is of averages over blocks of
pixels, for which the central limit theorem holds better. If neither is biased, z has mean 0 and
deviation 1, and 0.3 % of it lies beyond 3. A reference that lies beside the scene is compared too.

Example:
    python -m benchmarks.unbiased bathroom/scene.xml -D resx=320 -D resy=180 --spp 128
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks import provenance
from kpcn_core import exr
from kpcn_core.atomic import check_writable, replaced
from kpcn_core.comparison import markdown
from kpcn_core.frame import Frame
from kpcn_core.layer import Channel
from kpcn_core.renderers.mitsuba import MitsubaRenderer, description, mi

OUTPUT = Path(__file__).with_name("unbiased.json")
PACKAGES = ("mitsuba", "drjit", "numpy")
STOCK_SEED = 10_000
REFERENCE = "reference.exr"

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """Averages over blocks [3,h,w], and the variance of each."""

    mean: Floats
    variance: Floats


@dataclass(frozen=True)
class Agreement:
    """How two estimates of a scene differ, in standard errors.

    Attributes:
        scene: its name.
        against: what ours is compared with.
        samples: samples per pixel of ours.
        number: of z: blocks times channels.
        mean_z: 0 if unbiased, give or take sqrt(3 / number), as channels vary together.
        std_z: 1 if the variances are right.
        beyond_3: share of |z| > 3.
        difference: of the image means, relative to the other's, per channel.
        difference_z: the same in standard errors.
    """

    scene: str
    against: str
    samples: int
    number: int
    mean_z: float
    std_z: float
    beyond_3: float
    difference: tuple[float, ...]
    difference_z: tuple[float, ...]


def blocks(image: Floats, size: int) -> Floats:
    """Averages [...,h,w] over size x size pixels; incomplete blocks at the ends are left out."""
    *rest, height, width = image.shape
    h, w = height // size, width // size
    cut = image[..., : h * size, : w * size].reshape(*rest, h, size, w, size)
    averages: Floats = cut.mean(axis=(-3, -1))
    return averages


def of_frame(frame: Frame, size: int) -> Estimate:
    """Blocks of a frame; its pixels are independent, so variances of a sum add up."""
    color, variance = (frame[aov].astype(np.float64) for aov in ("color", "color_mse"))
    return Estimate(blocks(color, size), blocks(variance, size) / size**2)


def of_renders(renders: Floats, size: int) -> Estimate:
    """Blocks of independent renders [N,3,H,W] of the same scene."""
    found = blocks(renders, size)
    return Estimate(found.mean(axis=0), found.var(axis=0, ddof=1) / len(found))


def of_reference(path: Path, size: int) -> Estimate:
    """Blocks of an EXR with a mean in R,G,B and its variance in mse.R,G,B."""
    names = [Channel(0, f"{layer}{channel}") for layer in ("", "mse.") for channel in "RGB"]
    pixels = exr.read_channels(path, names).astype(np.float64)
    return Estimate(blocks(pixels[:3], size), blocks(pixels[3:], size) / size**2)


def agreement(ours: Estimate, other: Estimate, scene: str, against: str, samples: int) -> Agreement:
    """Compare two independent estimates."""
    variance = ours.variance + other.variance
    difference = ours.mean - other.mean
    seen = variance > 0
    z = difference[seen] / np.sqrt(variance[seen])
    whole = difference.mean(axis=(1, 2))
    error = np.sqrt(variance.sum(axis=(1, 2))) / variance[0].size
    return Agreement(
        scene, against, samples, z.size, float(z.mean()), float(z.std()),
        float((np.abs(z) > 3).mean()),
        tuple((whole / other.mean.mean(axis=(1, 2))).tolist()),
        tuple((whole / error).tolist()),
    )  # fmt: skip


def stock(path: Path, parameters: Mapping[str, str], spp: int, renders: int) -> Floats:
    """Mitsuba's own renders [N,3,H,W] by the scene's integrator, with seeds of their own."""
    scene = mi.load_file(str(path), **parameters)
    images = [
        np.array(mi.render(scene, spp=spp, seed=STOCK_SEED + i), np.float64)[..., :3]
        for i in range(renders)
    ]
    return np.stack(images).transpose(0, 3, 1, 2)


def measured(path: Path, options: argparse.Namespace) -> Iterator[Agreement]:
    """Ours beside Mitsuba's renders, and beside the reference if there is one with the scene."""
    parameters = dict(options.parameters)
    frame = MitsubaRenderer.from_file(path, parameters).render(options.spp, options.seed).frame()
    ours = of_frame(frame, options.block)
    name = path.parent.name if path.stem == "scene" else path.stem
    renders = stock(path, parameters, options.spp, options.renders)
    label = f"Mitsuba, {options.renders} x {options.spp} spp"
    yield agreement(ours, of_renders(renders, options.block), name, label, options.spp)
    reference = path.with_name(REFERENCE)
    if not reference.is_file():
        return
    other = of_reference(reference, options.block)
    if other.mean.shape == ours.mean.shape:
        yield agreement(ours, other, name, REFERENCE, options.spp)
    else:
        print(f"{name}: {REFERENCE} is of another size, and left out.")


def table(found: Sequence[Agreement]) -> list[list[str]]:
    """Rows for people."""
    heading = [
        "scene", "ours against", "z of", "mean z", "std z", "beyond 3",
        "image means: R, G, B", "in standard errors",
    ]  # fmt: skip
    lines = [
        [
            each.scene, each.against, str(each.number), f"{each.mean_z:+.3f}", f"{each.std_z:.3f}",
            f"{each.beyond_3:.2%}",
            ", ".join(f"{value:+.3%}" for value in each.difference),
            ", ".join(f"{value:+.2f}" for value in each.difference_z),
        ]
        for each in found
    ]  # fmt: skip
    return [heading, *lines]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    options = _parser().parse_args(arguments)
    check_writable(options.json, overwrite=True)
    found = []
    for path in options.scenes:
        found += list(measured(path, options))
        print(markdown(table(found)), end="\n\n", flush=True)
    origin = provenance.collect("benchmarks.unbiased", _device(), PACKAGES)
    origin["renderer"] = description()
    record: dict[str, Any] = {
        "provenance": origin,
        "block": options.block,
        "agreements": [asdict(each) for each in found],
    }
    with replaced(options.json, overwrite=True) as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def _device() -> torch.device:
    return torch.device("cuda" if mi.variant().startswith("cuda") else "cpu")


def _parameter(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"'{text}' must be NAME=VALUE")
    return name, value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("scenes", type=Path, nargs="+", help="scenes in Mitsuba's XML format")
    parser.add_argument("-D", dest="parameters", type=_parameter, action="append", default=[])
    parser.add_argument("--spp", type=int, default=128)
    parser.add_argument("--seed", type=int, default=0, help="of ours")
    parser.add_argument("--renders", type=int, default=8, help="how many of Mitsuba's own")
    parser.add_argument("--block", type=int, default=20, help="width of a block in pixels")
    parser.add_argument("--json", type=Path, default=OUTPUT)
    return parser


if __name__ == "__main__":
    main()
