"""Mutated EXR files are read or refused: no crash, no hang, bounded memory.

    python -m benchmarks.fuzz_exr FILES… [--minutes 10] [--json fuzz.json]

Each batch is read in a process of its own with a limit on memory and time, so that whatever a file
does to it is seen and counted. The file that did it is kept.
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

from kpcn_core import exr, provenance
from kpcn_core.errors import KpcnError

BATCH = 500
MEMORY = 3 << 30  # bytes of address space
SECONDS = 300  # of a batch
HEADER = 1500  # bytes at the beginning, where changes do the most harm


def mutated(content: bytes, generator: random.Random) -> bytes:
    """One to eight changes: a byte, a number, a cut, a repetition or a hole."""
    data = bytearray(content)
    for _ in range(generator.randint(1, 8)):
        end = min(generator.choice((HEADER, len(data))), len(data))
        place = generator.randrange(max(end, 1))
        kind = generator.choice(("byte", "bit", "number", "cut", "repeat", "hole"))
        if kind == "byte":
            data[place : place + 1] = bytes([generator.randrange(256)])
        elif kind == "bit" and data:
            data[min(place, len(data) - 1)] ^= 1 << generator.randrange(8)
        elif kind == "number":
            value = generator.choice((0, 1, -1, 2**31 - 1, -(2**31), 2**20))
            data[place : place + 4] = value.to_bytes(4, "little", signed=True)
        elif kind == "cut" and generator.random() < 0.3:
            del data[place:]
        elif kind == "repeat":
            data[place:place] = data[place : place + generator.randrange(64)]
        elif kind == "hole":
            del data[place : place + generator.randrange(64)]
    return bytes(data) or b"\0"


def batch(seed: int, files: list[Path], folder: Path) -> None:
    """Read mutated files and print what became of them."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    generator = random.Random(seed)
    contents = [path.read_bytes() for path in files]
    counts: Counter[str] = Counter()
    path = folder / f"{seed}.exr"
    for _ in range(BATCH):
        path.write_bytes(mutated(generator.choice(contents), generator))
        try:
            exr.read(path)
            counts["read"] += 1
        except KpcnError as error:
            counts["refused"] += 1
            counts["refused without its name"] += str(path) not in str(error)
        except Exception as error:
            counts[f"not handled: {type(error).__name__}"] += 1
            (folder / f"{seed}-{type(error).__name__}.exr").write_bytes(path.read_bytes())
    counts["MiB at most"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    path.unlink()
    print(json.dumps(counts))


def run(files: list[Path], minutes: float, seed: int, folder: Path) -> dict[str, int]:
    """Batches until the time is over; counts of all."""
    total: Counter[str] = Counter()
    most = 0
    end = time.monotonic() + 60 * minutes
    while time.monotonic() < end:
        command = [sys.executable, "-m", "benchmarks.fuzz_exr", "--seed", str(seed), "--batch"]
        command += ["--folder", str(folder), *map(str, files)]
        seed += 1
        try:
            done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)
        except subprocess.TimeoutExpired:
            total["hung"] += 1
            continue
        if done.returncode:
            total[f"crashed with {done.returncode}"] += 1
            continue
        counts = Counter(json.loads(done.stdout.splitlines()[-1]))
        most = max(most, counts.pop("MiB at most"))
        total += counts
    return {**total, "MiB at most": most}


def main() -> None:
    """Run it as a command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", type=Path, nargs="+")
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
    counts = run(asked.files, asked.minutes, asked.seed, folder)
    print("| outcome | files |\n|---|---|")
    for name, count in sorted(counts.items()):
        print(f"| {name} | {count} |")
    print(f"\nKept: {folder}")
    if asked.json:
        record = {"counts": counts, "minutes": asked.minutes, "provenance": provenance.collect()}
        asked.json.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
