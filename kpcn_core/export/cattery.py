"""The folder that Nuke's Cattery reads: modules, a gizmo around them, and what makes the .cat."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch

from kpcn_core import __version__
from kpcn_core.atomic import check_writable, replaced
from kpcn_core.export import gizmo, icon, torchscript
from kpcn_core.export.nuke_channels import ALPHA, RGB, Packing, packing
from kpcn_core.export.single_frame import SingleFrame
from kpcn_core.install import plugin_folder
from kpcn_core.provenance import weights_name

SCRIPT = "build_cat.py"
OLDEST_NUKE = 14.0  # the first with a torch (1.12) that reads these files

Write = Callable[[Path], object]


class File(NamedTuple):
    """A file of the folder, and what writes it to a path."""

    name: str
    write: Write


def export(folder: Path, model: str, encoder: str, overwrite: bool = False) -> list[Path]:
    """Write the folder; its name is that of the gizmo.

    Args:
        folder: to make, or to write into.
        model: a network's name or the path of its file.
        encoder: which of its encoders; says which layers are needed.
        overwrite: replace files that are there.

    Returns:
        The files.

    Raises:
        UnknownName: no such network or encoder, or it needs more channels than Inference takes.
        UnwritableFile: see `atomic.replaced`; nothing is written then.
    """
    frame = SingleFrame.load(model, encoder)
    packed = packing(frame.planes)
    files = list(_files(folder.resolve().name, model, encoder, frame, packed))
    for file in files:
        check_writable(folder / file.name, overwrite)
    for file in files:
        with replaced(folder / file.name, overwrite) as temporary:
            file.write(temporary)
    return [folder / file.name for file in files]


def _files(name: str, model: str, encoder: str, frame: SingleFrame, packed: Packing) -> list[File]:
    module = torchscript.NukeDenoiser(frame, packed)
    modules = {f"{name}.pt": module, f"{name}_half.pt": torchscript.halved(module)}
    about: dict[str, object] = {
        "kpcn": __version__,
        "torch": torch.__version__,
        "network": weights_name(model),
        "encoder": encoder,
        "modules": list(modules),
        "channels_in": list(packed.channels),
        "channels_out": [*RGB, ALPHA],
        "carried": {one.name: list(packed.of(one.name)) for one in packed.inputs},
        "knobs": ["asymmetry", *(["use_mask"] if packed.has_mask else [])],
    }
    script = plugin_folder("nuke") / SCRIPT
    return [
        *(File(file, _module(one, about)) for file, one in modules.items()),
        File(torchscript.ABOUT, _text(_json(about))),
        File(SCRIPT, lambda path: shutil.copyfile(script, path)),
        File(f"{name}.gizmo", _text(gizmo.text(name, packed))),
        File(f"{name}.png", lambda path: path.write_bytes(icon.png())),
        File("cat.json", _text(_json(_cat_json(name, about)))),
    ]


def _cat_json(name: str, about: dict[str, object]) -> dict[str, object]:
    return {
        "minimum_nuke_version_required": OLDEST_NUKE,
        "version": 1,
        "category": "Denoise",
        "description": (
            f"kpcn {about['kpcn']}, {about['network']}, encoder {about['encoder']}; written by "
            f"torch {about['torch']}"
        ),
        "cats": [{"filepath": f"{name}.gizmo", "name": name, "icon": f"{name}.png"}],
    }


def _module(module: torchscript.NukeDenoiser, about: dict[str, object]) -> Write:
    return lambda path: torchscript.save(path, module, about)


def _text(text: str) -> Write:
    return lambda path: path.write_text(text, encoding="utf-8")


def _json(values: dict[str, object]) -> str:
    return json.dumps(values, indent=2, ensure_ascii=False) + "\n"
