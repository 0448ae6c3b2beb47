"""The folder for Nuke's Cattery: what is in it, and that its parts fit together."""

import json
from importlib import import_module
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from numpy.testing import assert_allclose
from PIL import Image

from kpcn_core import weights
from kpcn_core.aov import AOVS
from kpcn_core.cli.main import main
from kpcn_core.export import icon
from kpcn_core.frame import Frame
from tests.exports import denoiser, loaded, network
from tests.fakes import comp
from tests.frames import random_frame
from tests.nuke_host import Session

pytestmark = pytest.mark.usefixtures("kernels_alone")

NAME = "KpcnLive"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    weights.save(path, network(), {})
    return path


@pytest.fixture(scope="module")
def folders(model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """By encoder."""
    found = {name: tmp_path_factory.mktemp(name) / NAME for name in ("split", "kpcn", "beauty")}
    for encoder, folder in found.items():
        result = export(folder, model, "--encoder", encoder)
        assert result[0] == 0, result
    return found


def export(folder: Path, model: Path, *options: str) -> tuple[int, str]:
    command = ["export", "nuke", "-o", str(folder), "--model", str(model), *options]
    result = CliRunner().invoke(main, command)
    return result.exit_code, result.output


def stream(frame: Frame) -> comp.Stream:
    """A frame as Nuke has it."""
    found: comp.Stream = {}
    for name, pixels in frame.aovs.items():
        suffixes = ("red", "green", "blue", "alpha") if len(pixels) == 3 else ("alpha",)
        layer = "rgba" if name in ("color", "alpha") else name
        found |= {f"{layer}.{one}": plane for one, plane in zip(suffixes, pixels, strict=False)}
    return found


def color(result: comp.Stream) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.stack([result[name] for name in comp.COLORS[:3]])


@pytest.mark.parametrize("encoder", ["split", "kpcn", "beauty"])
def test_the_gizmo_gives_what_the_denoiser_does(folders: dict[str, Path], encoder: str) -> None:
    gizmo = comp.Gizmo(folders[encoder] / f"{NAME}.gizmo")
    gizmo.create(list(AOVS))
    frame = random_frame(21, 27)
    gizmo.values["asymmetry"] = 4.0
    result = gizmo.run({0: stream(frame)})
    expected = denoiser().denoise(frame, encoder=encoder, asymmetry=4.0)["color"]
    assert_allclose(color(result), expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    kept = stream(frame)
    assert all((result[name] == kept[name]).all() for name in kept if name not in comp.COLORS[:3])
    gizmo.values["use_half"] = 1
    half = color(gizmo.run({0: stream(frame)}))
    assert 0 < np.abs(half - expected).mean() < 0.02 * np.abs(expected).mean()


def test_the_gizmos_mask_says_where_the_asymmetry_applies(folders: dict[str, Path]) -> None:
    gizmo = comp.Gizmo(folders["split"] / f"{NAME}.gizmo")
    gizmo.create(list(AOVS))
    frame = random_frame(21, 27)
    mask = np.random.default_rng(0).random(frame.size, np.float32)
    gizmo.values |= {"asymmetry": 4.0, "use_mask": 1}
    result = gizmo.run({0: stream(frame), 1: {"rgba.alpha": mask}})
    slope = np.power(np.float32(4), mask)
    expected = denoiser().denoise(frame, encoder="split", asymmetry=slope)["color"]
    assert_allclose(color(result), expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_the_gizmo_shows_what_was_not_finite(folders: dict[str, Path]) -> None:
    gizmo = comp.Gizmo(folders["split"] / f"{NAME}.gizmo")
    gizmo.create(list(AOVS))
    given = stream(random_frame(21, 27))
    given["rgba.red"] = given["rgba.red"].copy()
    given["rgba.red"][3, 4] = np.nan
    result = gizmo.run({0: given})
    assert np.isfinite(color(result)).all()
    assert result["mask.a"].sum() == result["mask.a"][3, 4] == 1
    assert (result["rgba.alpha"] == given["rgba.alpha"]).all()


def test_the_gizmo_takes_only_layers_that_are_there(folders: dict[str, Path]) -> None:
    gizmo = comp.Gizmo(folders["split"] / f"{NAME}.gizmo")
    gizmo.layers["normal"] = "N"  # as someone chose
    gizmo.create(["rgba", "albedo", "normal"])
    assert gizmo.layers == {"normal": "N", "albedo": "albedo"}


def test_the_folder_says_what_wrote_it(folders: dict[str, Path], model: Path) -> None:
    folder = folders["split"]
    assert {path.name for path in folder.iterdir()} == {
        f"{NAME}.pt", f"{NAME}_half.pt", f"{NAME}.gizmo", f"{NAME}.png", "build_cat.py",
        "cat.json", "kpcn.json",
    }  # fmt: skip
    about = json.loads((folder / "kpcn.json").read_text(encoding="utf-8"))
    assert about["torch"] == torch.__version__
    assert about["encoder"] == "split"
    assert weights.describe(model)["sha256"] in about["network"]
    for name in about["modules"]:
        inside = {"kpcn.json": ""}
        loaded(folder / name, inside)
        assert json.loads(inside["kpcn.json"]) == about
    assert (folder / f"{NAME}_half.pt").stat().st_size < (folder / f"{NAME}.pt").stat().st_size
    card = json.loads((folder / "cat.json").read_text(encoding="utf-8"))
    assert torch.__version__ in card["description"]
    for one in card["cats"]:
        assert (folder / one["filepath"]).is_file()
        assert (folder / one["icon"]).is_file()


def test_nukex_makes_the_cat_files_by_the_script_in_the_folder(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    session = Session(monkeypatch, tmp_path)
    monkeypatch.syspath_prepend(str(folders["split"]))
    made = import_module("build_cat").build(folders["split"])
    assert [path.name for path in made] == [f"{NAME}.cat", f"{NAME}_half.cat"]
    assert session.state.root is not None
    assert not session.state.root.nodes()


def test_nothing_is_replaced_unless_asked(folders: dict[str, Path], model: Path) -> None:
    folder = folders["split"]
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    code, output = export(folder, model)
    assert code == 1
    assert "exists already" in output
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--encoder", "none"], "has no encoder 'none'; it has"),
        (["--model", "none"], "No network is called"),
    ],
)
def test_what_does_not_exist_is_refused(
    model: Path, tmp_path: Path, options: list[str], expected: str
) -> None:
    code, output = export(tmp_path / NAME, model, *options)
    assert code == 1
    assert expected in output
    assert not (tmp_path / NAME).exists()


def test_the_icon_is_a_picture() -> None:
    assert icon.png() == icon.png()
    with Image.open(BytesIO(icon.png())) as picture:
        assert picture.size == (128, 128)
        assert picture.mode == "RGBA"
        picture.load()
