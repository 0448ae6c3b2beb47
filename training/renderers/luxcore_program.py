"""Renders scenes with LuxCore on request; a process of its own, started by `luxcore.py`.

Requests and answers are those of `cycles_program`. The images have LuxCore's own names.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

# LuxCore replaces malloc: OpenEXR and numpy.fft crash unless they were loaded before.
import numpy.fft  # noqa: F401

from kpcn_core.exr_layers import write_layers
from kpcn_core.renderers.luxcore_program import layers, wait

import pyluxcore  # isort: skip

from training.renderers.luxcore_scene import build
from training.scenes import scene, stored
from training.scenes.stage import Stage

OUTPUTS = (
    "RGB", "ALPHA", "ALBEDO", "AVG_SHADING_NORMAL", "DIRECT_DIFFUSE", "INDIRECT_DIFFUSE",
    "DIRECT_GLOSSY", "INDIRECT_GLOSSY", "INDIRECT_SPECULAR", "DEPTH", "SAMPLECOUNT",
)  # fmt: skip


def main() -> None:
    """Answer every request."""
    # LuxCore prints as it likes: answers go to what was the standard output, all else to stderr.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    pyluxcore.Init()
    _answer(answers, {"renderer": f"luxcore {pyluxcore.Version()}"})
    built: dict[tuple[Any, ...], Any] = {}
    for line in sys.stdin:
        request = json.loads(line)
        key = tuple(request[name] for name in ("seed", "stage", "height", "width", "time"))
        if key not in built:
            described = _described(request)
            # A scene of another seed will not be asked for again.
            built = {kept: built[kept] for kept in built if kept[:2] == key[:2]}
            built[key] = build(described, request["time"]), described.max_depth
        made, depth = built[key]
        _render(made, depth, request)
        _answer(answers, {"done": request["output"]})


def _described(request: dict[str, Any]) -> Stage:
    if request["stage"]:
        return stored.load(Path(request["stage"]))
    return scene(request["seed"], (request["height"], request["width"])).stage


def _render(made: Any, depth: int, request: dict[str, Any]) -> None:
    """Render one image to its file."""
    settings: dict[str, Any] = {
        "renderengine.type": "PATHCPU",
        "renderengine.seed": request["stream"],
        "native.threads.count": request["threads"] or os.cpu_count(),
        "sampler.type": "SOBOL",
        "sampler.sobol.adaptive.strength": 0.0,
        "path.pathdepth.total": depth,
        "film.width": request["width"],
        "film.height": request["height"],
        "film.filter.type": "NONE",
        "film.denoiser.enable": False,
        "batch.haltspp": request["spp"],
    }
    for index, name in enumerate(OUTPUTS):
        settings[f"film.outputs.kpcn{index}.type"] = name
        settings[f"film.outputs.kpcn{index}.filename"] = f"{name}.exr"  # never saved
    properties = pyluxcore.Properties()
    for name, value in settings.items():
        properties.Set(pyluxcore.Property(name, value))
    session = pyluxcore.RenderSession(pyluxcore.RenderConfig(properties, made))
    session.Start()
    wait(session)
    images = layers(session.GetFilm(), OUTPUTS)
    images[""] = images.pop("RGB")
    write_layers(Path(request["output"]), images, overwrite=True)


def _answer(answers: Any, message: dict[str, Any]) -> None:
    answers.write(json.dumps(message) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
