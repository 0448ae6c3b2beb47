"""Tiles cover a frame once, and read what the network sees."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpcn_core.errors import UnknownName
from kpcn_core.tiling import tile_size, tiles

LENGTHS = st.integers(1, 90)


@given(height=LENGTHS, width=LENGTHS, size=st.integers(1, 40), overlap=st.integers(0, 12))
def test_every_pixel_belongs_to_one_tile_that_reads_its_surroundings(
    height: int, width: int, size: int, overlap: int
) -> None:
    covered = set()
    for tile in tiles(height, width, size, overlap, alignment=2):
        assert tile.read_rows.start % 2 == tile.read_columns.start % 2 == 0
        for row in range(tile.rows.start, tile.rows.stop):
            assert tile.read_rows.start <= max(0, row - overlap)
            assert tile.read_rows.stop >= min(height, row + overlap + 1)
            for column in range(tile.columns.start, tile.columns.stop):
                assert (row, column) not in covered
                covered.add((row, column))
    assert len(covered) == height * width


def test_a_frame_that_fits_is_one_tile() -> None:
    assert tile_size(100, 200, memory=20_000, bytes_per_pixel=1, overlap=5) == 200


def test_a_tile_with_its_overlap_keeps_within_memory() -> None:
    size = tile_size(1000, 1000, memory=4_000_000, bytes_per_pixel=100, overlap=20)
    assert (size + 40) ** 2 * 100 <= 4_000_000


def test_a_tile_of_no_size_is_refused() -> None:
    with pytest.raises(UnknownName, match="at least 1"):
        list(tiles(4, 4, 0, 1, 1))
