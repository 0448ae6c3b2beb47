"""kpcn-husk-adaptive.py: even passes of a command that has husk's options and really renders."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np

from kpcn_core import exr, weights
from tests import husk_renderer
from tests.networks import random_network, random_predictor
from tests.test_render import HEIGHT, SCENE, WIDTH

SCRIPT = Path(__file__).parent.parent / "plugins" / "houdini" / "kpcn-husk-adaptive.py"


def run(folder: Path, husk: str, *more: str) -> "subprocess.CompletedProcess[str]":
    """The script, in a Python in which nothing of ours is installed."""
    scene = folder / "scene.xml"
    scene.write_text(SCENE.format(x=0, film=""))
    model = folder / "random.safetensors"
    weights.save(model, random_network(), {"steps": "0"})
    weights.save(model.with_stem("random-error"), random_predictor(), {"steps": "0"})
    words = [str(scene), "-o", str(folder / "final.%04d.exr"), "--size", f"{WIDTH}x{HEIGHT}",
             "--frames", "7", "--husk", husk]  # fmt: skip
    options = ["--initial", "4", "--model", str(model), "--device", "cpu"]
    return subprocess.run(
        [sys.executable, "-I", "-S", str(SCRIPT), *words, *more, "--", *options],
        env={**os.environ, "KPCN_PYTHON": sys.executable},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_passes_are_renders_with_seeds_of_their_own_until_the_error_is_small(
    tmp_path: Path,
) -> None:
    renderer = tmp_path / "renderer.py"
    log = tmp_path / "commands.txt"
    renderer.write_text(
        f"import sys\nsys.path.insert(0, {str(Path(__file__).parent.parent)!r})\n"
        f"open({str(log)!r}, 'a').write(' '.join(sys.argv[1:]) + '\\n')\n"
        f"from {husk_renderer.__name__} import main\nmain()\n"
    )
    husk = shlex.join([sys.executable, str(renderer), "-V", "2"])
    done = run(tmp_path, husk, "--budget", "64", "--batches", "2", "--target-error", "1000")
    assert done.returncode == 0, done.stderr
    commands = [line.split() for line in log.read_text().splitlines()]
    assert len(commands) == 2
    assert [words[words.index("-p") + 1] for words in commands] == ["2", "2"]
    assert len({words[words.index("--lock-random") + 1] for words in commands}) == 2
    assert all(words[words.index("-f") + 1] == "7" for words in commands)
    (record,) = map(json.loads, (tmp_path / "final.0007.log.jsonl").read_text().splitlines())
    assert record["stop"] == "target"
    final = exr.read(tmp_path / "final.0007.exr")
    assert np.all(final["sample_count"] == 4)
    assert final["color"].shape == (3, HEIGHT, WIDTH)


def test_a_render_that_fails_is_the_scripts_failure(tmp_path: Path) -> None:
    done = run(tmp_path, f"{sys.executable} -c 'raise SystemExit(3)'", "--budget", "8")
    assert done.returncode == 1
    assert "Error: " in done.stderr
    assert not (tmp_path / "final.0007.exr").exists()
