"""All that a GPU is to show, in one command: tests, times beside their floors, memory, quality.

Each step runs in a process of its own, with a limit of time; one that fails, crashes or takes too
long is noted with its error, and the others run. OUT/gpu.json (with provenance) and OUT/gpu.md are
written anew after every step, so that what was measured is there whenever it ends.

Where there is no GPU, `--smoke` takes the same steps on a CPU, with images too small to tell
anything but that they run.

Example:
    python -m benchmarks.gpu out --minutes 25
    python -m benchmarks.gpu out --only device 'compact, bfloat16' 'Open Image Denoise'
    python -m benchmarks.gpu out --device cpu --smoke
"""

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import torch

from benchmarks import precision, provenance
from benchmarks.gpu_memory import peak
from benchmarks.gpu_table import page
from kpcn_core import oidn, weights
from kpcn_core.allocation import reuse_memory
from kpcn_core.atomic import replaced
from kpcn_core.bench.ceilings import COPIED, SIDES, Clock, ceilings
from kpcn_core.bench.frames import synthetic
from kpcn_core.bench.report import Plan, report
from kpcn_core.bench.run import in_turn
from kpcn_core.bench.sweep import SWEEPS
from kpcn_core.denoiser import Denoiser
from kpcn_core.device import PRECISIONS, choose_device
from kpcn_core.model.network import Network
from kpcn_core.provenance import device_name
from kpcn_core.settings import DEFAULT_MODEL
from kpcn_core.transfer import tensor
from training import config

ROOT = Path(__file__).parent.parent
EXAMPLES = tuple(sorted((ROOT / "examples").glob("noisy.*.exr")))
TESTS = (
    "fused", "fused_combiner", "fused_compositing", "fused_features", "fused_join",
    "fused_pyramid", "fused_sum", "streamed", "transfer", "waiting", "precision", "assembly",
    "denoiser", "footprint", "sequence_denoiser", "error_map", "restoration", "brightness",
)  # fmt: skip

Result = dict[str, Any]


@dataclass(frozen=True)
class Scope:
    """How much is measured.

    Attributes:
        device: see `choose_device`.
        paper: height and width of the frames of the paper's network.
        window: its frames.
        compact: height and width of the frames of the compact network.
        rounds: medians of.
        tests: of the test suite, by their names.
        frames: of which half precision is compared with float32.
        small: whether the paper's network is made tiny, too.
        memory: that a tile may take, bytes.
        sweeps: what grows, of `SWEEPS`.
        precisions: of features, the one that goals are about first.
    """

    device: str
    paper: tuple[int, int] = (804, 1920)
    window: int = 7
    compact: tuple[int, int] = (1080, 1920)
    rounds: int = 20
    tests: Sequence[str] = TESTS
    frames: Sequence[Path] = EXAMPLES[:3]
    small: bool = False
    memory: int = 64 << 30
    sweeps: Sequence[str] = tuple(SWEEPS)
    precisions: Sequence[str] = ("bfloat16", "float16", "float32")

    def paper_network(self) -> Network:
        """The paper's network, with random weights: times do not depend on them."""
        found = config.load("paper").network
        if self.small:
            kernels = dict.fromkeys(found.kernels, 3)
            found = replace(found, channels=(8,), blocks=1, kernels=kernels, neighbours=3)
        torch.manual_seed(0)
        return Network(found)


def smoke(device: str) -> Scope:
    """As little as takes every step; from here on, ceilings are of small things, too."""
    SIDES[device], COPIED[device] = 64, 1 << 16
    size = (16, 24)
    return Scope(
        device, paper=size, window=3, compact=size, rounds=1, tests=("transfer",),
        frames=EXAMPLES[:1], small=True, memory=1 << 30, sweeps=("layers",),
        precisions=("bfloat16",),
    )  # fmt: skip


@dataclass(frozen=True)
class Step:
    """Something to measure.

    Attributes:
        name: of its result.
        run: measures, in a process of its own.
        minutes: that it may take.
    """

    name: str
    run: Callable[[], Result]
    minutes: float = 5.0


def steps(scope: Scope) -> Iterator[Step]:
    """What goals are about comes first."""
    first, *others = scope.precisions
    yield Step("device", partial(roofs, scope), 2)
    yield Step(f"compact, {first}", partial(compact, scope, first))
    yield Step(f"paper, {first}", partial(paper, scope, first))
    yield Step("memory", partial(memory, scope))
    yield Step("Open Image Denoise", partial(peer, scope))
    yield Step("precision", partial(losses, scope))
    yield Step("tests", partial(tests, scope), 10)
    for name in others:
        yield Step(f"paper, {name}", partial(paper, scope, name))
        yield Step(f"compact, {name}", partial(compact, scope, name))
    yield Step("files", partial(files, scope))
    yield Step("growth", partial(growth, scope))


def roofs(scope: Scope) -> Result:
    """The device, and what it can do in each precision."""
    device = choose_device(scope.device)
    clock = Clock(device, time.perf_counter)
    found = {
        name: asdict(ceilings(clock, dtype, min(scope.rounds, 10)))
        for name, dtype in PRECISIONS.items()
    }
    return {"name": device_name(device), "cuda": torch.version.cuda, "roofs": found}


def paper(scope: Scope, name: str) -> Result:
    """A window of the paper's network, of the paper's three components."""
    denoiser = _denoiser(scope.paper_network(), scope, name)
    slow = replace(scope, rounds=min(scope.rounds, 5))
    return _bench(slow, denoiser, scope.paper, scope.window, emission=False)


def compact(scope: Scope, name: str) -> Result:
    """A frame of the network that ships, and another lambda."""
    return _bench(scope, _shipped(scope, name), scope.compact, 1)


def files(scope: Scope) -> Result:
    """From EXR to EXR, frame by frame and as a sequence, in the precision of the device."""
    denoiser = _shipped(scope, "auto")
    plan = Plan(scope.compact, peers=(), rounds=min(scope.rounds, 3), max_memory=scope.memory)
    return report({"compact": denoiser}, plan, print)


def growth(scope: Scope) -> Result:
    """How time grows with pixels, window, kernels and further layers."""
    plan = Plan(
        scope.compact, peers=(), sweeps=scope.sweeps, rounds=min(scope.rounds, 5),
        max_memory=scope.memory, files=False,
    )  # fmt: skip
    return report({"compact": _shipped(scope, "auto")}, plan, print)


def memory(scope: Scope) -> Result:
    """What a window of the paper's network takes, beside its logits."""
    denoiser = _denoiser(scope.paper_network(), scope, "auto")
    return peak(denoiser, scope.paper, scope.window, scope.memory)


def peer(scope: Scope) -> Result:
    """Open Image Denoise, the frame on the device already and the result left there."""
    device = choose_device(scope.device)
    frame = synthetic(*scope.compact)
    images = {
        name: tensor(frame[name], device)[0].permute(1, 2, 0).contiguous()
        for name in ("color", "albedo", "normal")
    }
    modes = ("high", "fast")
    works = [partial(oidn.denoise_images, images, quality=mode) for mode in modes]
    times = in_turn(works, scope.rounds, Clock(device, time.perf_counter))
    return {"size": scope.compact, "seconds": dict(zip(modes, times, strict=True))}


def losses(scope: Scope) -> Result:
    """Half precision beside float32, of rendered frames."""
    denoisers = {name: Denoiser.load(DEFAULT_MODEL, scope.device, name) for name in PRECISIONS}
    rows = [row for path in scope.frames for row in precision.rows(denoisers, path, 2.0)]
    return {"rows": [asdict(row) for row in rows]}


def tests(scope: Scope) -> Result:
    """Those that take a device, on this one; how many passed, and what did not."""
    output = Path(f"{os.getpid()}.xml").absolute()
    names = [f"tests/test_{name}.py" for name in scope.tests]
    command = [sys.executable, "-m", "pytest", "-q", "--junitxml", str(output), *names]
    try:
        subprocess.run(command, cwd=ROOT, check=False)
        cases = list(ElementTree.parse(output).iter("testcase"))
    finally:
        output.unlink(missing_ok=True)
    ends = {
        f"{case.get('classname')}.{case.get('name')}": {child.tag for child in case}
        for case in cases
    }
    failed = [name for name, tags in ends.items() if tags & {"failure", "error"}]
    skipped = sum("skipped" in tags for tags in ends.values())
    return {
        "passed": len(ends) - len(failed) - skipped, "skipped": skipped, "failed": failed,
    }  # fmt: skip


def _bench(
    scope: Scope, denoiser: Denoiser, size: tuple[int, int], window: int, emission: bool = True
) -> Result:
    plan = Plan(size, window, 0, scope.memory, (), (), scope.rounds, files=False, emission=emission)
    return report({"kpcn": denoiser}, plan, print)


def _denoiser(network: Network, scope: Scope, name: str) -> Denoiser:
    return Denoiser(network, choose_device(scope.device), precision=name)


def _shipped(scope: Scope, name: str) -> Denoiser:
    return _denoiser(weights.load(weights.find(DEFAULT_MODEL)), scope, name)


def measured(step: Step, seconds: float, log: Path) -> Result:
    """Run a step in a process of its own; its result, or its error, and how long it took.

    Args:
        step: what.
        seconds: that it may take at most; then it is ended.
        log: gets all that it prints.
    """
    begun = time.monotonic()
    result = log.with_suffix(".json")
    # A fork has all modules already. CUDA starts in it: a process that has used it cannot fork.
    child = multiprocessing.get_context("fork").Process(target=_child, args=(step, log, result))
    child.start()
    child.join(min(seconds, 60 * step.minutes))
    error = None
    if child.is_alive():
        _end(child.pid)
        error = f"took longer than {min(seconds, 60 * step.minutes):.0f} seconds"
    child.join()
    found: Result = {"seconds": round(time.monotonic() - begun, 1), "error": error}
    if result.is_file():
        found |= json.loads(result.read_text(encoding="utf-8"))
        result.unlink()
    elif error is None:
        found["error"] = f"the process ended with {child.exitcode}; see {log.name}"
    return found


def _end(leader: int | None) -> None:
    """End a step and what it started."""
    if leader is not None:
        os.killpg(leader, 9)


def _child(step: Step, log: Path, result: Path) -> None:
    os.setpgid(0, 0)
    with log.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    reuse_memory()
    try:
        found: Result = {"result": step.run()}
    except BaseException as error:
        traceback.print_exc()
        found = {"error": f"{type(error).__name__}: {error}"}
    with replaced(result, overwrite=True) as temporary:
        temporary.write_text(json.dumps(found), encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("output", type=Path, help="a folder")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--minutes", type=float, default=25.0, help="for all steps together")
    parser.add_argument("--smoke", action="store_true", help="tiny, and in one precision")
    parser.add_argument("--only", nargs="+", help="names of steps; all if not given")
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    scope = smoke(options.device) if options.smoke else Scope(options.device)
    every = list(steps(scope))
    chosen = [step for step in every if options.only is None or step.name in options.only]
    unknown = sorted(set(options.only or ()) - {step.name for step in every})
    if unknown:
        known = ", ".join(repr(step.name) for step in every)
        parser.error(f"--only {', '.join(unknown)}: there is no such step; there are {known}")
    # Not of the GPU, which only the steps may touch.
    origin = provenance.collect("benchmarks.gpu", torch.device("cpu"), ("triton", "pyoidn"))
    asked = asdict(scope) | {"frames": [path.name for path in scope.frames]}
    done: dict[str, Result] = {}
    found: Result = {"provenance": origin, "scope": asked, "steps": done}
    last = time.monotonic() + 60 * options.minutes
    for step in chosen:
        left = last - time.monotonic()
        print(f"{step.name} …", flush=True)
        log = options.output / f"{step.name.replace(', ', '-').replace(' ', '-')}.log"
        one: Result = {"error": "no time was left"} if left <= 0 else measured(step, left, log)
        done[step.name] = one
        print(f"  {one['error'] or f'''{one['seconds']} s'''}", flush=True)
        if step.name == "device":
            origin["device"] = str(one.get("result", {}).get("name", options.device))
        _write(options.output / "gpu.json", json.dumps(found, indent=1) + "\n")
        _write(options.output / "gpu.md", page(found))
    print(page(found))


def _write(path: Path, text: str) -> None:
    with replaced(path, overwrite=True) as temporary:
        temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
