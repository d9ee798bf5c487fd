from unittest import mock

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from voxflow.nodes.locations import cells
from voxflow.nodes.locations.cells import BitGrid, Cells, slices

SHAPES = st.lists(st.integers(1, 9), min_size=1, max_size=4)


@given(SHAPES, st.integers(1, 40), st.integers(1, 300), st.integers(0, 2))
def test_boxes_and_cells_cover_everything_once(shape, size, most, whole):
    grid = Cells(shape, size)
    for boxes in (map(grid.box, range(grid.number)), grid.boxes(most, min(whole, len(shape)))):
        seen = np.zeros(shape, int)
        for box in boxes:
            seen[slices(box)] += 1
            assert all(begin % grid.edge == 0 for begin, _ in box)
        assert (seen == 1).all()


@given(SHAPES, st.integers(1, 300))
def test_boxes_are_no_larger_than_they_may_be(shape, most):
    grid = Cells(shape, 8)
    for box in grid.boxes(most):
        assert np.prod([end - begin for begin, end in box]) <= max(most, grid.edge ** len(shape))


@given(SHAPES, st.data(), st.integers(0, 600), st.sampled_from([0, 0.1, 0.5, 1]))
def test_gives_back_what_it_was_given(shape, data, budget, density):
    values = np.random.default_rng(len(shape)).random(shape) < density
    box = []
    for n in shape:
        begin = data.draw(st.integers(0, n - 1))
        box.append((begin, data.draw(st.integers(begin + 1, n))))
    with mock.patch.object(cells, "_BUDGET", budget):
        grid = BitGrid(shape, lambda box: values[slices(box)])
        grid.cells = Cells(shape, 8)
        grid.counts = np.full(grid.cells.number, -1)
    for part in grid.cells.boxes(40):
        grid.keep(part, values[slices(part)])
    np.testing.assert_array_equal(grid.read(tuple(box)), values[slices(box)])
    assert not grid.is_empty(tuple(box)) or not values[slices(box)].any()
    assert grid.holds([b for b, _ in box]) == values[tuple(b for b, _ in box)]
    assert sum(len(bits) for bits in grid._bits.values()) <= budget


@pytest.mark.parametrize("value", [False, True])
def test_what_is_all_alike_takes_no_room(value):
    grid = BitGrid((300, 300), lambda box: pytest.fail("made anew"))
    for box in grid.cells.boxes(1):
        grid.keep(box, np.full([e - b for b, e in box], value))
    assert not grid._bits
    assert grid.is_empty(((0, 300), (5, 6))) is not value
    assert (grid.read(((3, 290), (5, 70))) == value).all()
