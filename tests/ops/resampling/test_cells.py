import numpy as np
import pytest

from voxflow.ops.maps import (
    Affine,
    Compose,
    ControlPointDisplacement,
    SectionShifts,
    mirror_transpose,
    rotation,
)
from voxflow.ops.resampling.cells import MOST, refined, subgrid
from voxflow.ops.resampling.program import build, lift


def program(spatial_map, size):
    sizes = lift(size, 1.0)
    halves = tuple(0.5 * n for n in sizes)
    return build(spatial_map.stages(), (0.0,) * 3, sizes, halves, sizes)


def parts(spatial_map, size=(1.0, 1.0, 1.0)):
    return subgrid(program(spatial_map, size)).tolist()


def zoom(*factors):
    return Affine(np.diag(factors), np.zeros(len(factors)))


@pytest.mark.parametrize("size", [(1, 1, 1), (40, 4, 4), (9.8, 4.6, 0.1)])
def test_as_many_as_a_voxel_spans(size):
    assert parts(zoom(3, 2, 5), size) == [3, 2, 5]
    assert parts(zoom(2.01, 1.2, 7.5), size) == [3, 2, 8]
    assert parts(zoom(0.2, 1, 30), size) == [2, 1, MOST]


@pytest.mark.parametrize("angle", np.linspace(0.1, 6, 13))
@pytest.mark.parametrize("factor", [2, 3, 4, 5, 6])
def test_turning_makes_no_more_of_them(angle, factor):
    turn = rotation(angle, (3, 5, 7))
    slips = SectionShifts(np.array([[0, 0, 0], [0, 9.8, 0]]), 0, 40)
    for spatial_map in (Compose([turn, zoom(1, factor, factor)]), Compose([slips, turn])):
        count = factor if spatial_map.maps[0] is turn else 2
        assert parts(spatial_map, (40, 9.8, 9.8)) == [1, count, count]


def test_one_along_an_axis_that_is_taken_over():
    mirror = mirror_transpose((2, 2, 2), (True, False, False), (1, 0, 2))
    assert parts(Compose([mirror, zoom(1, 3, 2)])) == [3, 1, 2]
    assert parts(Affine(np.eye(3), (0, 0, 0), (0, 0.5, 2))) == [1, 2, 1]
    bend = np.random.default_rng(0).normal(0, 1, (3, 2, 3, 3))
    flat = bend * np.array([0, 1, 1]).reshape(3, 1, 1, 1)
    for values, count in ((bend, 2), (flat, 1)):
        field = ControlPointDisplacement(values, (0, 0, 0), (9, 9, 9))
        assert parts(field) == [count, 2, 2]


def test_a_sheared_axis_is_not_taken_over():
    """Along it the map keeps the first axis, and passes several voxels of the other."""
    assert parts(Affine([[1, 0], [3, 1]], [0, 0])) == [1, 4, 2]


def test_long_voxels_that_are_tilted():
    assert parts(rotation(np.pi / 2, (0, 0, 0), (0, 1)), (20, 4, 4)) == [5, 2, 1]
    assert parts(rotation(np.pi / 2, (0, 0, 0), (0, 1)), (400, 4, 4)) == [MOST, 2, 1]


def test_parts_tile_their_voxel():
    spatial_map = Compose([rotation(0.3, (1, 2, 3)), zoom(1, 2.5, 3)])
    whole, counts = program(spatial_map, (4, 1, 1)), np.array([2, 3, 5])
    fine = refined(whole, counts)
    assert fine[1:] == whole[1:]
    index = np.array([4, 7, 11])
    steps = np.stack(np.meshgrid(*map(np.arange, counts), indexing="ij"), -1).reshape(-1, 3)
    places = (index * counts + steps) @ fine[0].matrix.T + fine[0].shift
    np.testing.assert_allclose(places.mean(0), whole[0].matrix @ index + whole[0].shift)
    apart = np.unique((steps + 0.5) / counts - 0.5 + index, axis=0)
    np.testing.assert_allclose(places, apart @ whole[0].matrix.T + whole[0].shift)
