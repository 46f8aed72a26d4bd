"""Tiles are integers, so their laws are checked on many sizes rather than on a few."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enlarger.image import Box, enlarged_size, round_half_up
from enlarger.steps.tiles import HALO_BUDGET, Grid, plan_grid, side_for_budget, split

SIDES = st.one_of(st.integers(1, 70), st.integers(1, 3000), st.integers(1, 70000))


@st.composite
def grids(draw: st.DrawFn, longest: int = 300) -> Grid:
    width, height = draw(st.integers(1, longest)), draw(st.integers(1, longest))
    halo = draw(st.integers(0, 40))
    feather = draw(st.integers(0, min(halo, 6)))
    smallest = max(1, 2 * feather)
    columns = draw(st.integers(1, max(1, min(width // smallest, 9))))
    rows = draw(st.integers(1, max(1, min(height // smallest, 9))))
    return Grid(width, height, columns, rows, halo, feather)


@given(grids())
def test_owned_boxes_partition_the_picture(grid: Grid) -> None:
    written = np.zeros((grid.height, grid.width), int)
    for tile in grid:
        written[tile.owned.slices()] += 1
    assert (written == 1).all()


@given(grids())
def test_every_tile_knows_all_that_it_writes_and_has_its_halo(grid: Grid) -> None:
    for tile in grid:
        assert contains(tile.span, tile.owned)
        assert contains(tile.read, tile.span)
        assert contains(Box(0, 0, grid.width, grid.height), tile.read)
        margin = grid.halo - grid.feather
        for near, far in ((tile.read.x, tile.span.x), (tile.read.y, tile.span.y)):
            assert far - near == margin or near == 0
        for near, far, end in ((tile.span.right, tile.read.right, grid.width), (tile.span.bottom, tile.read.bottom, grid.height)):
            assert far - near == margin or far == end


@given(grids())
def test_neighbours_overlap_by_twice_the_feather(grid: Grid) -> None:
    for tile in grid:
        if tile.column:
            left = grid.tile(tile.index - 1)
            assert left.span.right - tile.span.x == 2 * grid.feather
            assert tile.owned.x == tile.span.x


@given(grids())
def test_work_and_largest_read_are_those_of_the_tiles(grid: Grid) -> None:
    areas = [tile.read.area for tile in grid]
    assert math.isclose(grid.work, sum(areas) / (grid.width * grid.height))
    assert max(areas) <= grid.largest_read


@given(SIDES, SIDES, st.sampled_from([(0, 0), (18, 0), (32, 4)]), st.integers(20_000, 600_000), st.sampled_from([1, 32]))
def test_planned_grids_fit_and_do_not_waste(width: int, height: int, reach: tuple[int, int], max_read: int, min_side: int) -> None:
    halo, feather = reach
    grid = plan_grid(width, height, halo=halo, feather=feather, max_read=max_read, min_side=min_side)
    assert grid.largest_read <= max_read
    if max_read >= (side_for_budget(halo) + 2 * halo) ** 2:
        assert grid.work <= 1 + HALO_BUDGET + 0.05


def test_a_small_picture_is_one_tile() -> None:
    assert len(plan_grid(300, 200, halo=18, feather=0, max_read=500_000)) == 1


def test_a_narrow_picture_gets_long_tiles() -> None:
    assert len(plan_grid(1, 5000, halo=18, feather=0, max_read=500_000, min_side=32)) == 1


def test_a_side_given_is_taken() -> None:
    grid = plan_grid(1000, 500, halo=18, feather=0, max_read=500_000, side=100)
    assert (grid.columns, grid.rows) == (10, 5)


@pytest.mark.parametrize("side", [None, 400])
def test_what_does_not_fit_is_refused(side: int | None) -> None:
    with pytest.raises(ValueError, match="halo"):
        plan_grid(1000, 1000, halo=32, feather=4, max_read=4000, side=side)


@given(st.integers(0, 50), st.integers(0, 50), st.integers(1, 60), st.integers(1, 60))
def test_splitting_partitions(x: int, y: int, width: int, height: int) -> None:
    parts = split(Box(x, y, width, height))
    seen = np.zeros((y + height, x + width), int)
    for part in parts:
        assert part.area > 0
        seen[part.slices()] += 1
    assert seen.sum() == width * height == (seen == 1).sum()


@given(st.integers(1, 10**5), st.integers(1, 10**5), st.floats(1, 16))
def test_output_size_is_rounded_half_up(width: int, height: int, scale: float) -> None:
    wide, high = enlarged_size(width, height, scale)
    assert abs(wide - width * scale) <= 0.5
    assert abs(high - height * scale) <= 0.5


def test_half_goes_up() -> None:
    assert [round_half_up(v) for v in (0.5, 1.5, 2.5, 102.5)] == [1, 2, 3, 103]


def contains(outer: Box, inner: Box) -> bool:
    return outer.x <= inner.x and outer.y <= inner.y and outer.right >= inner.right and outer.bottom >= inner.bottom
