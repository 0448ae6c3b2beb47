"""What the fused kernel is compiled to for a GPU, which need not be there: instructions a tap.

The instructions that each tap issues bound the kernel where its memory traffic and its products do
not; registers that spill would cost more than all of them. Times need a GPU (`kpcn bench`).

Example:
    python -m benchmarks.fused_code --channels 64 128 --json code.json
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from benchmarks import provenance
from kpcn_core.atomic import check_writable, replaced
from kpcn_core.comparison import markdown
from kpcn_core.ops.fused import LOG2_E, PRECISION, TILE_PIXELS, TILE_TAPS
from kpcn_core.ops.fused_kernel import share_kernel
from kpcn_core.ops.kernels import LOGIT_RANGE

TOOLS = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"
POINTERS = {
    "bias": "*fp32", "pixels": "*i64", "base": "*i32", "before": "*fp32", "former": "*fp32",
    "sums": "*fp32", "peak": "*fp32",
}  # fmt: skip
NUMBERS = (
    "count", "width", "stride", "image_stride", "planes", "first", "row_start", "column_start",
)  # fmt: skip
SIDE = 21
WARPS = 4
LANES = 32


@dataclass(frozen=True)
class Row:
    """The code of one precision and width.

    Attributes:
        precision: of features and weights.
        channels: of the features.
        registers: of a thread.
        spilled: bytes of a thread that found no register.
        maximum: instructions a tap of the pass that finds the largest logit.
        sums: of the pass that sums.
    """

    precision: str
    channels: int
    registers: int
    spilled: int
    maximum: float
    sums: float


def code(precision: str, channels: int, capability: int) -> Row:
    """Compile for one kind of feature; needs no GPU.

    Args:
        precision: fp16, bf16 or fp32.
        channels: of the features, a power of 2.
        capability: of the GPU, e.g. 90.
    """
    signature = {"rows": f"*{precision}", "matrix": f"*{precision}"} | POINTERS
    signature |= dict.fromkeys(NUMBERS, "i32")
    constants = {
        "CHANNELS": channels, "PADDED": channels, "SIDE": SIDE, "COLORS": 3, "MOVES": True,
        "ADDS": True, "TILE_PIXELS": TILE_PIXELS, "TILE_TAPS": TILE_TAPS,
        "LEAST": -LOGIT_RANGE * LOG2_E, "SCALE": LOG2_E, "PRECISION": PRECISION,
    }  # fmt: skip
    source = ASTSource(share_kernel, signature | dict.fromkeys(constants, "constexpr"), constants)
    target = GPUTarget("cuda", capability, LANES)
    compiled = triton.compile(source, target=target, options={"num_warps": WARPS})
    with tempfile.TemporaryDirectory() as folder:
        binary = Path(folder) / "kernel.cubin"
        binary.write_bytes(compiled.asm["cubin"])
        usage = _tool("cuobjdump", "--dump-resource-usage", str(binary))
        first, second = (
            length for length in _loops(_tool("nvdisasm", str(binary))) if length > LANES
        )
    taps = TILE_PIXELS * TILE_TAPS / (LANES * WARPS)
    registers, stack = (int(_found(rf"{name}:(\d+)", usage)) for name in ("REG", "STACK"))
    return Row(precision, channels, registers, stack, first / taps, second / taps)


def _loops(assembly: str) -> Iterator[int]:
    """Lengths of the loops: from a label to a branch back to it."""
    labels: dict[str, int] = {}
    count = 0
    for line in assembly.splitlines():
        if label := re.match(r"\s*(\.L_\w+):", line):
            labels[label[1]] = count
        if re.match(r"\s+/\*[0-9a-f]{4,}\*/", line):
            count += 1
            back = re.search(r"BRA.*`\((\.L_\w+)\)", line)
            if back and back[1] in labels:
                yield count - labels[back[1]]


def _tool(name: str, *words: str) -> str:
    run = subprocess.run([TOOLS / name, *words], capture_output=True, text=True, check=True)
    return run.stdout


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    assert match is not None, text
    return match[1]


def main(arguments: Sequence[str] | None = None) -> None:
    """Compile, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--precision", nargs="+", default=["fp16", "bf16", "fp32"])
    parser.add_argument("--channels", nargs="+", type=int, default=[32, 64, 128])
    parser.add_argument("--capability", type=int, default=90)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    if triton.knobs.runtime.interpret:
        sys.exit("TRITON_INTERPRET is set, so nothing is compiled. Unset it.")
    if options.json:
        check_writable(options.json, overwrite=True)
    rows = [
        code(precision, channels, options.capability)
        for precision in options.precision
        for channels in options.channels
    ]
    heading = ["features", "channels", "registers", "spilled", "largest logit", "sums"]
    lines = [
        [row.precision, *map(str, (row.channels, row.registers, row.spilled)),
         f"{row.maximum:.1f}", f"{row.sums:.1f}"]
        for row in rows
    ]  # fmt: skip
    print(markdown([heading, *lines]))
    if options.json:
        origin = provenance.collect("benchmarks.fused_code", torch.device("cpu"), ["triton"])
        text = json.dumps({"provenance": origin, "rows": [asdict(row) for row in rows]}, indent=1)
        with replaced(options.json, overwrite=True) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
