"""What numba cannot say itself: products of matrices in vector registers, and bits as a number.

Compiled code that is kept on disk (`ops.compiler`) does not notice a change in this file: whoever
makes one deletes it.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from kpcn_core.ops.compiler import part
from kpcn_core.ops.lanes import FAST, LANES, bits, filled, single, vector

Floats = NDArray[np.float32]

# Rows and registers of a tile. With AVX-512, 24 sums, 2 columns and a broadcast take 27 of the 32
# registers; with AVX2, 12 sums, 2 columns and a broadcast fill all but one of 16.
ROWS, REGISTERS = (12, 2) if LANES == 16 else (6, 2)
COLUMNS = REGISTERS * LANES


def in_panels(weight: Floats) -> Floats:
    """A layer [M,C] as parts to multiply with [ceil(M/COLUMNS),C,COLUMNS]; zeros fill the last."""
    filled = np.pad(weight, [(0, -len(weight) % COLUMNS), (0, 0)])
    return np.ascontiguousarray(
        filled.reshape(-1, COLUMNS, weight.shape[1]).transpose(0, 2, 1), np.float32
    )


@part
def multiply(left: Floats, right: Floats, out: Floats, column: int) -> None:
    """Write `left @ right` to COLUMNS columns of `out`.

    Args:
        left: [m,k], the numbers of a row side by side; k >= 1.
        right: [k,COLUMNS], likewise.
        out: [m,n], likewise.
        column: the first of `out`.
    """
    rows = len(left)
    if rows < ROWS:
        for i in range(rows):
            _row(left, right, out, i, column)
        return
    for i in range(0, rows, ROWS):
        # The last tile overlaps the one before.
        _tile(left, right, out, min(i, rows - ROWS), column)


def _product(height: int) -> Any:
    """A function for so many rows and COLUMNS columns of a product, summed in registers."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word = context.get_value_type(types.intp)

        def array(index: int) -> tuple[Any, Any, Any]:
            kind, value = signature.args[index], arguments[index]
            made = context.make_array(kind)(context, builder, value)
            start = builder.bitcast(made.data, ir.IntType(8).as_pointer())
            stride = cgutils.unpack_tuple(builder, made.strides)[0]
            return start, stride, cgutils.unpack_tuple(builder, made.shape)[1]

        def at(start: Any, stride: Any, row: Any, column: Any, kind: Any) -> Any:
            bytes_before = builder.add(
                builder.mul(row, stride), builder.mul(column, ir.Constant(word, 4))
            )
            return builder.bitcast(builder.gep(start, [bytes_before]), kind.as_pointer())

        (a, a_stride, depth), (b, b_stride, _), (c, c_stride, _) = map(array, range(3))
        top, c_column = arguments[3:]
        none, one = ir.Constant(word, 0), ir.Constant(word, 1)
        rows = [builder.add(top, ir.Constant(word, r)) for r in range(height)]
        lines = [at(a, a_stride, r, none, single) for r in rows]
        before = builder.basic_block
        loop, done = (builder.append_basic_block(name) for name in ("depth", "done"))
        builder.branch(loop)
        builder.position_at_end(loop)
        step = builder.phi(word)
        step.add_incoming(none, before)
        sums = [[builder.phi(vector) for _ in range(REGISTERS)] for _ in range(height)]
        place = at(b, b_stride, step, none, vector)
        columns = [_load(builder, place, v, word) for v in range(REGISTERS)]
        found = []
        for line, row_sums in zip(lines, sums, strict=True):
            factor = filled(builder, builder.load(builder.gep(line, [step])))
            for total, numbers in zip(row_sums, columns, strict=True):
                product = builder.fmul(factor, numbers, flags=FAST)
                found.append(builder.fadd(total, product, flags=FAST))
                total.add_incoming(ir.Constant(vector, [0.0] * LANES), before)
                total.add_incoming(found[-1], loop)
        following = builder.add(step, one)
        step.add_incoming(following, loop)
        builder.cbranch(builder.icmp_signed("<", following, depth), loop, done)
        builder.position_at_end(done)
        for index, total in enumerate(found):
            place = at(c, c_stride, rows[index // REGISTERS], c_column, vector)
            offset = ir.Constant(word, index % REGISTERS)
            builder.store(total, builder.gep(place, [offset]), align=4)
        return context.get_dummy_value()

    def tile(
        typing: Any, left: Any, right: Any, out: Any, row: Any, column: Any
    ) -> tuple[Any, Any]:
        return types.void(left, right, out, types.intp, types.intp), generate

    return intrinsic(tile)


_tile, _row = _product(ROWS), _product(1)


def _load(builder: Any, place: Any, index: int, word: Any) -> Any:
    return builder.load(builder.gep(place, [ir.Constant(word, index)]), align=4)


@intrinsic  # type: ignore[untyped-decorator]
def to_bits(typing: Any, number: Any) -> tuple[Any, Any]:
    """The bits of a float32 as an int32."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], bits)

    return types.int32(types.float32), generate


@intrinsic  # type: ignore[untyped-decorator]
def from_bits(typing: Any, number: Any) -> tuple[Any, Any]:
    """The float32 whose bits are those of an int32."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], single)

    return types.float32(types.int32), generate
