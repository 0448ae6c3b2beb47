"""Adaptive sampling with husk: even passes, until the predicted error is small (docs/houdini.md).

Karma can be told how many samples to take, and not where, so each pass is a husk render with a seed
of its own, and the image decides when it is enough. Any Python from 3.9 on; kpcn is found as by the
plugins.

Example:
    python kpcn-husk-adaptive.py shot.usd -o "final.%04d.exr" --frames 1001-1010 --size 1920x1080 \
        --budget 256 --target-error 0.02 -- --model studio
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent / "scripts" / "python"))

import kpcn_husk  # noqa: F401 - makes kpcn_core importable

from kpcn_core.client_launch import find_python, worker_environment
from kpcn_core.errors import KpcnError
from kpcn_core.host_frames import numbers
from kpcn_core.sequence_pattern import Pattern


def arguments() -> argparse.ArgumentParser:
    """What the command line understands; what follows -- is for `kpcn adaptive`."""
    first, _, _ = (__doc__ or "").partition("\n")
    usage = "%(prog)s SCENE -o FILES --size WxH --budget N [...] [-- options of kpcn adaptive]"
    parser = argparse.ArgumentParser(description=first, usage=usage)
    parser.add_argument("scene", help="a USD file, as husk reads it")
    parser.add_argument("-o", "--output", required=True, help="as final.%%04d.exr")
    parser.add_argument("--frames", default="1", help="as 1001-1010")
    parser.add_argument("--size", required=True, help="of the image that husk writes, as 1920x1080")
    parser.add_argument("--budget", required=True, help="samples per pixel in all, at most")
    parser.add_argument("--target-error", help="stop at this mean of the guide")
    parser.add_argument("--batches", default="4", help="renders a pass, to know its variance")
    parser.add_argument("--husk", default="husk", help="husk, with further options of its own")
    return parser


def husk_command(husk: str, scene: str, frame: int) -> str:
    """The renderer for `kpcn adaptive`, which fills in the braces."""
    words = ["-f", str(frame), "-n", "1", "--make-output-path", "-o", "{output}", "-p", "{spp}"]
    # Else husk takes the frame's number, and further samples would be the same ones again.
    words += ["--lock-random", "{seed}", scene]
    return shlex.join([*shlex.split(husk), *words])


def adaptive_words(given: argparse.Namespace, frame: int, more: Sequence[str]) -> list[str]:
    """The command line for one frame, with further options.

    Raises:
        KpcnError: there is no Python with kpcn.
    """
    pattern = Pattern.parse(given.output)
    output = pattern.path(frame) if pattern.width else Path(given.output)
    words = [find_python(), "-P", "-m", "kpcn_core", "adaptive", "--renderer", "command"]
    words += ["--encoding", "even", "--floor", "1", "--size", given.size, "-o", str(output)]
    words += ["--render-command", husk_command(given.husk, given.scene, frame)]
    words += ["--budget", given.budget, "--batches", given.batches]
    if given.target_error is not None:
        words += ["--target-error", given.target_error]
    return [*words, *more]


def main(words: Sequence[str]) -> int:
    """Render all frames; returns how many failed."""
    split = words.index("--") if "--" in words else len(words)
    given, more = arguments().parse_args(words[:split]), words[split + 1 :]
    failed = 0
    try:
        for frame in numbers(given.frames):
            command = adaptive_words(given, frame, more)
            failed += subprocess.run(command, env=worker_environment(), check=False).returncode != 0
    except KpcnError as error:
        sys.exit(f"Error: {error}")
    return failed


if __name__ == "__main__":
    sys.exit(1 if main(sys.argv[1:]) else 0)
