"""Depth against scales: what three scales add to networks of few blocks (paper §7.3, Fig. 16).

Each network learns at one scale; then, all of that frozen, Eq. 5's alpha is learned. Both are
measured on the same noisy frames, also after a Gaussian low-pass of the two images that are
compared: what is left then are blotches, which small kernels and shallow networks cannot remove.
Stop it at any time; the same command goes on.

Example:
    python -m training.experiments.scales data runs/scales renders --scenes bathroom staircase2
"""

import argparse
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from kpcn_core import exr, features, weights
from kpcn_core.comparison import markdown
from kpcn_core.denoiser import Denoiser
from kpcn_core.device import choose_device
from kpcn_core.frame import Frame
from kpcn_core.model.network import Network
from training import config as configs
from training.config import TrainingConfig
from training.experiments import plots
from training.experiments.page import PLOT, write_tables
from training.fit import CHECKPOINT, fit
from training.losses import smape
from training.release import averaged_network, read_checkpoint, release
from training.schedule import Budget
from training.signals import stop_requests

# Standard deviation of the low-pass in pixels: what passes is coarser than the kernels.
SIGMA = 4.0
# Ten times more, and alpha was 0 everywhere after 150 steps, where its sigmoid learns no more.
JOIN_RATE = 1e-4


@dataclass(frozen=True)
class Row:
    """One network on one frame.

    Attributes:
        scene: which frame.
        blocks: residual blocks of the trunk.
        scales: of the reconstruction.
        error: SMAPE of the exposed color.
        coarse_error: the same after the low-pass.
    """

    scene: str
    blocks: int
    scales: int
    error: float
    coarse_error: float


def low_pass(image: Tensor, sigma: float = SIGMA) -> Tensor:
    """A Gaussian blur of [B,C,H,W]; borders are extended by their pixels."""
    radius = round(3 * sigma)
    offsets = torch.arange(-radius, radius + 1, dtype=image.dtype)
    line = (-(offsets**2) / (2 * sigma**2)).exp()
    line = (line / line.sum()).expand(image.shape[1], 1, 1, -1)
    padded = functional.pad(image, [radius] * 4, mode="replicate")
    rows = functional.conv2d(padded, line, groups=image.shape[1])
    return functional.conv2d(rows, line.mT, groups=image.shape[1])


def errors(color: Tensor, reference: Tensor) -> tuple[float, float]:
    """SMAPE of colors [1,3,H,W] at the reference's exposure, and that of their low frequencies."""
    gain = features.exposure(reference)
    denoised, wanted = color * gain, reference * gain
    coarse = smape(low_pass(denoised), low_pass(wanted))
    return float(smape(denoised, wanted)), float(coarse)


def single_scale(network: Network) -> Network:
    """The same network without its coarser scales."""
    alone = Network(replace(network.config, scales=1))
    alone.load_state_dict(network.state_dict())
    return alone.eval()


def trained(
    config: TrainingConfig,
    data: Path,
    run: Path,
    steps: tuple[int, int],
    device: torch.device,
    stop: Callable[[], bool],
) -> Network | None:
    """The network after both stages, or None if asked to stop.

    Args:
        config: of the first stage.
        data: folder of a data set.
        run: folder of both stages.
        steps: of each stage.
        device: where to train.
        stop: asked after each step whether to end.
    """
    first = run / "single-frame"
    fit(config, data, first, Budget(steps[0], None), device=device, stop=stop, tell=print)
    if stop():
        return None
    start = run / "single-frame.safetensors"
    release(first / CHECKPOINT, start, "python -m training.experiments.scales")
    second = run / "multi-scale"
    joined = replace(
        config,
        stage="multi-scale",
        run=replace(config.run, start=str(start)),
        optimizer=replace(config.optimizer, rate=JOIN_RATE),
    )
    fit(joined, data, second, Budget(steps[1], None), device=device, stop=stop, tell=print)
    if stop():
        return None
    network = averaged_network(read_checkpoint(second / CHECKPOINT))
    assert isinstance(network, Network)
    weights.save(run / "multi-scale.safetensors", network, {"stage": "multi-scale"})
    return network


def measured(
    networks: Mapping[int, Network],
    frames: Mapping[str, tuple[Frame, Tensor]],
    device: torch.device,
) -> Iterator[Row]:
    """Every network, with and without its coarser scales, on every frame."""
    for scene, (frame, reference) in frames.items():
        yield Row(scene, 0, 0, *errors(_color(frame), reference))
        for blocks, network in networks.items():
            for one in (single_scale(network), network):
                color = _color(Denoiser(one, device).denoise(frame))
                yield Row(scene, blocks, one.config.scales, *errors(color, reference))


def table(rows: Sequence[Row]) -> str:
    """Each depth with one and with three scales, as Markdown; the mean over scenes last."""
    scenes = list(dict.fromkeys(row.scene for row in rows))
    parts = [_scene(scene, [row for row in rows if row.scene == scene]) for scene in scenes]
    return "\n\n".join([*parts, _scene("geometric mean", by_network(rows))])


def by_network(rows: Sequence[Row]) -> list[Row]:
    """Geometric means over the scenes."""
    found: dict[tuple[int, int], list[Row]] = {}
    for row in rows:
        found.setdefault((row.blocks, row.scales), []).append(row)
    return [
        Row("", blocks, scales, _mean(alike, "error"), _mean(alike, "coarse_error"))
        for (blocks, scales), alike in found.items()
    ]


def _mean(rows: Sequence[Row], name: str) -> float:
    return statistics.geometric_mean(getattr(row, name) for row in rows)


def _scene(title: str, rows: Sequence[Row]) -> str:
    heading = [title, "SMAPE, 1 scale", "3 scales", "low-pass SMAPE, 1 scale", "3 scales"]
    noisy = next(row for row in rows if row.scales == 0)
    lines = [["noisy", f"{noisy.error:.4f}", "", f"{noisy.coarse_error:.4f}", ""]]
    for blocks in dict.fromkeys(row.blocks for row in rows if row.scales):
        one, more = sorted((r for r in rows if r.blocks == blocks), key=lambda row: row.scales)
        figures = (one.error, more.error, one.coarse_error, more.coarse_error)
        lines.append([f"{blocks} blocks", *(f"{figure:.4f}" for figure in figures)])
    return markdown([heading, *lines])


def _color(frame: Frame) -> Tensor:
    return torch.from_numpy(frame["color"])[None]


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, measure, print, write."""
    options = _parser().parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    device = choose_device(options.device)
    config = configs.load(options.config)
    frames = {
        scene: (
            exr.read(options.frames / f"{scene}_{options.spp}.exr"),
            _color(exr.read(options.frames / f"{scene}_reference.exr")),
        )
        for scene in options.scenes
    }
    networks = {}
    with stop_requests() as stop:
        for blocks in options.blocks:
            deeper = replace(config, network=replace(config.network, blocks=blocks))
            run = options.output / f"blocks-{blocks}"
            found = trained(deeper, options.data, run, tuple(options.steps), device, stop)
            if found is None:
                print("Stopped. Run the same command again to go on.")
                return
            networks[blocks] = found
    rows = list(measured(networks, frames, device))
    write_tables(options.output, [table(rows)], device)
    plots.draw(options.output / PLOT, *_panels(by_network(rows)))


def _panels(rows: Sequence[Row]) -> list[plots.Panel]:
    """Means over scenes: error over depth, with and without the coarser scales."""
    titles = {"error": "SMAPE", "coarse_error": "SMAPE after the low-pass"}
    return [
        plots.Panel(
            "geometric mean of the scenes",
            ("residual blocks", title),
            {
                f"{scales} scales" if scales > 1 else "1 scale": [
                    (row.blocks, getattr(row, name)) for row in rows if row.scales == scales
                ]
                for scales in sorted({row.scales for row in rows} - {0})
            },
        )
        for name, title in titles.items()
    ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", type=Path, help="a data set of `kpcn-train render`")
    parser.add_argument("output", type=Path, help="folder of the runs and the table")
    parser.add_argument("frames", type=Path, help="holds SCENE_SPP.exr and SCENE_reference.exr")
    parser.add_argument("--scenes", nargs="+", required=True)
    parser.add_argument("--spp", type=int, default=8)
    parser.add_argument("--config", default="shallow")
    parser.add_argument("--blocks", nargs="+", type=int, default=[1, 2, 4])
    parser.add_argument("--steps", nargs=2, type=int, default=[900, 150], help="of both stages")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int)
    return parser


if __name__ == "__main__":
    main()
