"""What RenderMan's denoise_batch takes, we take."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from kpcn_core import exr, renderman
from kpcn_core.cli.main import main
from kpcn_core.errors import KpcnError, MissingFrames, UnreadableFile, Unsupported, UnwritableFile
from tests.exr_files import all_channels, named, rgb, same_bits, save_exr, xyz
from tests.shots import Shot, make_shot

LAYERS = [*rgb(), *rgb("albedo"), *xyz("normal"), *rgb("diffuse"), *rgb("specular"), *rgb("key")]


def read(layer: str, name: str = "${NOISY}") -> dict[str, Any]:
    return {"layer": layer, "filename": name}


def output(layer: str, to: str, name: str = "${CLEAN}") -> dict[str, Any]:
    return {"read": read(layer), "write": read(to, name)}


def a_pass(name: str, layer: str, *outputs: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "input": read(layer),
        "input_variance": read(f"{layer}_mse"),
        "outputs": list(outputs),
    }


def content(**settings: Any) -> dict[str, Any]:
    """A configuration as pipelines write it."""
    return {
        "settings": {
            "albedo": read("albedo"),
            "albedo_variance": read("albedo_var"),
            "normal": read("normal"),
            "normal_variance": read("normal_mse"),
            "sample_count": read("sampleCount"),
            "flow": read("Ci"),
            "topology": "${RMANTREE}/lib/denoise/full_w7_4sv2_sym_gen2.topo",
            "parameters": "${RMANTREE}/lib/denoise/20970-renderman.param",
            "asymmetry": 0.0,
            "tiles": [1, 1],
            "progress": True,
            **settings,
        },
        "passes": [
            a_pass("alpha", "A", output("A", "A")),
            a_pass("diffuse", "diffuse", output("diffuse", "RGB"), output("key", "key")),
            a_pass(
                "specular", "specular", output("specular", "RGB"), output("specular", "specular")
            ),
        ],
    }


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NOISY", str(tmp_path / "noisy.####.exr"))
    monkeypatch.setenv("CLEAN", str(tmp_path / "clean" / "clean.####.exr"))
    for number in range(1, 8):
        (tmp_path / f"noisy.{number:04d}.exr").touch()
    return tmp_path


def written(folder: Path, made: dict[str, Any]) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps(made))
    return path


def test_a_configuration_is_understood(folder: Path) -> None:
    found = renderman.read(written(folder, content(asymmetry=0.5, overwrite="OverwriteChannels")))
    assert found.pattern == str(folder / "noisy.####.exr")
    assert found.output == str(folder / "clean" / "clean.####.exr")
    assert found.layers == {"albedo_mse": "albedo_var"}
    assert found.aovs == ("color", "specular")
    assert found.extra == {"key": "diffuse"}
    assert found.window == 7
    assert found.asymmetry == pytest.approx(10**0.5)
    assert found.in_place


def test_frames_to_read_and_frames_to_write(folder: Path) -> None:
    settings = {"frame-include": "2-6", "frame-exclude": "2-3,5-6"}
    (folder / "clean").mkdir()
    (shot,) = renderman.read(written(folder, content(**settings))).shots()
    assert [source.name for source, _ in shot.files] == ["noisy.0004.exr"]
    assert [target.name for _, target in shot.files] == ["clean.0004.exr"]
    whole = renderman.read(written(folder, content(**{"frame-exclude": "-1"}))).shots()
    assert len(whole[0].files) == 7


def test_frames_that_are_missing(folder: Path) -> None:
    (folder / "clean").mkdir()
    with pytest.raises(MissingFrames, match="8-9"):
        renderman.read(written(folder, content(**{"frame-include": "5-9"}))).shots()


def test_inputs_are_replaced_only_on_request(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLEAN", str(folder / "noisy.####.exr"))
    with pytest.raises(UnwritableFile, match="would replace the input"):
        renderman.read(written(folder, content())).shots()
    path = written(folder, content(overwrite="OverwriteChannels"))
    assert len(renderman.read(path).shots()[0].files) == 7


def several_inputs(made: dict[str, Any]) -> None:
    made["passes"][0]["input"]["filename"] = "variance.####.exr"


def several_outputs(made: dict[str, Any]) -> None:
    made["passes"][0]["outputs"][0]["write"]["filename"] = "alpha.####.exr"


@pytest.mark.parametrize(
    ("change", "error", "expected"),
    [
        (several_inputs, Unsupported, "one input file"),
        (several_outputs, Unsupported, "one output file"),
        (lambda made: made.update(passes=[]), Unsupported, "no pass has an output"),
        (lambda made: made.pop("settings"), UnreadableFile, "'settings'"),
        (lambda made: made["passes"][0].pop("input"), UnreadableFile, "'input'"),
        (lambda made: made.update(passes="all"), UnreadableFile, "of another form"),
        (lambda made: made.update(settings=[]), UnreadableFile, "of another form"),
    ],
)
def test_what_is_not_understood_is_refused(
    folder: Path, change: Any, error: type[KpcnError], expected: str
) -> None:
    made = content()
    change(made)
    with pytest.raises(error, match=rf"config\.json: .*{expected}"):
        renderman.read(written(folder, made))


@pytest.mark.parametrize("text", ["", "{", "[1]", "null", "\xff"])
def test_a_broken_configuration(folder: Path, text: str) -> None:
    path = folder / "config.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(UnreadableFile):
        renderman.read(path)
    with pytest.raises(UnreadableFile, match="No such file"):
        renderman.read(folder / "none.json")


@pytest.fixture
def shot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shot:
    made = make_shot(tmp_path)
    monkeypatch.setenv("NOISY", made.noisy)
    monkeypatch.setenv("CLEAN", str(tmp_path / "clean" / "c.####.exr"))
    return made


def run(*words: str) -> str:
    result = CliRunner().invoke(main, ["denoise_batch", "--device", "cpu", *words])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_command_writes_what_kpcn_denoise_writes(shot: Shot) -> None:
    made = content()
    made["settings"].pop("albedo_variance")
    made["settings"]["topology"] = ""
    made["passes"] = [a_pass("diffuse", "diffuse", output("diffuse", "RGB"))]
    lines = run("-j", str(written(shot.folder, made)), "-p", "--model", shot.model).splitlines()
    assert "100%" in lines
    command = ["denoise", shot.noisy, "-o", str(shot.folder / "k.####.exr"), "--model", shot.model]
    assert CliRunner().invoke(main, [*command, "--device", "cpu"]).exit_code == 0
    for number, ours in enumerate(shot.outputs("k"), 1):
        theirs = shot.folder / "clean" / f"c.{number:04d}.exr"
        assert theirs.read_bytes() == ours.read_bytes()


def test_images_go_to_a_folder(shot: Shot) -> None:
    folder = shot.folder / "new" / "clean"
    words = ["-o", str(folder), "-a", "0", "-f", "--tiles", "2", "2", "-v", "--clean-alpha"]
    listed = run(*words, "-dr", "--frame-include", "1-3", "--frame-exclude", "2", shot.noisy)
    assert [line.split(" -> ")[1] for line in listed.splitlines()] == [
        str(folder / f"noisy.{number:04d}.exr") for number in (1, 3)
    ]
    run(*words, "--model", shot.model, shot.noisy)
    for source in shot.outputs("noisy"):
        noisy, clean = exr.read(source), exr.read(folder / source.name)
        assert (noisy["alpha"] != clean["alpha"]).any()


def test_crossframe_estimates_motion_where_files_have_none(shot: Shot) -> None:
    pytest.importorskip("cv2")
    folder = shot.folder / "clean"
    run("-cf", "-f", "-o", str(folder), "--model", shot.model, shot.noisy)
    alone, crossed = shot.by_command("alone")[1], folder / shot.outputs("noisy")[1].name
    assert (exr.read(alone)["color"] != exr.read(crossed)["color"]).any()


@pytest.mark.parametrize("words", [[], ["beauty.exr"]])
def test_nothing_to_do_is_a_mistake(words: list[str]) -> None:
    assert CliRunner().invoke(main, ["denoise_batch", *words]).exit_code == 2


def test_renderman_layers_are_read_as_they_are(tmp_path: Path, shot: Shot) -> None:
    """Other layers pass through."""
    save_exr(tmp_path / "beauty.exr", named(*LAYERS))
    run("-o", str(tmp_path / "clean"), "--model", shot.model, str(tmp_path / "beauty.exr"))
    before, after = (all_channels(tmp_path / name) for name in ("beauty.exr", "clean/beauty.exr"))
    assert all(same_bits(before[key], after[key]) for key in before if "." in key[1])
    assert exr.read(tmp_path / "clean" / "beauty.exr")["color"].any()
