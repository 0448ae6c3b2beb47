"""Mutated EXR files are read or refused: no crash, no hang, bounded memory.

    python -m benchmarks.fuzz_exr [FILES…] [--minutes 10] [--json fuzz.json]

Starts from files of every codec and kind (`exr_seeds`) and from those that are named. Each batch is
read in a process of its own with a limit on memory and time, so that whatever a file does to it is
seen and counted. The file that did it is kept.
"""

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import torch

from benchmarks import exr_seeds, provenance
from benchmarks.exr_mutations import mutated
from kpcn_core import exr
from kpcn_core.errors import KpcnError

BATCH = 200
MEMORY = 3 << 30  # bytes of address space
SECONDS = 60  # of computing, for a batch
PATIENCE = 1800  # seconds for a batch on a busy machine
MOST = ("MiB at most", "milliseconds at most")  # not counted, but the highest kept


def batch(seed: int, files: list[Path], folder: Path) -> None:
    """Read mutated files and print what became of them."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    generator = random.Random(seed)
    contents = [path.read_bytes() for path in files]
    counts: Counter[str] = Counter()
    path = folder / f"{seed}.exr"
    longest = 0.0
    for _ in range(BATCH):
        path.write_bytes(mutated(generator.choice(contents), generator))
        start = time.process_time()
        outcome = _outcome(path)
        longest = max(longest, time.process_time() - start)
        counts[outcome] += 1
        if outcome.startswith("not handled"):
            path.rename(folder / f"{seed}-{counts.total()}.exr")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    path.unlink(missing_ok=True)
    print(json.dumps({**counts, **dict(zip(MOST, (memory, round(1000 * longest)), strict=True))}))


def _outcome(path: Path) -> str:
    try:
        exr.read(path)
    except KpcnError as error:
        kind = f"refused: {type(error).__name__}"
        return kind if str(path) in str(error) else f"not handled: {kind} without its name"
    except Exception as error:
        return f"not handled: {type(error).__name__}"
    return "read"


def run(files: list[Path], minutes: float, seed: int, folder: Path) -> dict[str, int]:
    """Batches until the time is over; counts of all."""
    total: Counter[str] = Counter()
    most = dict.fromkeys(MOST, 0)
    end = time.monotonic() + 60 * minutes
    while time.monotonic() < end:
        command = [sys.executable, "-m", "benchmarks.fuzz_exr", "--seed", str(seed), "--batch"]
        command += ["--folder", str(folder), *map(str, files)]
        seed += 1
        try:
            done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)
        except subprocess.TimeoutExpired:
            total["hung"] += 1
            continue
        if done.returncode:
            total[f"crashed with {done.returncode}"] += 1
            continue
        counts: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
        most = {name: max(most[name], counts.pop(name)) for name in MOST}
        total += Counter(counts)
    return {"files": sum(total.values()), **total, **most}


def main() -> None:
    """Run it as a command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", type=Path, nargs="*")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--folder", type=Path, help="gets the files that were not handled")
    parser.add_argument("--batch", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    folder = asked.folder or Path(tempfile.mkdtemp(prefix="fuzz-"))
    if asked.batch:
        batch(asked.seed, asked.files, folder)
        return
    with tempfile.TemporaryDirectory() as seeds:
        files = [*exr_seeds.write(Path(seeds)), *asked.files]
        counts = run(files, asked.minutes, asked.seed, folder)
    print("| outcome | files |\n|---|---|")
    for name, count in sorted(counts.items()):
        print(f"| {name} | {count} |")
    print(f"\nKept: {folder}")
    if asked.json:
        record: dict[str, Any] = {
            "counts": counts,
            "seeds": [path.name for path in files],
            "minutes": asked.minutes,
            "megabytes of address space": MEMORY >> 20,
            "provenance": provenance.collect(
                "benchmarks.fuzz_exr", torch.device("cpu"), ("OpenEXR",)
            ),
        }
        asked.json.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
