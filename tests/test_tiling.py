"""Tiles cover a frame once, and read what the network sees."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpcn_core.errors import UnknownName
from kpcn_core.tiling import tile_size, tiles

LENGTHS = st.integers(1, 90)


SIDES = st.integers(1, 40)


@given(
    height=LENGTHS,
    width=LENGTHS,
    size=st.tuples(SIDES, SIDES),
    overlap=st.integers(0, 12),
    wide_edges=st.booleans(),
)
def test_every_pixel_belongs_to_one_tile_that_reads_its_surroundings(
    height: int, width: int, size: tuple[int, int], overlap: int, wide_edges: bool
) -> None:
    covered = set()
    for tile in tiles(height, width, size, overlap, 2, wide_edges):
        assert tile.read_rows.start % 2 == tile.read_columns.start % 2 == 0
        for row in range(tile.rows.start, tile.rows.stop):
            assert tile.read_rows.start <= max(0, row - overlap)
            assert tile.read_rows.stop >= min(height, row + overlap + 1)
            for column in range(tile.columns.start, tile.columns.stop):
                assert (row, column) not in covered
                covered.add((row, column))
    assert len(covered) == height * width


@given(height=LENGTHS, width=LENGTHS)
def test_a_frame_that_fits_is_one_tile(height: int, width: int) -> None:
    size = tile_size(height, width, height * width, bytes_per_pixel=1, overlap=5, alignment=8)
    assert len(list(tiles(height, width, size, 5, 8, wide_edges=True))) == 1


@given(
    height=st.integers(200, 900),
    width=st.integers(200, 900),
    memory=st.integers(1_000_000, 60_000_000),
    overlap=st.integers(0, 40),
)
def test_a_tile_with_its_overlap_keeps_within_memory(
    height: int, width: int, memory: int, overlap: int
) -> None:
    size = tile_size(height, width, memory, 100, overlap, alignment=8)
    read = [
        (tile.read_rows.stop - tile.read_rows.start)
        * (tile.read_columns.stop - tile.read_columns.start)
        for tile in tiles(height, width, size, overlap, 8, wide_edges=True)
    ]
    assert max(read) * 100 <= memory


def test_a_frame_of_twice_the_memory_is_two_tiles_of_its_longer_side() -> None:
    size = tile_size(2160, 3840, 5_000_000, 1, 150, 16)
    halves = list(tiles(2160, 3840, size, 150, 16, wide_edges=True))
    assert [tile.rows for tile in halves] == [slice(0, 2160)] * 2
    assert [tile.columns for tile in halves] == [slice(0, 1920), slice(1920, 3840)]


def test_tiles_in_the_middle_read_no_more_than_those_at_the_edges() -> None:
    size = tile_size(4320, 7680, 9_000_000, 1, 150, 16)
    found = list(tiles(4320, 7680, size, 150, 16, wide_edges=True))
    read = [tile.read_columns.stop - tile.read_columns.start for tile in found]
    assert len(found) == 6
    assert max(read) - min(read) <= 3 * 16


def test_what_is_never_enough_gets_the_smallest_tiles() -> None:
    assert tile_size(100, 100, memory=10, bytes_per_pixel=100, overlap=20) == (1, 1)


def test_a_tile_of_no_size_is_refused() -> None:
    with pytest.raises(UnknownName, match="at least 1"):
        list(tiles(4, 4, (0, 4), 1, 1))
