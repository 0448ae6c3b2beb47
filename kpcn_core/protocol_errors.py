"""How an error travels from the worker to the host. Standard library only."""

from __future__ import annotations

from kpcn_core import errors
from kpcn_core.errors import Cancelled, KpcnError, Unsupported, WorkerFailed
from kpcn_core.jsonrpc import RpcError

# Codes beside those of JSON-RPC; the last two are those of language servers.
FAILED = -32000  # a person's error: data.kind names its class in kpcn_core.errors
UNSUPPORTED = -32001  # another version, or a capability that the worker lacks
NOT_INITIALIZED = -32002
CANCELLED = -32800

SHOWN = 80  # characters of a name from outside that a message repeats


def unsupported(what: str, names: list[str], known: list[str]) -> RpcError:
    """The error for a version, option or capability that this worker does not know."""
    return RpcError(
        UNSUPPORTED,
        f"{what}: not known to this worker, which knows {listed(known)}. Update kpcn where the "
        f"worker runs, or do without.",
        {"unsupported": [name[:SHOWN] for name in names[:8]], "known": known},
    )


def failure(error: KpcnError) -> RpcError:
    """A person's error on its way to the host."""
    return RpcError(FAILED, str(error), {"kind": type(error).__name__})


def exception(error: RpcError) -> Exception:
    """What the host raises for an error of the worker."""
    if error.code == CANCELLED:
        return Cancelled(error.message)
    if error.code == UNSUPPORTED:
        return Unsupported(error.message)
    if error.code == FAILED:
        kind = getattr(errors, str(error.data.get("kind")), None)
        known = isinstance(kind, type) and issubclass(kind, KpcnError)
        return kind(error.message) if known else KpcnError(error.message)  # type: ignore[misc]
    return WorkerFailed(f"The worker refused with error {error.code}: {error.message}")


def listed(names: list[str]) -> str:
    """Names in a message, not too many and not too long."""
    return ", ".join(f"'{name[:SHOWN]}'" for name in names[:16])
