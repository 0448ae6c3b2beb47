"""`kpcn bench` at several sizes, also of networks that have no weights yet; writes speed.json.

Example:
    python -m benchmarks.speed --sizes 1920x1080 3840x2160 --models compact compact-fast
"""

import argparse
from pathlib import Path
from typing import Any

import torch

from benchmarks import provenance
from kpcn_core import weights
from kpcn_core.allocation import reuse_memory
from kpcn_core.bench.report import Plan, report, write
from kpcn_core.bench.stages import PEERS
from kpcn_core.denoiser import Denoiser
from kpcn_core.device import choose_device
from kpcn_core.model.network import Network
from kpcn_core.settings import DEFAULT_MODEL
from training import config

OUTPUT = Path(__file__).with_name("speed.json")


def network_of(name: str) -> Network:
    """A network by name or path; of a training configuration, if it has no weights yet."""
    if name in {path.stem for path in config.CONFIGS.glob("*.toml")} - set(weights.names()):
        torch.manual_seed(0)
        return Network(config.load(name).network)
    return weights.load(weights.find(name))


def main() -> None:
    """Print tables, and write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", nargs="+", default=["1920x1080", "3840x2160"])
    parser.add_argument("--models", nargs="+", default=[DEFAULT_MODEL, "compact-fast"])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--windows", nargs="+", type=int, default=[1])
    parser.add_argument("--oidn", nargs="*", choices=PEERS, default=["high", "fast"])
    parser.add_argument("--max-memory", type=int, default=16, help="GiB; one tile, if it can be.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cpu-time", action="store_true", help="For a busy machine.")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    asked = parser.parse_args()
    reuse_memory()
    device = choose_device(asked.device)
    denoisers = {Path(name).stem: Denoiser(network_of(name), device) for name in asked.models}
    found: dict[str, Any] = provenance.collect(
        "benchmarks.speed", device, ("numpy", "numba", "pyoidn")
    )
    runs: list[dict[str, Any]] = []
    for size in asked.sizes:
        width, height = map(int, size.split("x"))
        for window in asked.windows:
            plan = Plan(
                (height, width), window, 0, asked.max_memory << 30, asked.oidn, (), asked.rounds,
                asked.cpu_time,
            )  # fmt: skip
            runs.append(report(denoisers, plan, print))
            write(asked.output, {**found, "runs": runs})


if __name__ == "__main__":
    main()
