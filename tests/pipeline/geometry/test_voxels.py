from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxflow.pipeline.geometry import Coordinate, Roi, describe, lcm, nearest_on_grid
from voxflow.testing.strategies import exact_numbers, rois, rois_on_grid, voxel_sizes


@given(st.lists(exact_numbers(1, 60), min_size=1, max_size=4))
def test_lcm_is_the_smallest_common_multiple(numbers):
    common = lcm(*numbers)
    factors = [Fraction(common) / number for number in numbers]
    assert all(factor.denominator == 1 for factor in factors)
    for prime in (2, 3, 5, 7, 11, 13, 59):
        assert any(factor.numerator % prime for factor in factors)
    assert type(common) is int or common.denominator > 1


def test_lcm_of_voxel_sizes():
    assert lcm(Coordinate(9.8, 4), Coordinate(2, 6)) == (98, 12)
    assert type(lcm(Coordinate(1), Coordinate(2))) is Coordinate
    assert lcm(0.5, 0.75) == Fraction(3, 2)
    with pytest.raises(ValueError, match="equal length"):
        lcm(Coordinate(1), Coordinate(1, 2))
    with pytest.raises(ValueError, match=r"positive numbers, got -0\.5"):
        lcm(-0.5, 2)


@given(st.data(), voxel_sizes())
def test_a_region_on_the_grid_is_nearest_to_itself(data, size):
    roi = data.draw(rois_on_grid(size))
    assert nearest_on_grid(roi, size) == (roi, roi)


@given(st.data(), rois(empty=False))
def test_nearest_on_grid_is_around_and_within(data, roi):
    size = data.draw(voxel_sizes(roi.dims))
    around, within = nearest_on_grid(roi, size)
    assert around.contains(roi)
    assert within.empty or roi.contains(within)


def test_describe():
    size = Coordinate(9.8, 4)
    roi = Roi((98, 0), (49, 40))
    assert describe(roi) == "[98:147, 0:40] (49, 40) in world units"
    assert describe(roi, size) == (
        "[98:147, 0:40] (49, 40) in world units = [10:15, 0:10] (5, 10) in voxels of (9.8, 4)"
    )
    assert "= [10.5:" in describe(roi + 4.9, size)


def test_describe_never_fails():
    nothing = Roi((None,), (0,))
    assert describe(nothing, (4,)) == "[empty ROI] in world units"
    assert describe(Roi((0,), (4,)), (0,)) == "[0:4] (4) in world units"
    assert describe(Roi((0,), (4,)), (2, 2)) == "[0:4] (4) in world units"
    assert describe(Roi((None,), (None,)), (2,)) == (
        "[:] (inf) in world units = [:] (inf) in voxels of (2,)"
    )
