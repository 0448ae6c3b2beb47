"""Vector registers in compiled functions, of AVX-512 and of AVX2."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from llvmlite.binding import get_host_cpu_features
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from torch.nn import functional

from kpcn_core.ops.compiler import compiled
from kpcn_core.ops.lanes import (
    LANES,
    aligned,
    everywhere,
    exponential,
    larger,
    load,
    load_first,
    negative,
    positive,
    store,
    store_first,
    where_finite,
)
from kpcn_core.ops.registers import in_panels, multiply
from kpcn_core.ops.shuffles import evens, odds, turn, zipped, zipped_on
from kpcn_core.ops.winograd import convolve_rows, transformed

Floats = NDArray[np.float32]

NONE = np.empty((0, 0, 0), np.float32)
ONE, TWO = np.float32(1.0), np.float32(2.0)


@compiled
def write_all(first: Floats, second: Floats, out: Floats) -> None:
    a, b = load(first, (0,)), load(second, (0,))
    store(out, (0, 0), a + b)
    store(out, (1, 0), a - b)
    store(out, (2, 0), a * b)
    store(out, (3, 0), a / b)
    store(out, (4, 0), larger(a, b))
    store(out, (5, 0), positive(a, b, everywhere(TWO)))
    store(out, (6, 0), negative(a, b, everywhere(TWO)))
    store(out, (7, 0), where_finite(a, b, everywhere(TWO)))


@compiled
def shuffle_all(first: Floats, second: Floats, out: Floats) -> None:
    a, b = load(first, (0,)), load(second, (0,))
    store(out, (0, 0), evens(a, b))
    store(out, (1, 0), odds(a, b))
    store(out, (2, 0), zipped(a, b))
    store(out, (3, 0), zipped_on(a, b))


@compiled
def copy_first(source: Floats, count: int, out: Floats) -> None:
    store_first(out, (0,), load_first(source, (1,), count) + everywhere(ONE), count)


@compiled
def write_exponentials(numbers: Floats, out: Floats) -> None:
    for i in range(0, len(numbers), LANES):
        store(out, (i,), exponential(load(numbers, (i,))))


@compiled
def turn_block(source: Floats, out: Floats) -> None:
    turn(source, (1, 2), out, (0, 1), everywhere(ONE))


@compiled
def write_product(left: Floats, panels: Floats, out: Floats) -> None:
    for panel in range(len(panels)):
        multiply(left, panels[panel], out, panel * panels.shape[2])


@compiled
def some_memory(size: int) -> Floats:
    return aligned(size)


def numbers(*size: int) -> Floats:
    return np.random.default_rng(0).normal(size=size).astype(np.float32)


def test_arithmetic_is_that_of_numpy() -> None:
    a, b = numbers(2, LANES)
    out = np.empty((8, LANES), np.float32)
    write_all(a, b, out)
    expected = [a + b, a - b, a * b, a / b, np.maximum(a, b)]
    assert_allclose(out[:5], expected, rtol=2e-7)
    assert_array_equal(out[5:7], [np.where(a > 0, b, 2), np.where(a < 0, b, 2)])


def test_what_is_not_finite_stays_that() -> None:
    a, b = np.ones((2, LANES), np.float32)
    a[:3] = np.nan, np.inf, -np.inf
    out = np.empty((8, LANES), np.float32)
    write_all(a, b, out)
    assert_array_equal(out[7], np.where(np.isfinite(a), b, 2))
    for row in out[:4]:
        assert not np.isfinite(row[:3]).any()
        assert np.isfinite(row[3:]).all()


def test_shuffles() -> None:
    a, b = np.arange(2 * LANES, dtype=np.float32).reshape(2, LANES)
    out = np.empty((4, LANES), np.float32)
    shuffle_all(a, b, out)
    in_turn = np.stack([a, b], axis=1).ravel()
    assert_array_equal(out[:2].ravel(), [*range(0, 2 * LANES, 2), *range(1, 2 * LANES, 2)])
    assert_array_equal(out[2:].ravel(), in_turn)


@pytest.mark.parametrize("count", [0, 1, LANES - 1, LANES, LANES + 3])
def test_only_what_is_asked_for_is_written(count: int) -> None:
    source, out = numbers(LANES + 1), np.zeros(LANES + 4, np.float32)
    copy_first(source, count, out)
    there = min(count, LANES)
    assert_array_equal(out[:there], source[1 : 1 + there] + 1)
    assert_array_equal(out[there:], 0)


def test_exponentials() -> None:
    exponents = np.linspace(-87, 0, 64 * LANES, dtype=np.float32)
    out = np.empty_like(exponents)
    write_exponentials(exponents, out)
    assert_allclose(out, np.exp(exponents.astype(np.float64)), rtol=5e-6)


def test_blocks_are_turned() -> None:
    source, out = numbers(LANES + 1, LANES + 2), np.zeros((LANES, LANES + 1), np.float32)
    turn_block(source, out)
    assert_array_equal(out[:, 1:], np.maximum(source[1:, 2:].T, 1))
    assert_array_equal(out[:, 0], 0)


@pytest.mark.parametrize("rows", [1, 5, 12, 13, 60])
@pytest.mark.parametrize("columns", [8, 33, 64])
def test_products(rows: int, columns: int) -> None:
    left, layer = numbers(rows, 19), numbers(columns, 19)
    panels = in_panels(layer)
    out = np.empty((rows, panels.shape[0] * panels.shape[2]), np.float32)
    write_product(left, panels, out)
    assert_allclose(out[:, :columns], left @ layer.T, rtol=1e-5, atol=1e-5)
    assert_array_equal(out[:, columns:], 0)


def test_memory_starts_at_a_line_of_the_cache() -> None:
    for size in (1, 5, 1000, 100001):
        found = some_memory(size)
        assert found.shape == (size,)
        assert found.ctypes.data % 64 == 0


@pytest.mark.parametrize("size", [(4, 4), (5, 7), (9, 150), (12, 163)])
@pytest.mark.parametrize(("read", "made"), [(LANES, 16), (19, 48), (76, 64)])
def test_layers_of_any_width(size: tuple[int, int], read: int, made: int) -> None:
    image, added = numbers(*size, read), numbers(*size, made + 3)
    coarse = numbers(-(-size[0] // 2), -(-size[1] // 2), read)
    weight, bias = numbers(made, read, 3, 3) / np.float32(9), numbers(made)
    out = np.empty((*size, made), np.float32)
    operands = (transformed(weight.astype(np.float64)), bias, added, True, True)
    convolve_rows(image, coarse, *operands, 0, size[0], out)
    repeated = coarse.repeat(2, axis=0).repeat(2, axis=1)[: size[0], : size[1]]
    seen, layer = (torch.from_numpy(one).double() for one in (image + repeated, weight))
    found = functional.conv2d(
        functional.relu(seen.permute(2, 0, 1)[None]), layer, torch.from_numpy(bias).double(),
        padding=1,
    )  # fmt: skip
    expected = functional.relu(found)[0].permute(1, 2, 0).numpy() + added[..., :made]
    assert_allclose(out, expected, rtol=0, atol=2e-5 * np.abs(expected).max())


@pytest.mark.skipif("KPCN_LANES" in os.environ, reason="this is that other process")
def test_all_of_it_with_registers_of_avx2(tmp_path: Path) -> None:
    """In a process that takes the processor for one without AVX-512."""
    features = get_host_cpu_features()
    if not features.get("avx2"):
        pytest.skip("no AVX2")
    newer = ("avx512", "avx10", "amx")
    had = {name: there and not name.startswith(newer) for name, there in features.items()}
    told = {
        "NUMBA_CPU_NAME": "x86-64-v3",
        "NUMBA_CPU_FEATURES": ",".join(("+" if had[name] else "-") + name for name in had),
        "NUMBA_CACHE_DIR": str(tmp_path),
        "KPCN_LANES": "8",
    }
    tests = [__file__, "tests/test_unfold.py", "tests/test_combining.py"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(command, env=os.environ | told, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]


def test_the_other_process_has_them() -> None:
    assert int(os.environ.get("KPCN_LANES", LANES)) == LANES
