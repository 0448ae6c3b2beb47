"""Vector registers for compiled functions (`ops.compiler`): as many float32 as one takes here.

numba makes vector instructions of a loop only after it has compared the addresses of all arrays in
it, which takes longer than the loop where that is short. What is written with registers is what the
processor does:

    for k in range(0, channels, LANES):
        store(out, (y, x, k), load(image, (y, x, k)) * factor + load(bias, (k,)))

Compiled code that is kept on disk does not notice a change in this file: whoever makes one deletes
it.
"""

import math
import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba import types
from numba.core import cgutils, config
from numba.core.datamodel import models
from numba.core.imputils import lower_builtin
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import intrinsic, register_model
from numpy.typing import NDArray

from kpcn_core.ops.compiler import memory

# Products and sums may be one instruction; their order stays, see `compiler.OPTIONS`. What is not
# finite stays what it is.
FAST = ("contract", "nsz")
single, bits = ir.FloatType(), ir.IntType(32)


def _width() -> int:
    """Those of AVX-512 where the processor has it, else of AVX2."""
    features = config.CPU_FEATURES or get_host_cpu_features().flatten()
    return 16 if "+avx512f" in features.split(",") else 8


LANES = _width()
LINE = 16  # numbers of a line of the cache
vector, whole_vector = (ir.VectorType(kind, LANES) for kind in (single, bits))
# exp(x) = 2**i * 2**f, i whole and |f| <= 1/2. The polynomial for 2**f has the least relative error
# of those with five powers (9e-8); i is added to its exponent.
PER_LOG2 = 1.0 / math.log(2.0)
POWERS = (1.0, 0.693147004, 0.240222424, 0.0555073359, 0.00967151299, 0.00132647273)
MANTISSA = 23  # bits
# A number added to this is rounded to a whole one, which is then the last bits.
ROUNDER = 1.5 * 2.0**MANTISSA


class Register(types.Type):  # type: ignore[misc]
    """LANES float32 numbers; the type of what `load` gives."""

    def __init__(self) -> None:
        super().__init__(f"Register({LANES})")

    if TYPE_CHECKING:
        # In compiled functions only, see `_operator`.
        def __add__(self, other: "Register") -> "Register": ...
        def __sub__(self, other: "Register") -> "Register": ...
        def __mul__(self, other: "Register") -> "Register": ...
        def __truediv__(self, other: "Register") -> "Register": ...


register = Register()


def gives_register(function: Callable[..., tuple[Any, Any]]) -> Callable[..., Register]:
    """What numba calls an intrinsic: writes instructions into the functions that call it."""
    made: Callable[..., Register] = intrinsic(function)
    return made


def gives_nothing(function: Callable[..., tuple[Any, Any]]) -> Callable[..., None]:
    """The same without a result."""
    made: Callable[..., None] = intrinsic(function)
    return made


@register_model(Register)
class _Model(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Register) -> None:
        super().__init__(manager, kind, vector)


@gives_register
def load(typing: Any, array: Any, index: Any) -> tuple[Any, Any]:
    """Numbers of an array from an index on, side by side; none of it may be negative."""

    def generate(context: Any, builder: Any, kinds: Any, arguments: Any) -> Any:
        return builder.load(place_of(context, builder, kinds.args, arguments), align=4)

    return register(array, index), generate


@gives_nothing
def store(typing: Any, array: Any, index: Any, value: Any) -> tuple[Any, Any]:
    """Write numbers of an array from an index on."""

    def generate(context: Any, builder: Any, kinds: Any, arguments: Any) -> Any:
        builder.store(arguments[2], place_of(context, builder, kinds.args, arguments), align=4)
        return context.get_dummy_value()

    return types.void(array, index, register), generate


@gives_register
def everywhere(typing: Any, number: Any) -> tuple[Any, Any]:
    """A register full of one number."""

    def generate(context: Any, builder: Any, kinds: Any, arguments: Any) -> Any:
        return filled(builder, arguments[0])

    return register(types.float32), generate


def filled(builder: Any, number: Any) -> Any:
    """The same for those who write instructions."""
    unknown = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(unknown, number, ir.Constant(bits, 0))
    zeros = ir.Constant(ir.VectorType(bits, LANES), [0] * LANES)
    return builder.shuffle_vector(first, unknown, zeros)


@gives_register
def larger(typing: Any, one: Any, other: Any) -> tuple[Any, Any]:
    """The larger of two numbers, lane by lane."""

    def generate(context: Any, builder: Any, kinds: Any, arguments: Any) -> Any:
        left, right = arguments
        return builder.select(builder.fcmp_ordered(">", left, right), left, right)

    return register(register, register), generate


def _chosen(name: str, meaning: str, sign: str) -> Callable[..., Register]:
    """A function that gives one of two numbers, lane by lane, by how another compares to 0."""

    def chosen(typing: Any, number: Any, then: Any, otherwise: Any) -> tuple[Any, Any]:
        def generate(context: Any, builder: Any, kinds: Any, arguments: Any) -> Any:
            zero = ir.Constant(vector, [0.0] * LANES)
            return builder.select(builder.fcmp_ordered(sign, arguments[0], zero), *arguments[1:])

        return register(register, register, register), generate

    chosen.__name__, chosen.__doc__ = name, meaning
    return gives_register(chosen)


positive = _chosen("positive", "One number where another is above 0, a third where not.", ">")
negative = _chosen("negative", "One number where another is below 0, a third where not.", "<")


@gives_register
def where_finite(typing: Any, number: Any, then: Any, otherwise: Any) -> tuple[Any, Any]:
    """One of two numbers, where another is finite and where it is not, lane by lane."""

    def generate(context: Any, builder: Any, kinds: Any, arguments: Any) -> Any:
        exponent = ir.Constant(whole_vector, [0x7F800000] * LANES)
        found = builder.and_(builder.bitcast(arguments[0], whole_vector), exponent)
        return builder.select(builder.icmp_signed("!=", found, exponent), *arguments[1:])

    return register(register, register, register), generate


@gives_register
def exponential(typing: Any, exponent: Any) -> tuple[Any, Any]:
    """exp(x), -87 <= x <= 0."""

    def generate(context: Any, builder: Any, kinds: Any, arguments: Any) -> Any:
        def all_of(number: float) -> Any:
            return ir.Constant(vector, [number] * LANES)

        binary = builder.fmul(arguments[0], all_of(_rounded(PER_LOG2)), flags=FAST)
        shifted = builder.fadd(binary, all_of(ROUNDER), flags=FAST)
        f = builder.fsub(binary, builder.fsub(shifted, all_of(ROUNDER), flags=FAST), flags=FAST)
        found = all_of(_rounded(POWERS[-1]))
        for factor in reversed(POWERS[:-1]):
            product = builder.fmul(found, f, flags=FAST)
            found = builder.fadd(product, all_of(_rounded(factor)), flags=FAST)
        whole = builder.bitcast(shifted, whole_vector)
        raised = builder.shl(whole, ir.Constant(whole_vector, [MANTISSA] * LANES))
        return builder.bitcast(builder.add(builder.bitcast(found, whole_vector), raised), vector)

    return register(register), generate


@gives_register
def load_first(typing: Any, array: Any, index: Any, count: Any) -> tuple[Any, Any]:
    """As many numbers as asked for, at most LANES; zeros behind."""

    def generate(context: Any, builder: Any, kinds: Any, arguments: Any) -> Any:
        place = place_of(context, builder, kinds.args, arguments)
        word = context.get_value_type(types.intp)
        count = context.cast(builder, arguments[2], kinds.args[2], types.intp)
        kept = cgutils.alloca_once(builder, vector)
        all_there = builder.icmp_signed(">=", count, ir.Constant(word, LANES))
        with builder.if_else(all_there) as (whole, part):
            with whole:
                builder.store(builder.load(place, align=4), kept)
            with part:
                builder.store(ir.Constant(vector, [0.0] * LANES), kept)
                source = builder.bitcast(place, single.as_pointer())
                target = builder.bitcast(kept, single.as_pointer())
                with cgutils.for_range(builder, count) as loop:
                    number = builder.load(builder.gep(source, [loop.index]), align=4)
                    builder.store(number, builder.gep(target, [loop.index]))
        return builder.load(kept)

    return register(array, index, count), generate


@gives_nothing
def store_first(typing: Any, array: Any, index: Any, value: Any, count: Any) -> tuple[Any, Any]:
    """Write as many numbers as asked for, at most LANES."""

    def generate(context: Any, builder: Any, kinds: Any, arguments: Any) -> Any:
        place = place_of(context, builder, kinds.args, arguments)
        word = context.get_value_type(types.intp)
        count = context.cast(builder, arguments[3], kinds.args[3], types.intp)
        all_fit = builder.icmp_signed(">=", count, ir.Constant(word, LANES))
        with builder.if_else(all_fit) as (whole, part):
            with whole:
                builder.store(arguments[2], place, align=4)
            with part:
                kept = cgutils.alloca_once(builder, vector)
                builder.store(arguments[2], kept)
                source = builder.bitcast(kept, single.as_pointer())
                target = builder.bitcast(place, single.as_pointer())
                with cgutils.for_range(builder, count) as loop:
                    number = builder.load(builder.gep(source, [loop.index]))
                    builder.store(number, builder.gep(target, [loop.index]), align=4)
        return context.get_dummy_value()

    return types.void(array, index, register, count), generate


def _rounded(number: float) -> float:
    """As float32 has it, which LLVM's text of a constant asks for."""
    return float(np.float32(number))


@memory
def aligned(size: int) -> NDArray[np.float32]:
    """Memory for numbers, from the start of a line of the cache on.

    A register that lies in two lines is read and written at half the speed.
    """
    found = np.empty(size + LINE, np.float32)
    first = -found.ctypes.data % (4 * LINE) // 4
    return found[first : first + size]


def place_of(context: Any, builder: Any, kinds: Any, arguments: Any) -> Any:
    """Where the numbers of an array from an index on are."""
    array = context.make_array(kinds[0])(context, builder, arguments[0])
    strides = cgutils.unpack_tuple(builder, array.strides)
    place = builder.bitcast(array.data, ir.IntType(8).as_pointer())
    steps = zip(cgutils.unpack_tuple(builder, arguments[1]), kinds[1], strides, strict=True)
    for index, kind, stride in steps:
        whole = context.cast(builder, index, kind, types.intp)
        place = builder.gep(place, [builder.mul(whole, stride)])
    return builder.bitcast(place, vector.as_pointer())


def _operator(symbol: Callable[[Any, Any], Any], instruction: str) -> None:
    """Let compiled functions write it between two registers."""

    class Typing(ConcreteTemplate):  # type: ignore[misc]
        cases = (signature(register, register, register),)

    infer_global(symbol)(Typing)

    @lower_builtin(symbol, register, register)  # type: ignore[untyped-decorator]
    def generate(context: Any, builder: Any, kinds: Any, arguments: Any) -> Any:
        return getattr(builder, instruction)(*arguments, flags=FAST)


for _symbol, _instruction in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _operator(_symbol, _instruction)
