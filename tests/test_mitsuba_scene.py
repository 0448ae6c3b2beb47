"""Scenes that load, and those that cannot: one line that says what is wrong."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kpcn_core.errors import InvalidScene
from kpcn_core.renderers.mitsuba import MitsubaRenderer, description, mi
from tests.mitsuba_scenes import Scene, camera, matte, scene

SENSOR = """
<sensor type="perspective"><film type="hdrfilm">
  <integer name="width" value="$width"/><integer name="height" value="6"/>
</film></sensor>"""


def xml(folder: Path, *parts: str, width: str = "8") -> Path:
    """A scene file of parts, with the default of its `$width`."""
    path = folder / "scene.xml"
    default = f'<default name="width" value="{width}"/>'
    path.write_text(f'<scene version="3.0.0">{default}{"".join(parts)}</scene>')
    return path


def message(error: pytest.ExceptionInfo[InvalidScene]) -> str:
    text = str(error.value)
    assert "\n" not in text
    assert ".cpp" not in text
    return text


def test_a_file_takes_parameters_and_finds_what_lies_beside_it(tmp_path: Path) -> None:
    (tmp_path / "sheet.obj").write_text("v -9 -9 3\nv 9 -9 3\nv 0 9 3\nf 1 2 3\n")
    shape = '<shape type="obj"><string name="filename" value="sheet.obj"/></shape>'
    path = xml(tmp_path, SENSOR, shape)
    assert MitsubaRenderer.from_file(path).size == (6, 8)
    renderer = MitsubaRenderer.from_file(path, {"width": "10"})
    assert renderer.size == (6, 10)
    assert np.isfinite(renderer.render(1, 0).frame()["depth"]).any()


def test_the_description_names_version_and_variant() -> None:
    assert description().startswith("Mitsuba 3.")
    assert description().endswith("_ad_rgb")


BROKEN = {
    "not a scene": ("<scene", "Error parsing start element tag"),
    "not XML": ("hello", "No document element found"),
    "a single shape": ('<shape version="3.0.0" type="sphere"/>', "expected a scene"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_an_error(tmp_path: Path, name: str) -> None:
    content, expected = BROKEN[name]
    path = tmp_path / "scene.xml"
    path.write_text(content)
    with pytest.raises(InvalidScene) as error:
        MitsubaRenderer.from_file(path)
    assert message(error).startswith(f"{path}: ")
    assert expected in message(error)


PARTS = {
    "unknown plugin": ('<shape type="shere"/>', 'Plugin "shere" not found'),
    "unknown property": ('<shape type="sphere"><float name="r" value="1"/></shape>', '"r"'),
    "unset parameter": ('<shape type="sphere"><float name="radius" value="$r"/></shape>', "$r"),
    "missing mesh": (
        '<shape type="ply"><string name="filename" value="no.ply"/></shape>',
        '"no.ply": file not found',
    ),
    "missing reference": ('<shape type="sphere"><ref id="steel"/></shape>', "steel"),
}


@pytest.mark.parametrize("name", PARTS)
def test_a_broken_part_is_named(tmp_path: Path, name: str) -> None:
    part, expected = PARTS[name]
    with pytest.raises(InvalidScene, match="Mitsuba cannot load it") as error:
        MitsubaRenderer.from_file(xml(tmp_path, SENSOR, part))
    assert expected in message(error)


def test_a_parameter_that_the_scene_lacks_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidScene, match=r"unused parameters: - \$colour=red") as error:
        MitsubaRenderer.from_file(xml(tmp_path, SENSOR), {"colour": "red"})
    message(error)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidScene, match="no such scene file"):
        MitsubaRenderer.from_file(tmp_path / "nowhere.xml")


def test_a_broken_neighbour_is_named(tmp_path: Path) -> None:
    neighbour = tmp_path / "scene.0002.xml"
    neighbour.write_text("<scene")
    with pytest.raises(InvalidScene, match=r"scene\.0002\.xml"):
        MitsubaRenderer.from_file(xml(tmp_path, SENSOR), following=neighbour)


def test_a_scene_without_a_sensor_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "scene.xml"
    path.write_text('<scene version="3.0.0"><shape type="sphere"/></scene>')
    with pytest.raises(InvalidScene, match=r"has no sensor\. Add one"):
        MitsubaRenderer.from_file(path)


UNSUPPORTED: dict[str, Scene] = {
    "integrator 'ptracer'": {"integrator": {"type": "ptracer"}},
    "integrator 'PathProjectiveIntegrator'": {"integrator": {"type": "prb_projective"}},
    "a participating medium": {
        "integrator": {"type": "volpath"},
        "fog": {"type": "sphere", "interior": {"type": "homogeneous"}},
    },
}


@pytest.mark.parametrize("what", UNSUPPORTED)
def test_what_is_not_reproduced_is_refused(what: str) -> None:
    with pytest.raises(InvalidScene) as error:
        MitsubaRenderer.from_dict(scene(**UNSUPPORTED[what]))
    assert f"it asks for {what}" in message(error)
    assert "Supported integrators, without media: path, direct" in message(error)


@pytest.mark.parametrize(
    "made", [{"type": "path"}, {"type": "prb"}, {"type": "aov", "aovs": "d:depth"}]
)
def test_supported_integrators_load(made: dict[str, Any]) -> None:
    assert MitsubaRenderer.from_dict(scene(integrator=made)).size == (24, 32)


def test_a_scene_needs_no_integrator() -> None:
    parts: Scene = {"type": "scene", "camera": camera(), "sky": {"type": "constant"}}
    ball = {"type": "sphere", "bsdf": matte(0.5)}
    frame = MitsubaRenderer.from_dict({**parts, "ball": ball}).render(1, 0).frame()
    assert (frame["color"] > 0).all()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no choice of processors")
def test_one_processor_is_enough_to_load_a_sky(tmp_path: Path) -> None:
    """Else the only thread that decodes an EXR waits for another to do it."""
    mi.Bitmap(np.ones((64, 128, 3), np.float32)).write(str(tmp_path / "sky.exr"))
    sky = '<emitter type="envmap"><string name="filename" value="sky.exr"/></emitter>'
    path = xml(tmp_path, SENSOR, sky)
    code = (
        "import os, pathlib, sys; os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:1]);"
        "from kpcn_core.renderers.mitsuba import MitsubaRenderer;"
        "print(MitsubaRenderer.from_file(pathlib.Path(sys.argv[1])).size)"
    )
    command = [sys.executable, "-c", code, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout == "(6, 8)\n", done.stderr
