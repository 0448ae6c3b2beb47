"""The pictures of docs/ and README, made again from our own scenes with the weights that ship.

Renders are kept in a folder of their own; only what depends on the weights is done again.

Example:
    python -m benchmarks.figures
    python -m benchmarks.figures lambda windows --model runs/new.safetensors
"""

import argparse
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image, ImageDraw

from benchmarks import strip
from benchmarks.strip import Cell, Square
from kpcn_core import adaptive, exr, metrics, picture
from kpcn_core.atomic import replaced
from kpcn_core.denoiser import Denoiser
from kpcn_core.frame import Frame, Pixels
from kpcn_core.renderers.mitsuba import MitsubaRenderer
from kpcn_core.report.layers import scale_top
from kpcn_core.sequence_denoiser import SequenceDenoiser
from kpcn_core.settings import DEFAULT_MODEL
from training.renderers.mitsuba import scenes
from training.scenes import SIZE

ROOT = Path(__file__).parent.parent
EXAMPLES, FOLDER = ROOT / "examples", ROOT / "docs" / "figures"
RENDERS = ROOT / "runs" / "figures"
CENTRE = 3  # index of the frame that has a reference
LARGE = {"resx": "640", "resy": "360"}
SMALL = {"resx": "320", "resy": "180"}
ASYMMETRIES = (1.0, 2.0, 4.0, 10.0)
WINDOWS = (1, 3, 7)
TEXTURE, METAL = Square(40, 0, 60, 3), Square(92, 40, 60, 3)
SEEDS = (1000, 1004, 1011, 1012, 1014, 1022, 1034, 1039)
QUALITY = 85
# What a source gives without the rest -> for the figure of AOVs.
SETS = {
    "color": ("color",),
    "+ albedo, normal": ("color", "albedo", "normal"),
    "+ diffuse, specular": ("color", "albedo", "normal", "diffuse", "specular"),
}


@dataclass(frozen=True)
class Figures:
    """Makes them.

    Attributes:
        model: weights.
        renders: folder of what Mitsuba rendered.
    """

    model: str
    renders: Path

    @cached_property
    def denoiser(self) -> Denoiser:
        """With the weights."""
        return Denoiser.load(self.model)

    @cached_property
    def noisy(self) -> list[Frame]:
        """The example sequence."""
        return [exr.read(path) for path in sorted(EXAMPLES.glob("noisy.*.exr"))]

    @cached_property
    def reference(self) -> Pixels:
        """Of its frame in the middle."""
        return exr.read(EXAMPLES / "reference.0004.exr")["color"]

    @cached_property
    def gain(self) -> float:
        """The exposure of all pictures of it."""
        return picture.exposure(self.reference)

    def before_after(self) -> Image.Image:
        """README: half of a frame as rendered, half denoised with a window of 7."""
        paths = [self._large(number) for number in range(1, 8)]
        noisy = exr.read(paths[CENTRE])["color"]
        clean = SequenceDenoiser(self.denoiser, paths, exr.read).denoise(CENTRE)["color"]
        gain, middle = picture.exposure(clean), noisy.shape[-1] // 2
        split = np.concatenate([noisy[..., :middle], clean[..., middle:]], axis=-1)
        image = picture.shown(split, gain)
        ImageDraw.Draw(image).line([(middle, 0), (middle, image.height)], (240, 160, 32), 2)
        return image

    def asymmetry(self) -> Image.Image:
        """What lambda does."""
        noisy = self.noisy[CENTRE]
        window = self.denoiser.window([self.denoiser.encode(noisy)], 0)
        clean = {
            f"asymmetry {value:g}": self.denoiser.render(window, asymmetry=value)["color"]
            for value in ASYMMETRIES
        }
        return self._crops({"16 spp": noisy["color"], **clean, "4096 spp": self.reference})

    def windows(self) -> Image.Image:
        """What the frames around do."""
        paths = [frame.path for frame in self.noisy if frame.path]
        clean = {}
        for size in WINDOWS:
            shot = SequenceDenoiser(self.denoiser, paths, exr.read, size // 2, size // 2)
            clean[f"window {size}"] = shot.denoise(CENTRE)["color"]
        noisy = self.noisy[CENTRE]["color"]
        return self._crops({"16 spp": noisy, **clean, "4096 spp": self.reference})

    def mask(self) -> Image.Image:
        """A painted mask, and lambda only there."""
        noisy = self.noisy[CENTRE]
        height, width = noisy.size
        y, x = np.mgrid[0:height, 0:width]
        # A soft brush over the plant and its pot.
        distance = np.hypot((x - 54) / 24, (y - 62) / 34)
        mask = np.clip(2.5 * (1 - distance), 0, 1).astype(np.float32)
        clean = self.denoiser.denoise(noisy, asymmetry=(10.0**mask).astype(np.float32))
        brush = picture.shown(np.repeat(mask[None], 3, axis=0), 1.0)
        cells = [
            Cell(picture.shown(noisy["color"], self.gain), "16 spp"),
            Cell(brush, "mask"),
            Cell(picture.shown(clean["color"], self.gain), "asymmetry 10 where it is white"),
        ]
        return strip.rows(
            [[replace(cell, picture=strip.enlarged(cell.picture, 2)) for cell in cells]]
        )

    def aovs(self) -> Image.Image:
        """The same samples, with more and more AOVs."""
        frame = self.noisy[CENTRE]
        sets = {**SETS, "+ variances": tuple(frame.aovs)}
        clean = {
            label: self.denoiser.denoise(
                replace(frame, aovs={name: frame[name] for name in names}, source="generic")
                if label in SETS
                else frame
            )["color"]
            for label, names in sets.items()
        }
        return self._crops({"16 spp": frame["color"], **clean, "4096 spp": self.reference})

    def sampling(self) -> Image.Image:
        """Where adaptive sampling sends samples."""
        renderer = MitsubaRenderer.from_file(EXAMPLES / "scene" / "scene.0004.xml", SMALL)
        predicted = "smape" in self.denoiser.error_metrics
        guide, unit = (
            ("smape", "predicted SMAPE") if predicted else ("variance", "relative variance")
        )
        run = adaptive.run(renderer, self.denoiser, budget=32, guide=guide, initial=8)
        step = list(run)[-1]
        gain = picture.exposure(step.denoised["color"])
        error, samples = step.error, step.samples[None].astype(np.float32)
        cells = [
            Cell(picture.shown(step.noisy["color"], gain), f"rendered, {step.spp:.0f} spp"),
            Cell(_scaled(error, unit), "guide"),
            Cell(_scaled(samples, "samples"), "sampling map of the last pass"),
        ]
        return strip.rows([cells])

    def scenes(self) -> Image.Image:
        """Views that networks are trained on."""
        shown = []
        for seed in SEEDS:
            color = exr.read(self._view(seed))["color"]
            shown.append(Cell(picture.shown(color, picture.exposure(color)), f"seed {seed}"))
        return strip.rows([shown[start : start + 4] for start in range(0, len(shown), 4)])

    def report(self) -> Image.Image:
        """The page of `kpcn compare --report`, as Chromium shows it."""
        with TemporaryDirectory() as folder:
            page, shot = Path(folder) / "page.html", Path(folder) / "page.png"
            noisy, reference = EXAMPLES / "noisy.0004.exr", EXAMPLES / "reference.0004.exr"
            words = ["compare", noisy, "--label", "noisy", "--reference", reference]
            words += ["--asymmetry", "1,2,4", "--model", self.model, "--report", page]
            _run("kpcn", *words)
            _run(
                "chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                "--disable-background-networking", f"--user-data-dir={folder}/profile",
                "--window-size=1000,1120", "--virtual-time-budget=5000",
                f"--screenshot={shot}", page.as_uri(),
            )  # fmt: skip
            return Image.open(shot).convert("RGB")

    def _crops(self, images: dict[str, Pixels]) -> Image.Image:
        """Two squares of each, with the error of the whole image."""
        cells = []
        for square in (TEXTURE, METAL):
            last = square is METAL
            cells.append(
                [
                    Cell(
                        square.of(color, self.gain),
                        label if last else "",
                        self._error(color) if last else "",
                    )
                    for label, color in images.items()
                ]
            )
        return strip.rows(cells)

    def _error(self, color: Pixels) -> str:
        if color is self.reference:
            return "reference"
        return f"SMAPE {metrics.smape(color, self.reference):.3f}"

    def _large(self, number: int) -> Path:
        """A frame of the example's scene at 640 x 360, 16 spp, with motion."""
        path = self.renders / f"shot.{number:04}.exr"
        if not path.is_file():
            scenes = EXAMPLES / "scene" / "scene.####.xml"
            size = [word for key, value in LARGE.items() for word in ("-D", f"{key}={value}")]
            out = self.renders / "shot.####.exr"
            _run("kpcn", "render", scenes, *size, "--spp", "16", "--half", "--overwrite", "-o", out)
        return path

    def _view(self, seed: int) -> Path:
        """A view of a training scene, 256 spp."""
        path = self.renders / f"view.{seed}.exr"
        if not path.is_file():
            frame = scenes(SIZE)(seed).renderer().render(256, seed).frame()
            exr.write_frame(path, frame, half=True)
        return path


FIGURES: dict[str, tuple[str, Callable[[Figures], Image.Image]]] = {
    "before-after": ("before-after.jpg", Figures.before_after),
    "lambda": ("lambda.png", Figures.asymmetry),
    "windows": ("windows.png", Figures.windows),
    "mask": ("mask.jpg", Figures.mask),
    "aovs": ("aovs.png", Figures.aovs),
    "sampling": ("sampling.jpg", Figures.sampling),
    "scenes": ("scenes.jpg", Figures.scenes),
    "report": ("report.jpg", Figures.report),
}


def _scaled(values: Pixels, unit: str) -> Image.Image:
    """A map [1,H,W] above its scale."""
    top = scale_top(values)
    shown = picture.heat((values / np.float32(top)).clip(0, 1))
    return strip.stacked(shown, strip.scale_bar(shown.width, top, unit))


def _run(program: str, *words: object) -> None:
    """A program of this environment, or of the system; its own output is shown if it fails."""
    found = shutil.which(program)
    if found is None:
        raise SystemExit(f"{program} is not installed (Debian: apt-get install {program}).")
    run = subprocess.run([found, *map(str, words)], capture_output=True, text=True, check=False)
    if run.returncode:
        raise SystemExit(f"{program}: exit code {run.returncode}\n{run.stderr}")


def _save(path: Path, image: Image.Image) -> None:
    with replaced(path, overwrite=True) as temporary:
        if path.suffix == ".jpg":
            image.save(temporary, quality=QUALITY, subsampling=0, optimize=True)
        else:
            image.save(temporary, optimize=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Make all figures, or those that are named."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("names", nargs="*", help=f"of {', '.join(FIGURES)}; all")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--renders", type=Path, default=RENDERS, help="kept between runs")
    options = parser.parse_args(arguments)
    unknown = set(options.names) - FIGURES.keys()
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(FIGURES)}")
    options.renders.mkdir(parents=True, exist_ok=True)
    figures = Figures(options.model, options.renders)
    for name in options.names or FIGURES:
        file, make = FIGURES[name]
        _save(FOLDER / file, make(figures))
        print(FOLDER / file)


if __name__ == "__main__":
    main()
