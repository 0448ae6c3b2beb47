"""Scenes in a file: what is read is what was written."""

from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from training.scenes import scene, stored
from training.scenes.stage import Placed


@pytest.mark.parametrize("seed", [3, 4, 8])
def test_a_scene_comes_back_as_it_was(tmp_path: Path, seed: int) -> None:
    stage = scene(seed).stage
    stored.save(tmp_path / "scene.npz", stage)
    found = stored.load(tmp_path / "scene.npz")
    assert all(isinstance(placed, Placed) for placed in found.objects)
    assert_same(found, stage)


def assert_same(found: Any, expected: Any) -> None:
    if isinstance(expected, np.ndarray):
        assert found.dtype == expected.dtype
        assert_array_equal(found, expected)
    elif is_dataclass(expected):
        assert type(found) is type(expected)
        for one in fields(expected):
            assert_same(getattr(found, one.name), getattr(expected, one.name))
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected)
        for first, second in zip(found, expected, strict=True):
            assert_same(first, second)
    else:
        assert found == expected
