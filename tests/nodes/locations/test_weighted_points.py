from collections import Counter
from fractions import Fraction

import numpy as np
import pytest

import voxflow as gp
from voxflow.nodes.locations.room import Room
from voxflow.nodes.locations.weighted_points import Reach, WeightedPoints
from voxflow.pipeline.data.graph_ops import inside

UNITS = gp.Coordinate(1)


def moves(reach, count=4000):
    rng = np.random.default_rng(3)
    return Counter(reach.draw(rng) for _ in range(count))


def test_weighs_by_neighbours():
    points = WeightedPoints(np.array([[0.0, 0], [0, 1], [0, 2.5], [9, 9]]), 1)
    np.testing.assert_allclose(points.weights, [0.5, 0.5, 1, 1])


def test_all_moves_that_hold_the_point_and_no_other():
    points = WeightedPoints(np.array([[10.0]]), 1)
    reach = Reach(points, gp.Roi((100,), (4,)), Room(UNITS, (-200,), (0,)), False)
    assert set(moves(reach)) == {(-93,), (-92,), (-91,), (-90,)}
    assert min(moves(reach).values()) > 850


def test_the_room_limits_the_moves():
    points = WeightedPoints(np.array([[10.0], [50.0]]), 1)
    reach = Reach(points, gp.Roi((0,), (4,)), Room(UNITS, (9,), (20,)), False)
    assert reach.number == 1
    assert set(moves(reach)) == {(9,), (10,)}


@pytest.mark.parametrize(("extent", "middle"), [(4, 2), (5, 2), (1, 0)])
def test_the_point_lies_in_the_middle_voxel(extent, middle):
    points = WeightedPoints(np.array([[10.0], [10.9]]), 0)
    reach = Reach(points, gp.Roi((0,), (extent,)), Room(UNITS, (0,), (99,)), True)
    assert set(moves(reach, 50)) == {(10 - middle,)}


def test_points_on_voxel_faces_of_sizes_that_are_not_whole():
    size = gp.Coordinate(Fraction(49, 5))
    for dtype in (np.float32, np.float64):
        places = np.array([[n * 49 / 5] for n in range(40)], dtype)
        roi = gp.Roi((0,), (2 * size[0],))
        for n in range(1, 39):
            points = WeightedPoints(places[n : n + 1], 0)
            reach = Reach(points, roi, Room(size, (0,), (99,)), False)
            found = set(moves(reach, 30))
            assert found == {(n - 1,), (n,)}
            for (move,) in found:
                assert inside(places[n : n + 1], roi.shift(size * move)).all()


def test_draws_points_by_weight():
    places = np.array([[0.5], [0.6], [0.7], [20.5]])
    reach = Reach(WeightedPoints(places, 1), gp.Roi((0,), (1,)), Room(UNITS, (0,), (99,)), False)
    found = moves(reach)
    assert 0.46 < found[(20,)] / 4000 < 0.54  # three near each other weigh as one


def test_moves_without_bounds():
    reach = Reach(
        WeightedPoints(np.array([[7.0]]), 1),
        gp.Roi((0,), (2,)),
        Room(UNITS, (None,), (None,)),
        False,
    )
    assert set(moves(reach, 50)) == {(6,), (7,)}
