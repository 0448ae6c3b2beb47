"""What is needed to continue after a pass, exactly: safetensors, never pickled."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as serialized

from kpcn_core.adaptive.state import State
from kpcn_core.atomic import replaced
from kpcn_core.errors import InvalidCheckpoint
from kpcn_core.renderers.base import Accumulation

FORMAT = "kpcn-adaptive-1"
GROUPS = ("mean", "deviation", "closest")  # the fields of an accumulation that have AOVs

Identity = Mapping[str, str | int | float]


def save(path: Path, state: State, identity: Identity) -> None:
    """Write a checkpoint; it appears whole or not at all, and replaces an earlier one.

    Args:
        path: the file.
        state: where the loop stands.
        identity: settings that must be the same when it is continued, by names for a person.
    """
    tensors = {"count": state.accumulation.count, "error": state.error}
    for group in GROUPS:
        aovs = getattr(state.accumulation, group)
        tensors |= {f"{group}.{aov}": pixels for aov, pixels in aovs.items()}
    header = {
        "format": FORMAT,
        "passes": str(state.passes),
        "seconds": repr(state.seconds),
        "source": state.accumulation.source,
        "identity": json.dumps(dict(identity)),
    }
    with replaced(path, overwrite=True) as temporary:
        temporary.write_bytes(serialized(tensors, header))


def load(path: Path, identity: Identity) -> State:
    """Read a checkpoint.

    Raises:
        InvalidCheckpoint: it is missing or damaged, or settings differ from those it was made with.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise InvalidCheckpoint(
            f"{path}: not a readable checkpoint: {error}. Start anew with --overwrite."
        ) from error
    if header.get("format") != FORMAT:
        raise InvalidCheckpoint(
            f"{path}: expected a checkpoint of format '{FORMAT}'; "
            f"found '{header.get('format')}'. Start anew with --overwrite."
        )
    _check(path, json.loads(header["identity"]), identity)
    groups: dict[str, Any] = {group: {} for group in GROUPS}
    for name, tensor in tensors.items():
        group, _, aov = name.partition(".")
        if aov:
            groups[group][aov] = tensor
    return State(
        int(header["passes"]),
        Accumulation(tensors["count"], **groups, source=header["source"]),
        tensors["error"],
        float(header["seconds"]),
    )


def _check(path: Path, made: Identity, wanted: Identity) -> None:
    differing = [
        f"{name} was {made.get(name)!r}, is {wanted.get(name)!r}"
        for name in {**made, **wanted}
        if made.get(name) != wanted.get(name)
    ]
    if differing:
        raise InvalidCheckpoint(
            f"{path}: made with other settings: {'; '.join(differing)}. "
            f"Continue with the same ones, or start anew with --overwrite."
        )
