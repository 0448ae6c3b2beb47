"""A renderer in a process of its own that builds scenes itself and renders what it is asked for.

It ends with whoever started it: its requests come through its standard input, whose end ends it.
"""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from kpcn_core import exr
from kpcn_core.errors import RenderFailed
from kpcn_core.frame import Frame
from kpcn_core.renderers.base import Accumulation, Progress, SamplingMap
from kpcn_core.renderers.child import printed
from kpcn_core.renderers.rendered import accumulated

GRACE = 5.0  # seconds to end by itself

Request = dict[str, str | int | list[int]]


class Program:
    """The process; started when first needed, and again if it ended.

    Args:
        words: its command.
        source: the name of the source that its EXR files are of.
        threads: how many it may use; 0 is all.
    """

    def __init__(self, words: Sequence[str], source: str, threads: int = 0) -> None:
        self.source = source
        self.threads = threads
        self._words = list(words)
        self._folder = TemporaryDirectory(prefix="kpcn-")
        self._process: subprocess.Popen[str] | None = None
        self._first: dict[str, Any] = {}

    def describe(self) -> str:
        """Name and version of the renderer, as it says itself.

        Raises:
            RenderFailed: it cannot be started.
        """
        self._started()
        return str(self._first["renderer"])

    def render(self, request: Request) -> Frame:
        """The image that a request asks for.

        Raises:
            RenderFailed: the process ended instead; a later request starts it again.
        """
        output = Path(self._folder.name) / "output.exr"
        process = self._started()
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps({**request, "output": str(output)}) + "\n")
            process.stdin.flush()
        except BrokenPipeError:
            pass  # it ended, as its answer will tell
        self._answer(process)
        frame = exr.read(output, self.source)
        output.unlink()
        return frame

    def close(self) -> None:
        """End the process."""
        if self._process is None:
            return
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _started(self) -> subprocess.Popen[str]:
        if self._process is None:
            self._process = self._start()
            self._first = self._answer(self._process)
        return self._process

    def _start(self) -> subprocess.Popen[str]:
        try:
            return subprocess.Popen(
                self._words,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._printed.open("wb"),
                text=True,
                start_new_session=True,  # Ctrl-C is for us, who stop between two requests
            )
        except OSError as error:
            raise RenderFailed(
                f"The renderer cannot be started: {error}. Its command: {' '.join(self._words)}"
            ) from error

    def _answer(self, process: subprocess.Popen[str]) -> dict[str, Any]:
        assert process.stdout is not None
        line = process.stdout.readline()
        while line and not line.startswith("{"):  # what it prints before it takes over
            line = process.stdout.readline()
        if not line:
            self._process = None
            code = process.wait()
            raise RenderFailed(
                f"The renderer ended with exit code {code}. {printed(self._words, self._printed)}"
            )
        answer: dict[str, Any] = json.loads(line)
        return answer

    @property
    def _printed(self) -> Path:
        return Path(self._folder.name) / "printed.txt"


@dataclass(frozen=True)
class ProgramScene:
    """A view of a scene that a program builds and renders.

    Attributes:
        program: who does it.
        seed: of the procedural scene.
        size: (height, width).
        reach: how many frames around time 0 there will be.
        stage: a file of `training.scenes.stored`, rendered in place of the procedural scene.
    """

    program: Program
    seed: int
    size: tuple[int, int]
    reach: int = 0
    stage: Path | None = None
    gives_variance = False

    def renderer(self, time: int = 0, motion: bool = False) -> "ProgramRenderer":
        """A renderer of one frame."""
        return ProgramRenderer(self, time)


@dataclass(frozen=True)
class ProgramRenderer:
    """One frame of a `ProgramScene`, as `kpcn_core.renderers.base.Renderer`."""

    scene: ProgramScene
    time: int

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.scene.size

    def render(
        self, samples: int | SamplingMap, seed: int, progress: Progress | None = None
    ) -> Accumulation:
        """Take this many new samples in each pixel; all pixels must have the same.

        Raises:
            RenderFailed: the process ended.
            InvalidPixels: the image has NaN or Inf.
        """
        counts = np.broadcast_to(np.asarray(samples, np.uint32), self.size)
        (spp,) = np.unique(counts).tolist()
        frame = self.scene.program.render(self.request(spp, seed))
        if progress:
            progress(spp, spp)
        return accumulated(frame, counts)

    def request(self, spp: int, seed: int) -> Request:
        """What to ask the program for."""
        # The renderers' own streams are 31 bits, and near seeds might not be independent.
        stream = int(np.random.SeedSequence(seed).generate_state(1)[0] >> 1)
        return {
            "seed": self.scene.seed,
            "stage": "" if self.scene.stage is None else str(self.scene.stage),
            "height": self.size[0],
            "width": self.size[1],
            "reach": self.scene.reach,
            "time": self.time,
            "spp": spp,
            "stream": max(stream, 1),
            "threads": self.scene.program.threads,
        }
