import itertools
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxflow.pipeline.geometry import Coordinate, Roi, Tiling, grid, starts
from voxflow.testing.strategies import coordinates, rois_on_grid, voxel_sizes


@st.composite
def scans(draw):
    """A tiling of tiles of one size, and its voxel size."""
    size = draw(voxel_sizes(draw(st.integers(1, 3))))
    region = draw(rois_on_grid(size, most=12))
    tile = [draw(st.integers(1, n)) for n in (region / size).shape]
    stride = [draw(st.integers(1, n)) for n in tile] if draw(st.booleans()) else tile
    return Tiling(region, Coordinate(tile) * size, Coordinate(stride) * size), size


@st.composite
def grids(draw):
    """A grid of blocks over a region, and its voxel size."""
    size = draw(voxel_sizes(draw(st.integers(1, 3))))
    region = draw(rois_on_grid(size, most=12))
    block = draw(coordinates(size.dims, 1, 8, whole=True)) * size
    origin = draw(coordinates(size.dims, -100, 100, whole=True)) * size
    return grid(region, block, origin), size


def painted(boxes, region, size):
    """Count how often each voxel of a region is covered; boxes that step out are an error."""
    counts = np.zeros((region / size).shape, int)
    for box in boxes:
        assert region.contains(box)
        assert not box.empty
        counts[((box - region.offset) / size).to_slices()] += 1
    return counts


def test_starts():
    assert starts(0, 100, 30) == [0, 30, 60, 70]
    assert starts(0, 90, 30) == [0, 30, 60]
    assert starts(0, 100, 30, 20) == [0, 20, 40, 60, 70]
    assert starts(-5, 25, 30) == [-5]
    assert starts(0, 49, 19.6) == list(Coordinate(0, 19.6, 29.4))
    assert starts(3, 3, 5) == []
    with pytest.raises(ValueError, match="does not fit into"):
        starts(0, 10, 11)


@given(st.one_of(scans(), grids()))
def test_tiles_cover_and_stay_inside_and_each_voxel_has_one_owner(case):
    tiling, size = case
    assert (painted(tiling, tiling.region, size) >= 1).all()
    owned = [tiling.owned(index) for index in range(len(tiling))]
    assert (painted(owned, tiling.region, size) == 1).all()
    assert list(tiling.pairs()) == list(zip(tiling, owned, strict=True))


@given(st.one_of(scans(), grids()))
def test_the_owner_is_the_first_tile_that_covers(case):
    tiling, size = case
    before = np.zeros((tiling.region / size).shape, bool)
    for tile, owned in tiling.pairs():
        assert tile.contains(owned)
        where = ((tile - tiling.region.offset) / size).to_slices()
        mine = np.zeros_like(before)
        mine[((owned - tiling.region.offset) / size).to_slices()] = True
        fresh = np.zeros_like(before)
        fresh[where] = ~before[where]
        assert (fresh == mine).all()
        before[where] = True


@given(scans())
def test_all_tiles_have_one_size_and_none_comes_twice(case):
    tiling, _ = case
    assert len({tile.shape for tile in tiling}) == 1
    assert len(set(tiling)) == len(tiling)


@given(st.data(), grids())
def test_blocks_do_not_depend_on_the_region(data, case):
    whole, size = case
    shape = data.draw(coordinates(size.dims, 1, 8, whole=True)) * size
    origin = data.draw(coordinates(size.dims, -9, 9, whole=True)) * size
    part = data.draw(rois_on_grid(size, low=-3, high=12, most=12)) + whole.region.offset
    part = part.intersect(whole.region)
    blocks = list(grid(whole.region, shape, origin))
    for block in grid(part, shape, origin):
        assert block in [other.intersect(part) for other in blocks]
        cell = (block.begin - origin).floor_division(shape) * shape + origin
        assert Roi(cell, shape).contains(block)


@given(st.data(), st.one_of(scans(), grids()))
def test_within_keeps_the_tiles_that_own_a_part(data, case):
    tiling, size = case
    part = data.draw(rois_on_grid(size, low=-3, high=12, most=8, least=0)) + tiling.region.offset
    needed = [pair for pair in tiling.pairs() if pair[1].intersects(part)]
    assert list(tiling.within(part).pairs()) == needed
    narrower = tiling.within(tiling.region).within(part)
    assert list(narrower.pairs()) == needed


def test_the_first_dimension_varies_fastest():
    tiling = Tiling(Roi((0, 0), (4, 6)), (2, 2))
    order = [tuple(tile.begin) for tile in tiling]
    assert order == [(a, b) for b, a in itertools.product((0, 2, 4), (0, 2))]
    assert tiling.counts == (2, 3)
    assert [tiling[i] for i in range(6)] == list(tiling) == tiling[:]
    assert tiling[-1] == tiling[5]
    with pytest.raises(IndexError):
        tiling[6]
    assert repr(tiling) == "Tiling of [0:4, 0:6] (4, 6): 2 x 3 tiles"


def test_millions_of_tiles_take_no_memory():
    tiling = Tiling(Roi((0, 0, 0), (10**6, 10**6, 10**6)), 10)
    assert len(tiling) == 10**15
    assert tiling[10**15 - 1] == Roi((10**6 - 10,) * 3, (10,) * 3)
    assert next(iter(tiling)) == Roi((0, 0, 0), (10, 10, 10))
    around = tiling.within(Roi((555, 555, 555), (10, 10, 10)))
    assert len(around) == 8
    assert len(pickle.dumps(tiling)) < 2000


def test_no_region_no_tiles():
    nothing = Roi((None, None), (0, 0))
    assert list(Tiling(nothing, (3, 3))) == list(grid(nothing, (3, 3))) == []
    tiling = Tiling(Roi((0, 0), (9, 9)), 3)
    assert len(tiling.within(nothing)) == 0
    assert len(tiling.within(Roi((50, 0), (5, 5)))) == 0


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((Roi((None,), (None,)), (3,)), "bound it in every dimension"),
        ((Roi((0,), (9,)), (0,)), "tile shape is positive"),
        ((Roi((0,), (9,)), (3, 3)), "for each of 1 dimensions"),
        ((Roi((0,), (9,)), (None,)), "for each of 1 dimensions"),
        ((Roi((0,), (9,)), (3,), (4,)), "leaves gaps"),
        ((Roi((0,), (9,)), (3,), (-1,)), "stride is positive"),
        ((Roi((0,), (9,)), (10,)), "use smaller tiles or a larger region"),
    ],
)
def test_what_cannot_be_tiled(arguments, text):
    with pytest.raises(ValueError, match=text):
        Tiling(*arguments)


def test_a_grid_needs_a_fitting_origin():
    with pytest.raises(ValueError, match="origin needs a number"):
        grid(Roi((0,), (9,)), (3,), (1, 2))
    with pytest.raises(ValueError, match="differ in dimensions"):
        Tiling(Roi((0,), (9,)), 3).within(Roi((0, 0), (1, 1)))
