"""What procedural rooms are furnished with: foliage, mirrors, and many small parts."""

from collections.abc import Callable

import numpy as np
import pytest

from tests.furnished import CAMERA, INSIDE, empty, furnished, in_view, points
from tests.test_stored_scenes import assert_same
from training.renderers.mitsuba import MitsubaScene
from training.scenes import Scene, coverings, foliage, parts, scene
from training.scenes.materials import matte
from training.scenes.meshes import Mesh
from training.scenes.mirrors import shown
from training.scenes.places import Floor, Spot, on_wall
from training.scenes.rooms import KINDS
from training.scenes.stage import Stage

BULGE = 0.12  # how far things may reach into a wall, metres

Furnish = Callable[[np.random.Generator, Stage, Floor], None]


@pytest.mark.parametrize("furnish", KINDS)
def test_each_kind_stands_in_the_room_and_in_view(furnish: Furnish) -> None:
    seen = 0
    for seed in range(6):
        stage, floor = empty(seed), Floor(INSIDE, CAMERA)
        furnish(np.random.default_rng(seed), stage, floor)
        added = [points(placed) for placed in stage.objects[1:]]
        for each in added:
            assert np.isfinite(each).all()
            assert (each > -BULGE).all()
            assert (each < np.array([INSIDE.width, INSIDE.depth, INSIDE.height]) + BULGE).all()
        seen += any(in_view(each, CAMERA) for each in added)
    assert seen >= 5


@pytest.mark.parametrize("furnish", KINDS)
def test_a_kind_is_a_matter_of_the_seed(furnish: Furnish) -> None:
    first, again, other = empty(0), empty(0), empty(0)
    for seed, stage in ((1, first), (1, again), (2, other)):
        furnish(np.random.default_rng(seed), stage, Floor(INSIDE, CAMERA))
    assert_same(again, first)
    assert len(first.objects) > 1
    assert repr(other.objects) != repr(first.objects)


def test_rooms_are_furnished_within_their_means() -> None:
    found = [scene(seed).stage.objects for seed in range(1, 25)]
    triangles = [
        sum(len(one.shape.faces) for one in objects if isinstance(one.shape, Mesh))
        for objects in found
    ]
    assert np.mean(triangles) < 50_000
    assert max(len(objects) for objects in found) < 250


@pytest.mark.parametrize("habit", [foliage.blades, foliage.stalks, foliage.shrub, foliage.fronds])
@pytest.mark.parametrize("seed", range(4))
def test_plants_have_leaves_within_their_height_above_the_floor(
    habit: Callable[[np.random.Generator], tuple[Mesh, Mesh | None]],
    seed: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    leaves, _ = habit(np.random.default_rng(seed))
    corners = leaves.positions[leaves.faces].astype(np.float64)
    area = np.linalg.norm(
        np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1
    )
    assert (area > 0).all()
    assert 100 < len(area) < 25_000
    monkeypatch.setattr(foliage, "HABITS", (habit,))
    stage = empty(0)
    foliage.pot_plant(np.random.default_rng(seed), stage, Spot((0.0, 0.0, 0.0)), 0.4, 1.2)
    grown = np.concatenate([points(placed) for placed in stage.objects[1:]])
    assert grown[:, 2].min() >= -1e-6
    assert 0.6 < grown[:, 2].max() <= 1.2 + 1e-6
    assert np.abs(grown[:, :2]).max() <= 0.4 + 1e-6


@pytest.mark.parametrize(
    "mesh",
    [
        parts.boxes([[0, 0, 0], [2, 0, 0]], [[1, 2, 3], [3, 1, 1]], [0.0, 0.4]),
        parts.turned([0.0, 1.0, 0.5, 0.0], [0.0, 0.0, 1.0, 1.0]),
    ],
)
def test_closed_parts_face_outwards(mesh: Mesh) -> None:
    assert volume(mesh) > 0.5


def test_boxes_keep_their_size_when_tilted() -> None:
    assert volume(parts.boxes([0, 0, 0], [1, 2, 3], 0.7)) == pytest.approx(6.0, rel=1e-5)


def volume(mesh: Mesh) -> float:
    """What a closed surface encloses; negative if it faces inwards."""
    a, b, c = np.moveaxis(mesh.positions[mesh.faces].astype(np.float64), 1, 0)
    return float((a * np.cross(b, c)).sum() / 6)


def test_panels_and_rods_face_away_from_what_they_are_on() -> None:
    panel = parts.panels([[0, 0], [2, 0]], [[1, 1], [3, 2]], 0.1, 0.02)
    assert normals(panel)[:, 1].min() > -1e-6
    rod = parts.rods([[0, 0, 0]], [[1, 1, 1]], 0.1)
    middle = rod.positions[rod.faces].mean(axis=1)
    outwards = middle - middle @ np.full((3, 1), 3**-0.5) * 3**-0.5
    assert (normals(rod) * outwards).sum(axis=1).min() > 0


def normals(mesh: Mesh) -> np.ndarray:
    a, b, c = np.moveaxis(mesh.positions[mesh.faces].astype(np.float64), 1, 0)
    return np.cross(b - a, c - a)


def test_a_spot_puts_a_mesh_where_its_axes_say() -> None:
    box = parts.boxes([-0.5, 0.0, 0.0], [0.5, 0.2, 1.0])
    for side in range(4):
        stage = Stage(CAMERA)
        on_wall(INSIDE, side, 2.0).put(stage, box, matte(np.random.default_rng(0)))
        low, high = (getattr(points(stage.objects[0]), end)(axis=0) for end in ("min", "max"))
        along, out = (0, 1) if side % 2 == 0 else (1, 0)
        assert (low[along], high[along]) == pytest.approx((1.5, 2.5), abs=1e-5)
        far = (INSIDE.depth, INSIDE.width)[side % 2]
        expected = (0.0, 0.2) if side < 2 else (far - 0.2, far)
        assert (low[out], high[out]) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("side", [1, 2, 3])
def test_a_mirror_shows_what_lies_behind_it_as_its_image(side: int) -> None:
    """The image of a thing in a mirror lies on the line from the eye through the mirror."""
    mirrored = np.array(on_wall(INSIDE, side, 2.5, 1.4).position)
    wall, along = shown(INSIDE, CAMERA.origin, tuple(mirrored.tolist()), side)
    assert wall != side
    image = np.array(on_wall(INSIDE, wall, along, 0.0).position)
    axis = 1 if side == 2 else 0
    image[axis] = 2 * mirrored[axis] - image[axis]
    towards, beyond = mirrored - CAMERA.origin, image - CAMERA.origin
    assert towards[0] * beyond[1] == pytest.approx(towards[1] * beyond[0], abs=1e-6)


def test_nothing_is_put_where_something_is() -> None:
    floor, rng = Floor(INSIDE, CAMERA), np.random.default_rng(0)
    spots = [floor.free(rng, 0.5) for _ in range(12)]
    places = np.array([spot.position[:2] for spot in spots if spot is not None])
    away = np.linalg.norm(places[:, None] - places[None], axis=-1)
    assert len(places) > 3
    assert away[~np.eye(len(places), dtype=bool)].min() > 0.9


def test_walls_and_windows_are_covered_within_their_edges() -> None:
    for seed in range(12):
        rng, stage = np.random.default_rng(seed), Stage(CAMERA)
        coverings.wall_covering(rng, stage, INSIDE, 1, matte(rng), 1.1)
        tiles = points(stage.objects[0])
        assert tiles[:, 2].max() <= 1.1 + 1e-5
        assert -1e-5 <= tiles[:, 1].min() <= tiles[:, 1].max() <= INSIDE.depth + 1e-5
        coverings.window_dressing(rng, stage, INSIDE, 2, ((0.2, 1.0), (2.0, 2.4)))
        dressing = np.concatenate([points(placed) for placed in stage.objects[1:]])
        assert dressing[:, 0].min() >= -1e-5
        assert INSIDE.depth - 0.3 < dressing[:, 1].min()


def test_a_furnished_room_renders() -> None:
    frame = MitsubaScene(Scene(furnished(3), (24, 32))).renderer().render(4, 0).frame()
    assert np.isfinite(frame["color"]).all()
    assert frame["color"].mean() > 0
