"""Numbers of vector registers picked and turned around (`ops.lanes`).

Compiled code that is kept on disk (`ops.compiler`) does not notice a change in this file: whoever
makes one deletes it.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from kpcn_core.ops.lanes import (
    LANES,
    Register,
    gives_nothing,
    gives_register,
    place_of,
    register,
    vector,
    whole_vector,
)


def _parted(name: str, meaning: str, chosen: list[int]) -> Callable[..., Register]:
    """A function that picks numbers of two registers, taken one after the other."""

    def picked(typing: Any, first: Any, second: Any) -> tuple[Any, Any]:
        def generate(context: Any, builder: Any, kinds: Any, arguments: Any) -> Any:
            return builder.shuffle_vector(*arguments, ir.Constant(whole_vector, chosen))

        return register(register, register), generate

    picked.__name__, picked.__doc__ = name, meaning
    return gives_register(picked)


_half = [n // 2 + LANES * (n % 2) for n in range(2 * LANES)]
evens = _parted("evens", "The first, third, … of the numbers.", list(range(0, 2 * LANES, 2)))
odds = _parted("odds", "The second, fourth, … of the numbers.", list(range(1, 2 * LANES, 2)))
zipped = _parted("zipped", "In turn, those of the first halves.", _half[:LANES])
zipped_on = _parted("zipped_on", "In turn, those of the second halves.", _half[LANES:])


@gives_nothing
def turn(
    typing: Any, source: Any, index: Any, target: Any, place: Any, least: Any
) -> tuple[Any, Any]:
    """Copy LANES rows of LANES numbers, as columns; rows follow one another along the last but one.

    What is below the least number becomes that; None is none.
    """

    def generate(context: Any, builder: Any, kinds: Any, arguments: Any) -> Any:
        def rows(array: int) -> list[Any]:
            start = place_of(context, builder, kinds.args[array:], arguments[array:])
            made = context.make_array(kinds.args[array])(context, builder, arguments[array])
            stride = cgutils.unpack_tuple(builder, made.strides)[-2]
            first = builder.bitcast(start, ir.IntType(8).as_pointer())
            word = stride.type
            steps = [builder.mul(stride, ir.Constant(word, n)) for n in range(LANES)]
            return [
                builder.bitcast(builder.gep(first, [step]), vector.as_pointer()) for step in steps
            ]

        block = [builder.load(row, align=4) for row in rows(0)]
        if least != types.none:
            above = [builder.fcmp_ordered(">", row, arguments[4]) for row in block]
            block = [
                builder.select(one, row, arguments[4])
                for one, row in zip(above, block, strict=True)
            ]
        for distance in _halved(LANES):
            block = _exchanged(builder, block, distance)
        for row, found in zip(rows(2), block, strict=True):
            builder.store(found, row, align=4)
        return context.get_dummy_value()

    return types.void(source, index, target, place, least), generate


def _halved(number: int) -> list[int]:
    """Powers of two below a power of two, the largest first."""
    return [number >> n for n in range(1, number.bit_length())]


def _exchanged(builder: Any, block: list[Any], distance: int) -> list[Any]:
    """Rows so far apart exchange what lies off the diagonal of the squares that they make."""
    low = [n + LANES - distance if n & distance else n for n in range(LANES)]
    high = [n + LANES if n & distance else n + distance for n in range(LANES)]
    found = list(block)
    for row in range(LANES):
        if row & distance:
            continue
        pair = block[row], block[row + distance]
        for place, chosen in ((row, low), (row + distance, high)):
            found[place] = builder.shuffle_vector(*pair, ir.Constant(whole_vector, chosen))
    return found
