"""`kpcn inspect`: what is in a file, what is missing, how its motion is stored."""

from pathlib import Path

from click.testing import CliRunner

from kpcn_core.cli.main import main
from tests.exr_files import named, rgb, save_exr, save_parts, xyz

GOLDEN = Path(__file__).parent / "golden"
FIRST, SECOND = (str(GOLDEN / f"cycles5_multipart.{number:04d}.exr") for number in (1, 2))


def inspect(*arguments: str, expected: int = 0) -> str:
    result = CliRunner().invoke(main, ["inspect", *arguments])
    assert result.exit_code == expected, result.output
    return result.stdout


def test_a_file_of_blender_is_laid_out() -> None:
    text = inspect(FIRST)
    assert "source: cycles" in text
    assert "attribute Software = Blender" in text
    assert "data window: 40 x 28 from (0, 0) in 19 of 19 parts" in text
    assert (
        "(ViewLayer.Diffuse Direct + ViewLayer.Diffuse Indirect) x ViewLayer.Diffuse Color" in text
    )
    assert "no color_mse: no variance" in text
    assert "not read" in text


def test_what_is_missing_says_what_it_costs(tmp_path: Path) -> None:
    path = str(save_exr(tmp_path / "in.exr", named(*rgb())))
    text = inspect(path)
    for aov in ("albedo", "normal", "diffuse", "color_mse", "forward", "backward"):
        assert f"no {aov}: " in text
    assert "no color" not in inspect(path).replace("no color_mse", "")


def test_a_file_without_a_beauty_can_be_looked_at(tmp_path: Path) -> None:
    text = inspect(str(save_exr(tmp_path / "in.exr", named(*rgb("paint")))))
    assert "no color: there is nothing to denoise" in text
    assert "paint" in text


def test_layers_and_source_can_be_named(tmp_path: Path) -> None:
    path = str(save_exr(tmp_path / "in.exr", named(*rgb(), *rgb("paint"), *xyz("bumpnormals"))))
    text = inspect(path, "--source", "vray", "--aov", "albedo=paint")
    assert "because: as asked" in text
    assert "albedo       <- paint [R G B]" in text
    assert "in camera space" in text


def test_parts_of_other_sizes_are_shown_before_they_are_refused(tmp_path: Path) -> None:
    parts = {"rgba": named(*rgb()), "albedo": named(*rgb(), height=4)}
    path = str(save_parts(tmp_path / "in.exr", parts, displayWindow=((0, 0), (11, 9))))
    text = inspect(path, expected=1)
    assert "data window: 12 x 10 from (0, 0) in 1 of 2 parts: rgba" in text
    assert "data window: 12 x 4 from (0, 0) in 1 of 2 parts: albedo" in text


def test_two_frames_give_the_convention_of_motion_as_the_source_has_it() -> None:
    text = inspect(FIRST, "--next", SECOND)
    toml = (Path(__file__).parent.parent / "kpcn_core" / "sources" / "cycles.toml").read_text()
    for aov in ("forward", "backward"):
        line = next(line for line in toml.splitlines() if line.startswith(f"{aov} = "))
        assert f"  {line}\n" in text
    assert "Not certain" not in text


def test_calibration_needs_a_motion_layer(tmp_path: Path) -> None:
    path = str(save_exr(tmp_path / "in.exr", named(*rgb())))
    result = CliRunner().invoke(main, ["inspect", path, "--next", path])
    assert result.exit_code == 1
    assert "no motion layer to calibrate" in result.stderr
