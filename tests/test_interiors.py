"""The public interiors' reader, on a small scene file of the same kind."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from PIL import Image

from benchmarks import interiors
from kpcn_core.errors import InvalidScene
from kpcn_core.renderers.mitsuba import MitsubaRenderer
from training.renderers.mitsuba import dictionary
from training.scenes import Scene
from training.scenes.description import Glass, Leaf, Light, Matte, Metal, Plastic, Texture

OBJECT = """v -1 0 -1\nv 1 0 -1\nv 1 0 1\nv -1 0 1
vt 0 0\nvt 1 0\nvt 1 1\nvt 0 1
f 1/1 3/3 2/2\nf 1/1 4/4 3/3
"""
SCENE = """<scene version="0.5.0">
<integrator type="path"><integer name="maxDepth" value="16"/></integrator>
<sensor type="perspective"><float name="fov" value="60"/>
 <transform name="toWorld"><matrix value="-1 0 0 0  0 1 0 1.5  0 0 -1 5  0 0 0 1"/></transform>
 <film type="hdrfilm"><integer name="width" value="48"/><integer name="height" value="32"/>
  <rfilter type="box"/></film></sensor>
<bsdf type="twosided" id="Floor"><bsdf type="diffuse">
 <texture name="reflectance" type="bitmap"><string name="filename" value="stripes.png"/></texture>
</bsdf></bsdf>
<bsdf type="bumpmap"><texture name="map" type="bitmap"><string name="filename" value="stripes.png"/>
 </texture><bsdf type="twosided" id="Bumpy"><bsdf type="roughplastic">
 <float name="alpha" value="0.2"/><rgb name="diffuseReflectance" value="0.1, 0.2, 0.3"/>
</bsdf></bsdf></bsdf>
<bsdf type="twosided" id="Steel"><bsdf type="roughconductor"><float name="alpha" value="0.1"/>
 <rgb name="eta" value="1, 1, 1"/><rgb name="k" value="2, 2, 2"/></bsdf></bsdf>
<bsdf type="mask" id="Net"><texture name="opacity" type="bitmap">
 <string name="filename" value="stripes.png"/></texture><bsdf type="twosided">
 <bsdf type="diffuse"><rgb name="reflectance" value="0.5"/></bsdf></bsdf></bsdf>
<shape type="obj"><string name="filename" value="floor.obj"/>
 <transform name="toWorld"><matrix value="3 0 0 0 0 1 0 0 0 0 3 0 0 0 0 1"/></transform>
 <boolean name="faceNormals" value="true"/><ref id="Floor"/></shape>
<shape type="obj"><string name="filename" value="floor.obj"/>
 <transform name="toWorld"><matrix value="1 0 0 9 0 1 0 0 0 0 1 0 0 0 0 1"/></transform>
 <boolean name="faceNormals" value="true"/><ref id="Floor"/></shape>
{more}
<shape type="rectangle">
 <transform name="toWorld"><matrix value="1 0 0 0 0 0 -1 3 0 1 0 0 0 0 0 1"/></transform>
 <emitter type="area"><rgb name="radiance" value="4, 4, 4"/></emitter></shape>
</scene>"""


def written(folder: Path, more: str = "") -> Path:
    """The scene file and what it names."""
    folder.joinpath("floor.obj").write_text(OBJECT)
    stripes = np.kron([[0, 1], [0, 1]], np.ones((8, 8))) * 200 + 30  # the same upside down
    Image.fromarray(stripes.astype(np.uint8)).convert("RGB").save(folder / "stripes.png")
    path = folder / "scene.xml"
    path.write_text(SCENE.replace("{more}", more))
    return path


def test_it_looks_like_the_file_that_it_was_read_from(tmp_path: Path) -> None:
    path = written(tmp_path)
    made = MitsubaRenderer.from_dict(dictionary(Scene(interiors.read(path), (32, 48)), 0))
    images = [
        renderer.render(64, seed).mean["color"]
        for seed, renderer in enumerate((MitsubaRenderer.from_file(path), made))
    ]
    coarse = [each.reshape(3, 4, 8, 6, 8).mean(axis=(2, 4)) for each in images]
    assert coarse[0].max() > 5 * coarse[0].mean()  # the lamp is seen
    assert_allclose(coarse[1], coarse[0], rtol=0.12, atol=0.01)


def test_shapes_of_one_material_are_one_mesh(tmp_path: Path) -> None:
    lamp, floor = interiors.read(written(tmp_path)).objects
    assert lamp.material == Light((4.0, 4.0, 4.0))
    assert isinstance(floor.material, Matte)
    assert isinstance(floor.material.color, Texture)
    assert floor.shape.faces.shape == (4, 3)  # type: ignore[union-attr]
    assert floor.shape.positions[:, 2].max() < 1e-6  # type: ignore[union-attr]  # z is up


def test_a_mirrored_light_shines_where_it_did(tmp_path: Path) -> None:
    path = written(tmp_path)
    mirrored = path.read_text().replace('value="1 0 0 0 0 0 -1 3 0', 'value="-1 0 0 0 0 0 1 3 0')
    for text in (path.read_text(), mirrored.replace("0 0 1 3 0 1 0 0", "0 0 -1 3 0 1 0 0")):
        path.write_text(text)
        lamp = interiors.read(path).objects[0].shape
        corners = lamp.positions[lamp.faces[0]]  # type: ignore[union-attr]
        normal = np.cross(corners[1] - corners[0], corners[2] - corners[0])
        assert normal[2] < 0  # down


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Bumpy", Plastic((0.1, 0.2, 0.3), 0.2)),
        ("Steel", Metal(0.1, (0.5, 0.5, 0.5))),
    ],
)
def test_materials_are_the_nearest_there_are(
    tmp_path: Path, name: str, expected: Plastic | Metal
) -> None:
    ball = f'<shape type="disk"><ref id="{name}"/></shape>'
    assert expected in [one.material for one in interiors.read(written(tmp_path, ball)).objects]


def test_a_mask_and_a_shape_with_a_material_of_its_own(tmp_path: Path) -> None:
    more = '<shape type="disk"><ref id="Net"/></shape>'
    more += '<shape type="disk"><bsdf type="dielectric"/></shape>'
    found = [one.material for one in interiors.read(written(tmp_path, more)).objects]
    assert any(isinstance(each, Leaf) for each in found)
    assert Glass(1.5) in found


def test_what_cannot_be_told_is_refused(tmp_path: Path) -> None:
    more = '<shape type="disk"><bsdf type="hair"/></shape>'
    with pytest.raises(InvalidScene, match="material 'hair'"):
        interiors.read(written(tmp_path, more))
