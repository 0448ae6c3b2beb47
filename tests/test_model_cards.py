"""The cards of docs/models.md tell what the files tell."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks import model_cards
from kpcn_core import model_card, weights
from kpcn_core.cli.main import main
from tests.networks import random_network


def test_every_card_is_up_to_date() -> None:
    text = model_cards.CARDS.read_text(encoding="utf-8")
    assert model_cards.with_facts(text) == text, "run python -m benchmarks.model_cards"
    for path in model_cards.shipped():
        assert weights.describe(path)["sha256"] in text


def test_other_weights_make_a_card_out_of_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    weights.save(tmp_path / "compact.safetensors", random_network(), {"steps": "1"})
    card = "before\n<!-- facts of compact -->\n<!-- end of facts -->\nafter\n"
    old = model_cards.with_facts(card)
    weights.save(tmp_path / "compact.safetensors", random_network(fold=2), {"steps": "1"})
    new = model_cards.with_facts(old)
    assert new != old
    assert new.startswith("before\n")
    assert new.endswith("\nafter\n")
    assert "not yet with these weights" in new
    weights.save(tmp_path / "other.safetensors", random_network(), {})
    with pytest.raises(ValueError, match="has cards of compact; what ships is compact, other"):
        model_cards.with_facts(new)


def test_figures_are_of_the_very_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    file = tmp_path / "compact.safetensors"
    weights.save(file, random_network(), {"steps": "1"})
    metrics = dict.fromkeys(("smape", "mrse", "dssim", "ms_dssim", "flip"), 0.25)
    images = {
        name: {"metrics": metrics, "brightness": 1.0, "seconds": 1.0}
        for name in ("noisy", "OIDN high", "kpcn compact")
    }
    origin = {
        "weights": f"compact, sha256 {weights.describe(file)['sha256']}",
        "date": "today 9:00",
    }
    measured = tmp_path / "quality.json"
    frames = [{"scene": "cycles/room", "spp": 8, "images": images}]
    measured.write_text(json.dumps({"provenance": origin, "frames": frames}))
    card = "<!-- facts of compact -->\n<!-- end of facts -->"
    assert "Measured on public interiors, cycles, today" in model_cards.with_facts(card, measured)
    origin["weights"] = "compact, sha256 of others"
    measured.write_text(json.dumps({"provenance": origin, "frames": frames}))
    assert "not yet with these weights" in model_cards.with_facts(card, measured)


def test_stages_come_in_their_order_whether_data_were_one_set_or_several() -> None:
    recipe = {"generator": "scenes 2", "renderer": "mitsuba 3", "spp": [2, 4]}
    first = {"stage": "single-frame", "steps": "7", "data_recipe": json.dumps(recipe)}
    sets = [{"recipe": recipe, "views": 5}, {"recipe": recipe | {"renderer": "cycles"}, "views": 6}]
    header = {
        "stage": "temporal", "steps": "9", "start": json.dumps(first),
        "data_recipe": json.dumps(sets), "training_minutes": "12",
    }  # fmt: skip
    before, after = model_card.stages(header)
    assert (before.name, before.minutes, before.data) == (
        "single-frame", "not recorded", "scenes 2 by mitsuba 3, 2, 4 spp",
    )  # fmt: skip
    assert (after.steps, after.minutes) == ("9", "12 min")
    assert (
        after.data
        == "scenes 2 by mitsuba 3, 5 views, 2, 4 spp; scenes 2 by cycles, 6 views, 2, 4 spp"
    )


def test_every_source_is_told_its_encoder() -> None:
    header = weights.describe(weights.find("compact"))
    chosen = model_card.encoders(header)
    assert {"kpcn", "renderman", "karma"} <= set(chosen["kpcn"])
    assert {"cycles", "luxcore"} <= set(chosen["split"])


def test_the_command_shows_the_essentials_and_all() -> None:
    short = CliRunner().invoke(main, ["models"]).output
    assert weights.describe(weights.find("compact"))["sha256"][:12] in short
    assert "encoder split: " in short
    assert max(map(len, short.splitlines())) < 200
    everything = CliRunner().invoke(main, ["models", "--all"]).output
    assert "training_config: " in everything
