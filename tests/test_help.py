"""Every command's first page is fit for a person."""

import sys

import pytest
from click.testing import CliRunner

import training.cli
from kpcn_core.cli.main import COMMANDS, main


@pytest.mark.parametrize("words", [[], *([name] for name in COMMANDS)])
def test_help_is_short_and_shows_no_escape_codes(words: list[str]) -> None:
    result = CliRunner().invoke(main, [*words, "--help"])
    assert result.exit_code == 0, result.output
    assert "\\" not in result.output
    assert "\b" not in result.output
    assert len(result.output.splitlines()) < 50
    for line in result.output.splitlines():
        if "Example" in line:
            assert line.strip() in ("Example:", "Examples:")


def test_training_without_its_packages_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in [name for name in sys.modules if name.startswith(("lightning", "training.fit"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "lightning", None)
    result = CliRunner().invoke(training.cli.main, ["fit", "data", "run"])
    assert result.exit_code == 1
    assert "pip install 'kpcn[train]'" in result.output
