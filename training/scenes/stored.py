"""Scenes in a file, for the renderers that build them in a process of their own.

Numpy only, as the description. What a file holds: `description`, JSON in which each part is named
by its class, and the arrays that it refers to. Nothing in it is executed.
"""

import json
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.scenes import description
from training.scenes.meshes import Mesh
from training.scenes.stage import Placed, Stage

PARTS: dict[str, type[Any]] = {
    part.__name__: part
    for part in (
        Stage, Mesh, description.Camera, description.Environment, description.Glass,
        description.Leaf, description.Light, description.Matte, description.Metal,
        description.Pane, description.Plastic, description.Pose, description.Texture,
    )
}  # fmt: skip

Arrays = list[NDArray[Any]]


def save(path: Path, stage: Stage) -> None:
    """Write a scene."""
    arrays: Arrays = []
    text = json.dumps(_described(stage, arrays))
    with path.open("wb") as file:
        np.savez(file, *arrays, description=np.array(text))


def load(path: Path) -> Stage:
    """Read what `save` wrote."""
    with np.load(path, allow_pickle=False) as file:
        arrays = [file[f"arr_{index}"] for index in range(len(file.files) - 1)]
        stage: Stage = _made(json.loads(str(file["description"])), arrays)
    stage.objects = [Placed(*placed) for placed in stage.objects]
    return stage


def _described(part: Any, arrays: Arrays) -> Any:
    if isinstance(part, np.ndarray):
        arrays.append(part)
        return {"array": len(arrays) - 1}
    if is_dataclass(part):
        values = {one.name: _described(getattr(part, one.name), arrays) for one in fields(part)}
        return {"part": type(part).__name__, **values}
    if isinstance(part, list | tuple):
        return [_described(one, arrays) for one in part]
    return part


def _made(told: Any, arrays: Arrays) -> Any:
    if isinstance(told, list):
        return tuple(_made(one, arrays) for one in told)
    if not isinstance(told, dict):
        return told
    if "array" in told:
        return arrays[told["array"]]
    values = {name: _made(value, arrays) for name, value in told.items() if name != "part"}
    return PARTS[told["part"]](**values)
