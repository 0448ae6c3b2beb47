"""What a frame goes through, one step after another, and the whole of it."""

import math
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import torch
from torch.nn import functional

from kpcn_core import exr, inference, oidn
from kpcn_core.bench import work
from kpcn_core.bench.frames import like, synthetic
from kpcn_core.bench.work import Work
from kpcn_core.composite import output
from kpcn_core.denoiser import Denoiser
from kpcn_core.encoded import Encoded, EncodedFrame
from kpcn_core.exr_further import read_further
from kpcn_core.features import PLANES, reads_split
from kpcn_core.frame import Frame
from kpcn_core.job import Job
from kpcn_core.job_run import run
from kpcn_core.model.temporal import Context
from kpcn_core.prepared import motion_of, prepare
from kpcn_core.sequence_denoiser import SequenceDenoiser
from kpcn_core.settings import DEFAULT_MEMORY, HIGH, NORMAL, Settings
from kpcn_core.transfer import staged

STEEP = 2.0  # the other lambda
DENOISE, ANOTHER_LAMBDA, THROUGH = "denoise", "another lambda", "EXR to EXR"
BETTER = "denoise, high quality"
SEQUENCE, FRAMES = "EXR to EXR, in a sequence", 6
WITHOUT_FILES = "the same without files"
PEERS: dict[str, dict[str, object]] = {
    "high": {"quality": "high"},
    "fast": {"quality": "fast"},
    "prefiltered": {"quality": "high", "clean_aux": True},
}


class Step(NamedTuple):
    """Something to time.

    Attributes:
        name: row of the table.
        run: does it.
        work: what it must do at least, where that is known.
        frames: how many it does.
    """

    name: str
    run: Callable[[], object]
    work: Work | None = None
    frames: int = 1


@dataclass(frozen=True)
class Case:
    """A denoiser with frames of a kind.

    Attributes:
        denoiser: what is measured.
        height: pixels.
        width: pixels.
        window: how many frames are looked at for each, odd.
        layers: how many further layers are filtered.
        max_memory: see `Settings`.
        only_denoised: whether files are written without their other layers.
        frames: of the sequence; 0 for none.
        emission: see `synthetic`.
    """

    denoiser: Denoiser
    height: int
    width: int
    window: int = 1
    layers: int = 0
    max_memory: int = DEFAULT_MEMORY
    only_denoised: bool = False
    frames: int = FRAMES
    emission: bool = True

    @cached_property
    def frame(self) -> Frame:
        """One of the frames, where its device fetches it; all are alike."""
        frame = synthetic(self.height, self.width, self.layers, self.emission)
        return staged(frame, self.denoiser.device)

    @property
    def settings(self) -> Settings:
        """How it is denoised."""
        return Settings(like=like(self.layers), encoder="kpcn", max_memory=self.max_memory)

    @property
    def in_one_piece(self) -> bool:
        """Whether a frame is one tile, so that its stages follow one another."""
        settings = self.settings
        return self.denoiser.leaves(self.frame, settings, self.window, size=0)

    def denoise(self, frame: Frame | None = None, quality: str = NORMAL) -> Frame:
        """What each frame of a sequence costs: one is encoded, and the window around one filtered.

        The features of all others are there already.
        """
        frame, settings = frame or self.frame, replace(self.settings, quality=quality)
        if self.window > 1:
            new = self.denoiser.encode(frame, settings)
            return self.denoiser.render(self._around(new), settings)
        return self.denoiser.denoise(
            frame,
            like=settings.like,
            encoder=settings.encoder,
            max_memory=settings.max_memory,
            quality=settings.quality,
        )

    def encoded(self) -> Encoded:
        """A window whose features are kept."""
        return self._around(self.denoiser.encode(self.frame, self.settings))

    def write(self, target: Path, clean: Frame) -> None:
        """Write what was denoised as a file."""
        exr.write(target, clean, overwrite=True, only_denoised=self.only_denoised)

    def _around(self, centre: EncodedFrame) -> Encoded:
        return self.denoiser.window([centre] * self.window, self.window // 2)


@torch.inference_mode()
def stages(case: Case) -> Iterator[Step]:
    """The stages of a frame that is one tile, in their order, with what each must do."""
    network, device, frame, settings = (
        case.denoiser.network, case.denoiser.device, case.frame, case.settings,
    )  # fmt: skip
    bare = work.without_numbers(network)
    split = reads_split(network.planes_of(settings.encoder))
    prepared = prepare(frame, split, settings.riders, device)
    planes = inference.planes(network, prepared.parts, prepared.aovs, settings.encoder)
    # Where the planes come folded, which the encoder itself does elsewhere.
    depth = sum(PLANES[name] for name in network.planes_of(settings.encoder))
    folded = math.isqrt(planes[0].shape[1] // depth)
    encoded = inference.read(network, planes, settings.encoder)
    features = inference.trunk(network, encoded)
    centre, frames = case.window // 2, [features] * case.window
    motion = motion_of([prepared] * case.window, centre)
    contexts = inference.gather(network, frames, motion, centre)
    window = [prepared.images] * case.window
    around = inference.around(network, contexts, window, motion, centre)
    layers = inference.layers(network, prepared.images)
    filtered = inference.render(network, contexts, layers, around)
    images = [tensor for image in prepared.images.values() for tensor in image]
    counts = {name: image.radiance.shape[1] + 1 for name, image in prepared.images.items()}
    shapes = [
        Context(
            work.shapes([one.shared])[0],
            work.shapes(one.links),
            pixels=None if one.pixels is None else work.shapes([one.pixels])[0],
        )
        for one in contexts
    ]

    yield Step(
        "components",
        lambda: prepare(frame, split, settings.riders, device),
        work.moved(*prepared.aovs.values(), *images),
    )
    yield Step(
        "input planes",
        lambda: inference.planes(network, prepared.parts, prepared.aovs, settings.encoder),
        work.moved(*images, *planes),
    )
    yield Step(
        "encoder",
        lambda: inference.read(network, planes, settings.encoder),
        work.convolutions(
            bare,
            lambda: bare.read(
                [functional.pixel_shuffle(level, folded) for level in work.shapes(planes)],
                settings.encoder,
            ),
        ),
    )
    yield Step(
        "trunk",
        lambda: inference.trunk(network, encoded),
        work.convolutions(bare, lambda: bare.extract(work.shapes(encoded))),
    )
    if case.window > 1:
        yield Step("motion", lambda: motion_of([prepared] * case.window, centre))
        yield Step(
            "combiner",
            lambda: inference.gather(network, frames, motion, centre),
            work.combiner(bare, frames, motion, centre),
        )
        others = [index for index in range(case.window) if index != centre]
        yield Step(
            "kernels of the other frames",
            lambda: inference.around(network, contexts, window, motion, centre),
            work.kernels(bare, shapes, counts, others),
        )
    yield Step(
        "pyramids",
        lambda: inference.layers(network, prepared.images),
        work.moved(*images, *images),
    )
    yield Step(
        "kernels and joins",
        lambda: inference.render(network, contexts, layers, around),
        work.kernels(bare, shapes, counts),
    )
    yield Step(
        "compositing",
        lambda: output(prepared, settings, filtered),
        work.moved(*filtered.values(), prepared.aovs["color"]),
    )


def wholes(case: Case) -> Iterator[Step]:
    """A frame denoised, in high quality, and denoised again for another lambda."""
    yield Step(DENOISE, case.denoise)
    yield Step(BETTER, lambda: case.denoise(quality=HIGH))
    if case.in_one_piece:
        kept = case.encoded()
        case.denoiser.render(kept, case.settings, STEEP)  # from here on, nothing is gathered
        yield Step(ANOTHER_LAMBDA, lambda: case.denoiser.render(kept, case.settings, STEEP))


def files(case: Case, folder: Path) -> Iterator[Step]:
    """From EXR to EXR."""
    source, target = folder / f"noisy-{case.layers}.exr", folder / "clean.exr"
    exr.write_frame(source, case.frame, overwrite=True, layers=case.frame.layers)
    patterns = like(case.layers)

    def read() -> Frame:
        return read_further(exr.read(source), patterns)[0]

    clean = read()
    yield Step("read", read)
    yield Step("write", lambda: case.write(target, clean))
    yield Step(THROUGH, lambda: case.write(target, case.denoise(read())))
    if case.frames:
        yield Step(SEQUENCE, lambda: _sequence(case, source), frames=case.frames)
        yield Step(WITHOUT_FILES, lambda: _without_files(case), frames=case.frames)


def _sequence(case: Case, source: Path) -> None:
    """Frames as `kpcn denoise` does them: the next one is read and the last one written meanwhile.

    All are one file under several names.
    """
    with tempfile.TemporaryDirectory(dir=source.parent) as name:
        files = [
            (Path(name, f"noisy.{n}.exr"), Path(name, f"clean.{n}.exr")) for n in range(case.frames)
        ]
        for noisy, _ in files:
            noisy.hardlink_to(source)
        job = Job(
            files, window=case.window, extra=like(case.layers), encoder="kpcn",
            max_memory=case.max_memory, only_denoised=case.only_denoised,
        )  # fmt: skip
        for outcome in run(job, case.denoiser, lambda done, total: None):
            if outcome.error is not None:
                raise outcome.error


def _without_files(case: Case) -> None:
    """The same frames with the same windows; each is there already."""
    if case.window == 1:
        for _ in range(case.frames):
            case.denoise()
        return
    reach, paths = case.window // 2, [Path(str(number)) for number in range(case.frames)]
    frame, settings = case.frame, case.settings
    shot = SequenceDenoiser(case.denoiser, paths, lambda _: frame, reach, reach, settings)
    for number in range(case.frames):
        shot.denoise(number)


def peer(case: Case, name: str, folder: Path) -> Iterator[Step]:
    """Open Image Denoise in one of its modes, on the CPU, with the same frame and the same file.

    Args:
        case: gives the frame; its denoiser is not used.
        name: one of `PEERS`.
        folder: see `files`, which must have been there before.
    """
    how, source = PEERS[name], folder / f"noisy-{case.layers}.exr"

    def through() -> None:
        clean = oidn.denoise(exr.read(source), **how)  # type: ignore[arg-type]
        case.write(folder / "clean.exr", clean)

    yield Step(DENOISE, lambda: oidn.denoise(case.frame, **how))  # type: ignore[arg-type]
    yield Step(THROUGH, through)
