"""Errors that a person caused and can mend. Standard library only: hosts import this.

Every message says where, what was expected, what was found and what to do. ``cli/main.py`` prints
the message alone; any other exception is a bug of ours and keeps its traceback.
"""


class KpcnError(Exception):
    """Base of all errors whose message is meant for a person."""


class UnreadableFile(KpcnError):
    """A file does not exist, is not an image, is truncated, or holds what cannot be handled."""


class UnwritableFile(KpcnError):
    """An output cannot be written: read-only, full, a folder, or it exists already."""


class MissingAov(KpcnError):
    """A file has no layer for an AOV that is needed."""


class InvalidPixels(KpcnError):
    """The pixels cannot be used: wrong size, or not one finite value."""


class UnknownName(KpcnError):
    """A source, network, device, AOV or option value that does not exist."""


class OutOfMemory(KpcnError):
    """Memory, of the machine or of the device, is not enough, not even for small tiles."""


class InvalidAsymmetry(KpcnError):
    """A lambda outside 1 to 10, or a layer of lambda that does not fit its frame."""


class MissingDependency(KpcnError):
    """An optional package or a shared library that the request needs is not installed."""


class InvalidScene(KpcnError):
    """A renderer cannot load or render the scene."""


class RenderFailed(KpcnError):
    """A renderer ended with an error, ran out of time, or left no image."""


class InvalidCheckpoint(KpcnError):
    """A checkpoint is damaged, or of other work than what is to be continued."""


class InvalidWeights(KpcnError):
    """A weights file is damaged, or does not match its own description."""


class MissingFrames(KpcnError):
    """A sequence has no files, or lacks frames that were asked for."""


class WorkerFailed(KpcnError):
    """A worker cannot be started, broke off, or answers what cannot be understood."""


class Unsupported(KpcnError):
    """A worker is of another version than its host, or lacks what was asked for."""


class Refused(KpcnError):
    """A host's scene or panel does not allow it: nothing connected, proxy mode and so on."""


class NotCached(KpcnError):
    """A new λ was asked for, but the features of the frame are not kept, or no longer fit."""


class Cancelled(Exception):
    """The work was stopped because a person said so. No `KpcnError`: there is nothing to mend."""
