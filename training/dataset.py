"""Data set: a folder of views with a manifest that says how they were made."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from kpcn_core.atomic import replaced
from kpcn_core.errors import UnreadableFile
from training.errors import InvalidDataset
from training.stills import reach_of
from training.views import View

MANIFEST = "manifest.json"
FORMAT = 1
LICENCE = "our own, procedural"
# One scene in this many is held out from training.
VALIDATION_PERIOD = 20


@dataclass(frozen=True)
class Recipe:
    """How the views of a data set were made; the same for all of them.

    Attributes:
        generator: name and version of the code that made the scenes.
        renderer: name and version of the renderer.
        spp: samples per pixel of the noisy buffers.
        reach: how many frames before and after the centre there are.
        around: samples per pixel of the noisy buffers of each of those.
        size: (height, width) of the views.
    """

    generator: str
    renderer: str
    spp: tuple[int, ...] = (2, 2, 4, 8, 16, 32)
    reach: int = 0
    around: tuple[int, ...] = (4, 8)
    size: tuple[int, int] = (144, 192)


@dataclass(frozen=True)
class Entry:
    """One finished view.

    Attributes:
        file: path within the folder.
        sha256: of the file.
        reference_spp: samples per pixel of the reference.
        seconds: how long it took to render.
    """

    file: str
    sha256: str
    reference_spp: int
    seconds: float


@dataclass(frozen=True)
class Manifest:
    """What a data set holds.

    Attributes:
        recipe: how the views were made.
        views: seed of the scene to its view.
        left_out: seed of a scene that could not be used to the reason.
        licence: of the pixels.
        format: version of the files.
    """

    recipe: Recipe
    views: Mapping[int, Entry] = field(default_factory=dict)
    left_out: Mapping[int, str] = field(default_factory=dict)
    licence: str = LICENCE
    format: int = FORMAT

    @staticmethod
    def read(folder: Path) -> "Manifest":
        """Read the manifest of a folder.

        Raises:
            UnreadableFile: the folder has none.
            InvalidDataset: it is damaged or of another format.
        """
        path = folder / MANIFEST
        if not path.is_file():
            raise UnreadableFile(f"{path}: no such file. Make a data set with `kpcn-train render`.")
        try:
            values = json.loads(path.read_text())
            if values["format"] != FORMAT:
                raise ValueError(f"format {values['format']} instead of {FORMAT}")
            recipe: dict[str, Any] = {
                key: tuple(value) if isinstance(value, list) else value
                for key, value in values["recipe"].items()
            }
            views = {int(seed): Entry(**entry) for seed, entry in values["views"].items()}
            left_out = {int(seed): reason for seed, reason in values["left_out"].items()}
            return Manifest(Recipe(**recipe), views, left_out, values["licence"])
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidDataset(
                f"{path}: not a manifest of this version: {error}. Render into a new folder."
            ) from error

    def write(self, folder: Path) -> None:
        """Write the manifest of a folder; atomic."""
        with replaced(folder / MANIFEST, overwrite=True) as temporary:
            temporary.write_text(json.dumps(self._written(), indent=1))

    def _written(self) -> dict[str, Any]:
        """Plain values; without a size that is the usual one, which older versions cannot read."""
        values = asdict(self)
        if self.recipe.size == Recipe.size:
            del values["recipe"]["size"]
        return values

    def added(self, seed: int, entry: Entry) -> "Manifest":
        """With one more view."""
        return replace(self, views={**self.views, seed: entry})

    def without(self, seed: int, reason: str) -> "Manifest":
        """With one more scene left out."""
        return replace(self, left_out={**self.left_out, seed: reason})

    def digest(self) -> str:
        """SHA-256 over the hashes of all views, in the order of their seeds."""
        hashes = [self.views[seed].sha256 for seed in sorted(self.views)]
        return hashlib.sha256("\n".join(hashes).encode()).hexdigest()


class Dataset:
    """The views of a folder that have been rendered so far.

    Attributes:
        folder: where it lies.
        manifest: as of the last scan.
        aovs: what all views have, with `*_mse` twins.
        alone: the same of single renders; of several, the spread may be a variance.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._views: dict[int, View] = {}
        self.rescan()

    def rescan(self) -> None:
        """Open the views that were finished since the last scan."""
        self.manifest = Manifest.read(self.folder)
        for seed, entry in self.manifest.views.items():
            if seed not in self._views:
                self._views[seed] = _verified(self.folder / entry.file, seed, entry.sha256)
        views = self._views.values()
        self.aovs = _common(view.aov_names for view in views)
        self.alone = _common(view.given([name]) for view in views for name in view.spp)

    @property
    def name(self) -> str:
        """That of its folder."""
        return self.folder.absolute().name

    @property
    def reach(self) -> int:
        """Frames before and after a view: rendered, or else its buffers, if nothing moves."""
        recipe = self.manifest.recipe
        return recipe.reach or reach_of(recipe.spp)

    def given(self, reach: int) -> frozenset[str]:
        """What all views have in windows of that reach; single buffers may be their frames."""
        still = reach > 0 and not self.manifest.recipe.reach
        return self.alone if still else self.aovs

    @property
    def training(self) -> list[View]:
        """Views to learn from, by seed."""
        return [view for seed, view in sorted(self._views.items()) if not is_held_out(seed)]

    @property
    def validation(self) -> list[View]:
        """Views of scenes that training never sees, by seed."""
        return [view for seed, view in sorted(self._views.items()) if is_held_out(seed)]


def is_held_out(seed: int) -> bool:
    """Whether a scene is for validation."""
    return seed % VALIDATION_PERIOD == 0


def file_digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _common(given: Iterable[frozenset[str]]) -> frozenset[str]:
    every = list(given)
    return frozenset.intersection(*every) if every else frozenset()


def _verified(path: Path, seed: int, sha256: str) -> View:
    if not path.is_file() or file_digest(path) != sha256:
        raise InvalidDataset(
            f"{path}: missing, or its bytes are not those in {MANIFEST}. Remove its entry there "
            f"and run `kpcn-train render` again with seed {seed}."
        )
    return View(path, seed, sha256)
