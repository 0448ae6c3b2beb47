"""Writes examples/scene/: one Mitsuba scene a frame, with its meshes and textures. Our own content.

A corner of a room: light comes through a window and from a small lamp. The camera travels, a
glass ball rolls, a metal knot and a box turn.

    python examples/make_scenes.py
"""

from pathlib import Path

import numpy as np
from PIL import Image

from kpcn_core.renderers.mitsuba import mi
from training.scenes import meshes, textures
from training.scenes.meshes import Mesh

FOLDER = Path(__file__).parent / "scene"
FRAMES = range(1, 8)
CENTRE = 4

SCENE = """\
<scene version="3.0.0">
  <default name="spp" value="16"/>
  <default name="resx" value="192"/>
  <default name="resy" value="108"/>
  <integrator type="path"><integer name="max_depth" value="10"/></integrator>
  <sensor type="perspective">
    <float name="fov" value="50"/>
    <transform name="to_world">
      <lookat origin="{camera}, -3.25, 1.35" target="{target}, 0.4, 0.7" up="0, 0, 1"/>
    </transform>
    <film type="hdrfilm">
      <integer name="width" value="$resx"/><integer name="height" value="$resy"/>
      <rfilter type="box"/>
    </film>
    <sampler type="independent"><integer name="sample_count" value="$spp"/></sampler>
  </sensor>
  <emitter type="constant"><rgb name="radiance" value="2.2, 2.8, 3.6"/></emitter>

  <bsdf type="twosided" id="wall"><bsdf type="diffuse">
    <rgb name="reflectance" value="0.72, 0.69, 0.62"/></bsdf></bsdf>
  <bsdf type="twosided" id="floor"><bsdf type="roughplastic">
    <float name="alpha" value="0.12"/>
    <texture type="bitmap" name="diffuse_reflectance">
      <string name="filename" value="wood.png"/>
      <transform name="to_uv"><scale x="2" y="2"/></transform></texture></bsdf></bsdf>
  <bsdf type="twosided" id="frame"><bsdf type="roughconductor">
    <string name="material" value="Au"/><float name="alpha" value="0.2"/></bsdf></bsdf>
  <bsdf type="twosided" id="picture"><bsdf type="diffuse">
    <texture type="bitmap" name="reflectance">
      <string name="filename" value="picture.png"/></texture></bsdf></bsdf>
  <bsdf type="twosided" id="print"><bsdf type="diffuse">
    <texture type="bitmap" name="reflectance">
      <string name="filename" value="print.png"/></texture></bsdf></bsdf>
  <bsdf type="twosided" id="clay"><bsdf type="roughplastic">
    <rgb name="diffuse_reflectance" value="0.10, 0.26, 0.42"/>
    <float name="alpha" value="0.1"/></bsdf></bsdf>
  <bsdf type="twosided" id="metal"><bsdf type="roughconductor">
    <string name="material" value="Cu"/><float name="alpha" value="0.15"/></bsdf></bsdf>
  <bsdf type="twosided" id="mirror"><bsdf type="conductor">
    <string name="material" value="Ag"/></bsdf></bsdf>
  <bsdf type="twosided" id="leaf"><bsdf type="diffuse">
    <rgb name="reflectance" value="0.16, 0.33, 0.08"/></bsdf></bsdf>
  <bsdf type="dielectric" id="glass"/>

{shapes}
</scene>
"""

SHAPE = """\
  <shape type="{kind}" id="{name}">{file}<transform name="to_world">
    {transform}</transform>{material}</shape>"""

LAMP = '<emitter type="area"><rgb name="radiance" value="28, 20, 11"/></emitter>'


def shape(
    name: str, kind: str, material: str, scale: str, at: str, turn: str = "", file: str = ""
) -> str:
    """One shape: scaled, turned, then moved."""
    transform = f'<scale value="{scale}"/>{turn}<translate value="{at}"/>'
    return SHAPE.format(
        kind=kind, name=name, transform=transform,
        file=f'<string name="filename" value="{file}"/>' if file else "",
        material=material if material.startswith("<") else f'<ref id="{material}"/>',
    )  # fmt: skip


def rotation(axis: str, degrees: float) -> str:
    """A rotation about an axis such as "0, 0, 1"."""
    return f'<rotate value="{axis}" angle="{degrees:.3f}"/>'


def still_shapes() -> list[str]:
    """The room, 4 by 4 by 2.5 metres, open to the camera and with a window on the left."""
    return [
        shape("ground", "cube", "floor", "2.2, 3, 0.05", "0, 0, -0.05"),
        shape("ceiling", "cube", "wall", "2.2, 3, 0.05", "0, 0, 2.55"),
        shape("back", "cube", "wall", "2.2, 0.05, 1.3", "0, 1.65, 1.25"),
        shape("right", "cube", "wall", "0.05, 3, 1.3", "2.05, 0, 1.25"),
        shape("behind", "cube", "wall", "2.2, 0.05, 1.3", "0, -3.4, 1.25"),
        shape("left_low", "cube", "wall", "0.05, 3, 0.35", "-2.05, 0, 0.35"),
        shape("left_high", "cube", "wall", "0.05, 3, 0.25", "-2.05, 0, 2.3"),
        shape("left_near", "cube", "wall", "0.05, 1.1, 0.7", "-2.05, -2, 1.4"),
        shape("left_far", "cube", "wall", "0.05, 0.35, 0.7", "-2.05, 1.3, 1.4"),
        shape("bar", "cube", "wall", "0.03, 0.03, 0.7", "-2.05, 0.05, 1.4"),
        shape("picture_frame", "cube", "frame", "0.47, 0.03, 0.35", "-0.75, 1.58, 1.42"),
        shape("picture_face", "cube", "picture", "0.43, 0.035, 0.31", "-0.75, 1.575, 1.42"),
        shape("mirror_face", "cube", "mirror", "0.3, 0.02, 0.5", "0.85, 1.58, 1.35"),
        shape("vase", "ply", "clay", "0.34", "-0.75, 0.55, 0.34", file="vase.ply"),
        shape("plant", "ply", "leaf", "0.45", "-0.75, 0.55, 0.93", file="plant.ply"),
        shape("lamp", "sphere", LAMP, "0.09", "1.45, 0.9, 1.6"),
    ]


def moving_shapes(time: float) -> list[str]:
    """What moves, at a time in frames from the centre frame."""
    roll = 0.045 * time
    ball_turn = rotation("0, 1, 0", np.degrees(roll / 0.26))
    knot_turn = rotation("0.2, 0.1, 1", 20 + 5 * time)
    return [
        shape("ball", "sphere", "glass", "0.26", f"{0.05 + roll:.4f}, -0.25, 0.26", ball_turn),
        shape("box", "cube", "print", "0.2", "0.95, -0.1, 0.2", rotation("0, 0, 1", 25 + 3 * time)),
        shape("knot", "ply", "metal", "0.42", "0.45, 0.75, 0.55", knot_turn, "knot.ply"),
    ]


def write_mesh(path: Path, mesh: Mesh) -> None:
    """A mesh as a binary PLY file."""
    made = mi.Mesh(
        path.stem, len(mesh.positions), len(mesh.faces),
        has_vertex_normals=mesh.smooth, has_vertex_texcoords=True,
    )  # fmt: skip
    values = mi.traverse(made)
    values["vertex_positions"] = mesh.positions.ravel()
    values["vertex_texcoords"] = mesh.texcoords.ravel()
    values["faces"] = mesh.faces.ravel()
    values.update()
    made.write_ply(str(path))


def write_texture(path: Path, image: textures.Image) -> None:
    """A texture as an 8-bit sRGB image of 128 by 128 pixels."""
    display = np.clip(image[::2, ::2], 0, 1) ** (1 / 2.2)
    Image.fromarray((display * 255).astype(np.uint8)).save(path)


def main() -> None:
    """Write everything."""
    FOLDER.mkdir(exist_ok=True)
    for name, make, seed in (
        ("vase", meshes.lathe, 11), ("plant", meshes.leaf_tuft, 5), ("knot", meshes.knot, 3),
    ):  # fmt: skip
        write_mesh(FOLDER / f"{name}.ply", make(np.random.default_rng(seed)))
    for name, paint, seed in (
        ("wood", textures.wood, 2),
        ("picture", textures.patches, 8),
        ("print", textures.printed, 4),
    ):  # fmt: skip
        write_texture(FOLDER / f"{name}.png", paint(np.random.default_rng(seed)))
    for frame in FRAMES:
        time = frame - CENTRE
        shapes = "\n".join([*still_shapes(), *moving_shapes(time)])
        camera, target = f"{0.1 + 0.04 * time:.4f}", f"{0.1 + 0.02 * time:.4f}"
        text = SCENE.format(camera=camera, target=target, shapes=shapes)
        (FOLDER / f"scene.{frame:04d}.xml").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
