"""A session: within its time, from an empty folder to weights, and further the next time."""

from itertools import count
from pathlib import Path

from PIL import Image

from kpcn_core import weights
from tests.noisy_scene import NoisyScene
from tests.test_several import CONFIG, RUN
from tests.training_data import RECIPE, make_dataset
from training import config as configs
from training.dataset import Dataset, Manifest
from training.fit import CHECKPOINT
from training.patch_pages import draw_patches, patches_a_second
from training.release import read_checkpoint
from training.renderers.sources import SceneSource
from training.rendering import ReferenceGoal
from training.session import Plan, session


def test_a_session_renders_trains_measures_and_the_next_goes_on(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(CONFIG + RUN)
    folder = tmp_path / "work"
    plan = Plan(folder, configs.load(str(config)), RECIPE, ReferenceGoal(spp=64), seconds=60)
    source = SceneSource(RECIPE.renderer, NoisyScene)
    told: list[str] = []
    steps = [work(plan, source, told) for _ in range(2)]
    assert 0 < steps[0] < steps[1]
    assert {0, 1} <= set(Manifest.read(folder / "data").views)
    assert any(line.startswith("seed 0: 8spp") for line in told)


def work(plan: Plan, source: SceneSource, told: list[str]) -> int:
    """A session on whose clock everything takes a while; the steps until its end."""
    ticks = count()
    output = session(plan, source, lambda: float(next(ticks)), tell=told.append)
    assert weights.load(output)
    steps: int = read_checkpoint(plan.folder / "run" / CHECKPOINT)["global_step"]
    return steps


def test_patches_are_shown_on_the_view_they_are_of(tmp_path: Path) -> None:
    data, config = make_dataset(tmp_path / "data"), tmp_path / "config.toml"
    config.write_text(CONFIG)
    made = list(draw_patches(Dataset(data.folder), configs.load(str(config)), tmp_path))
    assert [path.name for path in made] == ["000001.png", "000002.png", "000003.png"]
    with Image.open(made[0]) as image:
        assert image.size == (2 * 64, 48)
        assert (255, 220, 0) in image.crop((0, 0, 64, 48)).get_flattened_data()
    assert patches_a_second(data, configs.load(str(config)), 0, batches=2) > 0
