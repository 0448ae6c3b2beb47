"""LuxCore as a program: `python -m kpcn_core.renderers.luxcore_program SCENE MAP OUTPUT SEED`."""

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kpcn_core import exr
from kpcn_core.frame import Frame, Pixels
from kpcn_core.renderers.base import SamplingMap
from kpcn_core.renderers.sampling_map import read_sampling_map

STRENGTH = 0.95  # the most that LuxCore allows
# AOV -> the film's outputs that add up to it, and their channels.
OUTPUTS = {
    "color": (("RGB",), 3),
    "alpha": (("ALPHA",), 1),
    "albedo": (("ALBEDO",), 3),
    "normal": (("AVG_SHADING_NORMAL",), 3),
    "diffuse": (("DIRECT_DIFFUSE", "INDIRECT_DIFFUSE"), 3),
    "specular": (("DIRECT_GLOSSY", "INDIRECT_GLOSSY", "INDIRECT_SPECULAR"), 3),
    "depth": (("DEPTH",), 1),
}
WAIT = 0.005  # seconds; LuxCore stops only when it is asked

# LuxCore replaces malloc: OpenEXR crashes unless it was loaded before.
import pyluxcore  # noqa: E402


def main() -> None:
    """Render once."""
    scene, sampling_map, output = map(Path, sys.argv[1:4])
    samples = read_sampling_map(sampling_map)
    pyluxcore.Init()
    os.chdir(scene.parent)  # scenes name their files relative to themselves
    properties = configuration(pyluxcore.Properties(str(scene)), samples, int(sys.argv[4]))
    session = pyluxcore.RenderSession(pyluxcore.RenderConfig(properties))
    render(session, samples)
    exr.write_frame(output, image(session.GetFilm()))


def configuration(properties: Any, samples: SamplingMap, seed: int) -> Any:
    """The scene's own settings, but for what sampling by a map needs."""
    outputs = [name for names, _ in OUTPUTS.values() for name in names]
    settings: dict[str, Any] = {
        "renderengine.type": "PATHCPU",
        "renderengine.seed": max(seed, 1),
        "sampler.type": "SOBOL",
        "sampler.sobol.adaptive.strength": STRENGTH,
        "sampler.sobol.adaptive.userimportanceweight": 1.0,  # not LuxCore's own noise estimate
        "film.filter.type": "NONE",  # others spread samples, and their noise, over pixels
        "film.denoiser.enable": False,
        "batch.halttime": 0,
        "batch.haltthreshold": -1,
        "batch.haltspp": max(1, round(float(samples.mean()))),
    }
    for index, name in enumerate([*outputs, "SAMPLECOUNT", "USER_IMPORTANCE"]):
        settings[f"film.outputs.kpcn{index}.type"] = name
        settings[f"film.outputs.kpcn{index}.filename"] = f"{name}.exr"  # never saved
    for name, value in settings.items():
        properties.Set(pyluxcore.Property(name, value))
    return properties


def render(session: Any, samples: SamplingMap) -> None:
    """Render to the end."""
    importance = samples.astype(np.float32) / max(int(samples.max()), 1)
    output, upwards = pyluxcore.FilmOutputType.USER_IMPORTANCE, importance[::-1]
    # Only a film that was started has room for it; samples until then went anywhere. An edit
    # waits for the threads; after a pause, a sample that was under way would be half cleared.
    session.Start()
    session.BeginSceneEdit()
    session.GetFilm().Clear()
    session.GetFilm().UpdateOutputFloat(output, np.ascontiguousarray(upwards).ravel())
    session.EndSceneEdit()
    wait(session)


def wait(session: Any) -> None:
    """Wait for a session to reach its end, and stop it."""
    while not session.HasDone():
        session.UpdateStats()
        time.sleep(WAIT)
    session.Stop()


def image(film: Any) -> Frame:
    """What the film holds, as a frame."""
    aovs: dict[str, Pixels] = {
        aov: np.sum([_floats(film, name, channels) for name in names], axis=0)
        for aov, (names, channels) in OUTPUTS.items()
    }
    aovs["normal"] = np.where(np.isfinite(aovs["normal"]), aovs["normal"], 0)  # nothing is hit
    aovs["sample_count"] = _counts(film)
    return Frame(aovs, metadata={"renderer": f"LuxCore {pyluxcore.Version()}"})


def layers(film: Any, names: Sequence[str]) -> dict[str, Pixels]:
    """Outputs of a film by LuxCore's names [C,H,W]."""
    return {name: _output(film, name) for name in names}


def _output(film: Any, name: str) -> Pixels:
    if name == "SAMPLECOUNT":
        return _counts(film)
    values = _floats(film, name, 1 if name in ("ALPHA", "DEPTH") else 3)
    if name.endswith("NORMAL"):
        return np.where(np.isfinite(values), values, 0)  # nothing is hit
    return values


def _counts(film: Any) -> Pixels:
    counts = np.zeros(film.GetOutputSize(pyluxcore.FilmOutputType.SAMPLECOUNT), np.uint32)
    film.GetOutputUInt(pyluxcore.FilmOutputType.SAMPLECOUNT, counts)
    return _upright(film, counts.astype(np.float32), 1)


def _floats(film: Any, name: str, channels: int) -> Pixels:
    output = getattr(pyluxcore.FilmOutputType, name)
    values = np.zeros(film.GetOutputSize(output), np.float32)
    film.GetOutputFloat(output, values)
    return _upright(film, values, channels)


def _upright(film: Any, values: Pixels, channels: int) -> Pixels:
    """From rows that go upwards to [C,H,W]."""
    shape = (film.GetHeight(), film.GetWidth(), channels)
    return np.ascontiguousarray(values.reshape(shape)[::-1].transpose(2, 0, 1))


if __name__ == "__main__":
    main()
