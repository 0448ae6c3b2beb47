"""What a host and its worker say to each other, typed (docs/worker.md).

Standard library only, Python 3.9 syntax: hosts import this. The annotations are the protocol; see
``protocol_fields`` for how they are checked and how versions get on with each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kpcn_core.jsonrpc import METHOD_NOT_FOUND, Request, RpcError
from kpcn_core.protocol_errors import SHOWN
from kpcn_core.protocol_fields import Message, write

VERSION = 1
CAPABILITIES = ("denoise", "render", "inspect")  # what a worker of this version can do


@dataclass(frozen=True)
class Initialize(Message):
    """The first request.

    Attributes:
        version: of the protocol that the host speaks.
        host: who asks, for the log.
        device: "auto", "cpu", "cuda:1" … for all jobs.
        requires: capabilities that the host cannot do without.
    """

    version: int
    host: str = ""
    device: str = "auto"
    requires: tuple[str, ...] = ()


@dataclass(frozen=True)
class Initialized(Message):
    """The worker's answer to `Initialize`: who it is and what it can do."""

    version: int
    kpcn: str
    pid: int
    device: str
    capabilities: tuple[str, ...]


@dataclass(frozen=True)
class Denoise(Message):
    """Denoise a frame or a range, as `kpcn denoise` does.

    Attributes:
        input: a path, or a pattern such as /shots/a.####.exr.
        output: likewise.
        frames: a range such as 1001-1100; None for all on disk.
        source: the renderer's way of writing.
        layers: AOV name to the layer it is read from.
        aovs: which AOVs to denoise.
        model: a shipped network's name or a weights file; None for the default.
        tile: side of a tile in pixels; None derives it from max_memory.
        max_memory: bytes that the computation of a tile may take; None for the default.
        overwrite: replace existing files.
        resume: outputs that are made of the same already stay; older ones of ours are replaced.
        skip: outputs that are done already and stay as they are.
        window: how many frames are looked at for each frame, odd.
        flow: estimate the motion that a window needs where the files have none.
        asymmetry: 1 (symmetric) to 10 (most conservative).
        asymmetry_layer: a channel from 0 to 1 that says where: λ is asymmetry to its power.
        asymmetry_input: the files with that channel, named as `input`; None for the input itself.
        extra: further layers to filter, patterns such as lg_*, each to a component.
        error_map: write the predicted error as the layer `error`.
        quality: "normal", or "high" for twice the time.
    """

    input: str
    output: str
    frames: str | None = None
    source: str = "auto"
    layers: Mapping[str, str] = field(default_factory=dict)
    aovs: tuple[str, ...] = ("color",)
    model: str | None = None
    tile: int | None = None
    max_memory: int | None = None
    overwrite: bool = False
    resume: bool = False
    skip: tuple[str, ...] = ()
    window: int = 1
    flow: bool = False
    asymmetry: float = 1.0
    asymmetry_layer: str | None = None
    asymmetry_input: str | None = None
    extra: Mapping[str, str] = field(default_factory=dict)
    error_map: bool = False
    quality: str = "normal"


@dataclass(frozen=True)
class Render(Denoise):
    """The same for another λ, only from what the worker keeps of an earlier `Denoise`.

    It fails with `NotCached` when a frame's features are not kept, or no longer fit: of other
    files, another network, source, layers, quality or window.
    """


@dataclass(frozen=True)
class Denoised(Message):
    """The answer to `Denoise` and `Render`: all outputs are there, those skipped first."""

    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Inspect(Message):
    """Find out what a file holds and how it would be read; the first three of `Denoise`'s."""

    input: str
    source: str = "auto"
    layers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Inspected(Message):
    """The answer to `Inspect`.

    Attributes:
        source: whose way of writing it is.
        reason: why it is taken for that one.
        display: x, y, width, height of the display window.
        layers: names of all layers.
        aovs: AOV name to how it is made of layers.
    """

    source: str
    reason: str
    display: tuple[int, ...]
    layers: tuple[str, ...]
    aovs: Mapping[str, str]


@dataclass(frozen=True)
class Cancel(Message):
    """Stop a job at its next tile, or before it starts; it is answered with `CANCELLED`."""

    job: int | str


@dataclass(frozen=True)
class CancelTaken(Message):
    """The answer to `Cancel`; found is False if the job was finished or never there."""

    found: bool


@dataclass(frozen=True)
class Shutdown(Message):
    """Cancel everything and end."""


@dataclass(frozen=True)
class Nothing(Message):
    """The answer to `Shutdown`."""


@dataclass(frozen=True)
class Progress(Message):
    """How far a job is: frames, and tiles of the current frame."""

    job: int | str
    frame: int  # frames finished
    frames: int
    tile: int = 0  # tiles finished
    tiles: int = 1

    @property
    def fraction(self) -> float:
        """Share of the whole job that is finished, 0 to 1."""
        return min(1.0, (self.frame + self.tile / max(1, self.tiles)) / max(1, self.frames))


@dataclass(frozen=True)
class Log(Message):
    """A line for a person; level is a name of Python's logging."""

    job: int | str
    level: str
    message: str


@dataclass(frozen=True)
class FrameWritten(Message):
    """A file is there, whole; `current` if it was before, made of the same."""

    job: int | str
    input: str
    output: str
    current: bool = False


@dataclass(frozen=True)
class FrameFailed(Message):
    """One of several frames failed; the others go on. `kind` is a class of kpcn_core.errors."""

    job: int | str
    input: str
    output: str
    kind: str
    message: str


METHODS: dict[str, type[Message]] = {
    "initialize": Initialize,
    "denoise": Denoise,
    "render": Render,
    "inspect": Inspect,
    "cancel": Cancel,
    "shutdown": Shutdown,
}
NOTIFICATIONS: dict[str, type[Message]] = {
    "progress": Progress,
    "log": Log,
    "frameWritten": FrameWritten,
    "frameFailed": FrameFailed,
}
_NAMES = {kind: name for name, kind in (*METHODS.items(), *NOTIFICATIONS.items())}


def method_of(message: Message) -> str:
    """The name that a request or notification of this type is sent under."""
    return _NAMES[type(message)]


def notification(message: Message) -> Request:
    """A message that is not answered."""
    return Request(method_of(message), write(message))


def request_kind(method: str) -> type[Message]:
    """The params of a method.

    Raises:
        RpcError: there is no such method.
    """
    if method not in METHODS:
        raise RpcError(
            METHOD_NOT_FOUND,
            f"This worker has no method '{method[:SHOWN]}'; it has {', '.join(METHODS)}. "
            f"Is the kpcn of the worker older than the host's?",
            {"methods": list(METHODS)},
        )
    return METHODS[method]
