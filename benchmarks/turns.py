"""A frame denoised and brought from EXR to EXR, in turn with Open Image Denoise, round by round.

`kpcn bench` shows medians, and keeps what every stage reads. Here nothing else is kept, and each
round is shown by itself: memory comes from the system in the first one, and is used again later.

Example:
    python -m benchmarks.turns 3840x2160 --rounds 3
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from kpcn_core.allocation import reuse_memory
from kpcn_core.bench.stages import DENOISE, THROUGH, Case, Step, files, peer
from kpcn_core.denoiser import Denoiser
from kpcn_core.settings import DEFAULT_MODEL


def steps(case: Case, folder: Path) -> Iterator[tuple[str, Step]]:
    """Ours and its peers', both ways."""
    yield "kpcn", Step(DENOISE, case.denoise)
    yield from (("kpcn", step) for step in files(case, folder) if step.name == THROUGH)
    for name in ("high", "fast"):
        yield from ((f"OIDN {name}", step) for step in peer(case, name, folder))


def main() -> None:
    """Print a row for each step, with the wall seconds of every round."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("size", metavar="WxH")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    width, height = map(int, asked.size.split("x"))
    reuse_memory()
    case = Case(Denoiser.load(asked.model, "cpu"), height, width, frames=0)
    seconds: dict[tuple[str, str], list[float]] = {}
    with TemporaryDirectory() as name:
        every = list(steps(case, Path(name)))
        for _ in range(asked.rounds):
            for whose, step in every:
                begun = time.perf_counter()
                step.run()
                seconds.setdefault((whose, step.name), []).append(time.perf_counter() - begun)
    for (whose, what), found in seconds.items():
        print(f"{whose}, {what}: " + ", ".join(f"{one:.2f}" for one in found))


if __name__ == "__main__":
    main()
