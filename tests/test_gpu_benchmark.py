"""`python -m benchmarks.gpu`: every step runs, and whatever becomes of one, the others are written.

In processes of their own: the benchmark forks, which a test run with threads must not.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.timeout(900)  # most of it waiting, where others compute


def run(*words: str) -> str:
    found = subprocess.run(
        [sys.executable, *words], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return found.stdout


def written(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "gpu.json").read_text())
    return found


def test_every_step_runs_on_a_cpu_and_is_written_beside_its_goal(tmp_path: Path) -> None:
    run("-m", "benchmarks.gpu", str(tmp_path), "--device", "cpu", "--smoke")
    found, page = written(tmp_path), (tmp_path / "gpu.md").read_text()
    assert {name: step["error"] for name, step in found["steps"].items() if step["error"]} == {}
    assert {"commit", "command", "torch", "triton", "device"} <= found["provenance"].keys()
    results = {name: step["result"] for name, step in found["steps"].items()}
    assert results["paper, bfloat16"]["precision"] == "bfloat16"
    stages = results["paper, bfloat16"]["stages"]["kpcn"]
    assert {"trunk", "combiner", "kernels and joins", "denoise"} <= stages.keys()
    assert stages["trunk"]["reached"] > 0
    assert results["compact, bfloat16"]["stages"]["kpcn"]["another lambda"]["seconds"] > 0
    assert results["memory"]["logits"] == 4 * 9 * 4 * 3 * (16 * 24 + 8 * 12 + 4 * 6)
    assert results["Open Image Denoise"]["seconds"].keys() == {"high", "fast"}
    assert [row["precision"] for row in results["precision"]["rows"]] == [
        "float32", "bfloat16", "float16"
    ]  # fmt: skip
    assert results["tests"]["passed"] > 0
    assert results["tests"]["failed"] == []
    for line in ("the paper's network, a frame", "another λ", "peak memory / logits", "## paper"):
        assert line in page


def test_steps_that_fail_are_noted_and_do_not_stop_the_others(tmp_path: Path) -> None:
    run("-m", "benchmarks.gpu", str(tmp_path), "--device", "nothing", "--smoke")
    steps = written(tmp_path)["steps"]
    assert "this machine has no such device" in steps["device"]["error"]
    assert "this machine has no such device" in steps["growth"]["error"]
    assert steps["tests"]["error"] is None
    assert "no such device" in (tmp_path / "gpu.md").read_text()


def test_no_step_begins_without_time(tmp_path: Path) -> None:
    run("-m", "benchmarks.gpu", str(tmp_path), "--device", "cpu", "--smoke", "--minutes", "0")
    assert {step["error"] for step in written(tmp_path)["steps"].values()} == {"no time was left"}


def test_a_step_that_crashes_or_takes_too_long_is_ended_and_noted(tmp_path: Path) -> None:
    program = """
import json, os, signal, sys, time
from pathlib import Path
from benchmarks.gpu import Step, measured

slow = Step("slow", lambda: time.sleep(600) or {})
crash = Step("crash", lambda: os.kill(os.getpid(), signal.SIGKILL) or {})
good = Step("good", lambda: {"answer": 42})
log = Path(sys.argv[1]) / "step.log"
print(json.dumps([measured(slow, 1.0, log), measured(crash, 60.0, log), measured(good, 60.0, log)]))
"""
    slow, crash, good = json.loads(run("-c", program, str(tmp_path)))
    assert slow["error"] == "took longer than 1 seconds"
    assert crash["error"] == "the process ended with -9; see step.log"
    assert good["error"] is None
    assert good["result"] == {"answer": 42}
