"""What `benchmarks.quality` measures: rendered frames and shots, and what they should look like."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kpcn_core.errors import UnreadableFile

SAMPLES = (4, 8, 16, 32, 64, 128, 512)
REFERENCE = "reference"


@dataclass(frozen=True)
class Case:
    """One rendered frame and what it should look like.

    Attributes:
        scene: its name, with the folder of its renderer, as "cycles/bathroom".
        spp: samples per pixel.
        noisy: the frame.
        reference: without noise.
        shot: renders of the same frame with other seeds, in order, as if nothing moved in a shot;
            there may be none.
    """

    scene: str
    spp: int
    noisy: Path
    reference: Path
    shot: tuple[Path, ...] = ()

    @property
    def title(self) -> str:
        """What a table calls it."""
        return f"{self.scene}, {self.spp} spp"

    @property
    def renderer(self) -> str:
        """Who rendered it: Mitsuba, where no folder says otherwise."""
        return self.scene.rpartition("/")[0] or "mitsuba"


def scenes(folder: Path) -> list[str]:
    """The scenes that have a reference, in the folder or in one of a renderer within it."""
    found = [*folder.glob(f"*_{REFERENCE}.exr"), *folder.glob(f"*/*_{REFERENCE}.exr")]
    names = (path.relative_to(folder).as_posix() for path in found)
    return sorted(name.removesuffix(f"_{REFERENCE}.exr") for name in names)


def cases(
    folder: Path, scenes: Sequence[str], samples: Sequence[int] | None, files: Mapping[str, Path]
) -> list[Case]:
    """Every scene at every sample count.

    Args:
        folder: holds `<scene>_<spp>.exr`, `<scene>_<spp>.<number>.exr` of a shot, and
            `<scene>_reference.exr`.
        scenes: their names.
        samples: samples per pixel; None takes those of `SAMPLES` that are there.
        files: "scene:spp" or "scene:reference" to a path that is not in the folder.

    Raises:
        UnreadableFile: files are missing; all are named. Or there is nothing.
    """

    def path(scene: str, what: int | str) -> Path:
        return files.get(f"{scene}:{what}", folder / f"{scene}_{what}.exr")

    def wanted(scene: str) -> Iterator[int]:
        for spp in SAMPLES if samples is None else samples:
            if samples is not None or path(scene, spp).is_file():
                yield spp

    found = [
        Case(scene, spp, path(scene, spp), path(scene, REFERENCE), _shot(path(scene, spp)))
        for scene in scenes
        for spp in wanted(scene)
    ]
    paths = dict.fromkeys(path for case in found for path in (case.noisy, case.reference))
    missing = [str(path) for path in paths if not path.is_file()]
    if missing or not found:
        raise UnreadableFile(
            f"No such files: {', '.join(missing) or f'{folder}/*_{REFERENCE}.exr'}. Render them "
            f"with `kpcn render`, or name others with --file SCENE:SPP=PATH."
        )
    return found


def _shot(noisy: Path) -> tuple[Path, ...]:
    return tuple(sorted(noisy.parent.glob(f"{noisy.stem}.[0-9]*.exr")))
