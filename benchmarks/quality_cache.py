"""What was measured before: one JSON file, by the hashes of all that a measurement depends on."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from kpcn_core.atomic import replaced


@dataclass(frozen=True)
class Measurement:
    """One image of one frame, or the images of a shot (means over its frames).

    Attributes:
        metrics: name in `METRICS` -> value.
        brightness: mean of the color relative to that of the noisy frame.
        seconds: median of the rounds; None for the noisy image and for shots.
        instability: of a shot, mean DSSIM of adjacent frames (paper Fig. 12).
        variance: of a shot, mean over pixels of the relative variance over its frames.
        bias: of a shot, mean over pixels of the relative squared difference of the mean to the
            reference, without what the variance of a mean of so few frames adds to it.
    """

    metrics: Mapping[str, float]
    brightness: float
    seconds: float | None = None
    instability: float | None = None
    variance: float | None = None
    bias: float | None = None


class Cache:
    """Measurements of earlier runs, kept after every new one.

    Args:
        path: the file; None keeps nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._found: dict[str, dict[str, object]] = {}
        self._digests: dict[Path, str] = {}
        if path is not None and path.is_file():
            self._found = json.loads(path.read_text())

    def get(
        self, files: Sequence[Path], method: str, measure: Callable[[], Measurement]
    ) -> Measurement:
        """The measurement of a method on files, made if it is not known yet.

        Args:
            files: everything that is read.
            method: names all else that matters: the network's hash, versions, settings.
            measure: makes it.
        """
        key = " ".join([*(self._digest(path) for path in files), method])
        if key not in self._found:
            self._found[key] = asdict(measure())
            self._write()
        return Measurement(**self._found[key])  # type: ignore[arg-type]

    def _digest(self, path: Path) -> str:
        if path not in self._digests:
            with path.open("rb") as file:
                self._digests[path] = hashlib.file_digest(file, "sha256").hexdigest()[:16]
        return self._digests[path]

    def _write(self) -> None:
        if self._path is not None:
            with replaced(self._path, overwrite=True) as temporary:
                temporary.write_text(json.dumps(self._found, indent=0) + "\n")
