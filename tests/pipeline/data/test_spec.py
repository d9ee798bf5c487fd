"""What is known of arrays and graphs."""

import copy
import pickle
from fractions import Fraction

import funlib.geometry
import numpy as np
import pytest

import voxflow as gp

ROI = gp.Roi((0, 98), (8, 49))


def test_defaults():
    spec = gp.ArraySpec()
    assert (spec.roi, spec.voxel_size, spec.interpolatable, spec.dtype) == (None,) * 4
    assert (spec.nonspatial, spec.placeholder) == (False, False)
    graph = gp.GraphSpec()
    assert (graph.roi, graph.directed, graph.placeholder) == (None, None, False)
    assert graph.dtype == np.float32


def test_voxel_sizes_are_exact():
    assert gp.ArraySpec(voxel_size=(9.8, 4)).voxel_size == (Fraction(49, 5), 4)
    spec = gp.ArraySpec()
    spec.voxel_size = [4.5, 1]
    assert spec.voxel_size == gp.Coordinate(4.5, 1)


@pytest.mark.parametrize("size", [(0, 4), (-1, 4), (None, 4)])
def test_voxel_sizes_are_positive(size):
    with pytest.raises(ValueError, match="a voxel size is positive along each axis, got"):
        gp.ArraySpec(voxel_size=size)
    with pytest.raises(ValueError, match="positive"):
        gp.ArraySpec().voxel_size = size


def test_regions_of_other_packages_become_ours():
    spec = gp.ArraySpec(roi=funlib.geometry.Roi((0, 0), (4, 4)))
    assert type(spec.roi) is gp.Roi
    spec.roi = funlib.geometry.Roi((1, 1), (4, 4))
    assert spec.roi == gp.Roi((1, 1), (4, 4))
    assert type(spec.roi) is gp.Roi


def test_nonspatial_has_no_place():
    assert gp.ArraySpec(nonspatial=True).nonspatial
    with pytest.raises(ValueError, match="neither roi nor voxel_size"):
        gp.ArraySpec(ROI, nonspatial=True)
    with pytest.raises(ValueError, match="neither roi nor voxel_size"):
        gp.ArraySpec(voxel_size=(1, 1), nonspatial=True)


def test_roi_and_voxel_size_have_the_same_axes():
    with pytest.raises(ValueError, match=r"2 dimensions, the voxel size \(4, 4, 4\) has 3"):
        gp.ArraySpec(ROI, (4, 4, 4))


def test_no_other_attributes():
    with pytest.raises(AttributeError):
        gp.ArraySpec().colour = 1
    with pytest.raises(AttributeError):
        gp.GraphSpec().voxel_size = 1


@pytest.mark.parametrize(
    "other",
    [
        gp.ArraySpec(ROI, (4, 9.8)),
        gp.ArraySpec(ROI, (4, 49)),
        gp.ArraySpec(ROI, (4, 9.8), True, dtype="uint8", placeholder=True),
        gp.ArraySpec(ROI, (4, 9.8), False, dtype="uint8"),
        gp.ArraySpec(ROI, (4, 9.8), True, dtype="uint16"),
        gp.ArraySpec(gp.Roi((0, 0), (8, 49)), (4, 9.8), True, dtype="uint8"),
        gp.GraphSpec(ROI),
    ],
)
def test_equality_looks_at_everything(other):
    spec = gp.ArraySpec(ROI, (4, 9.8), True, dtype="uint8")
    assert spec == gp.ArraySpec(ROI, (4, 9.8), True, dtype=np.uint8)
    assert spec != other


def test_unhashable():
    with pytest.raises(TypeError):
        hash(gp.ArraySpec())
    with pytest.raises(TypeError):
        hash(gp.GraphSpec())


@pytest.mark.parametrize(
    "make_copy",
    [lambda s: s.copy(), copy.copy, copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))],
)
@pytest.mark.parametrize(
    "spec",
    [
        gp.ArraySpec(ROI, (4, 9.8), True, dtype="uint8"),
        gp.ArraySpec(nonspatial=True, placeholder=True),
        gp.GraphSpec(ROI, directed=False, dtype="float64"),
    ],
)
def test_copies_share_nothing(spec, make_copy):
    before, made = spec.copy(), make_copy(spec)
    assert made == spec
    made.roi = gp.Roi((0,), (1,))
    made.dtype = "int64"
    made.placeholder = not made.placeholder
    assert spec == before


def test_update_with_unites_regions_and_takes_what_is_set():
    spec = gp.ArraySpec(gp.Roi((0,), (10,)), (2,), True, dtype="uint8")
    spec.update_with(gp.ArraySpec(gp.Roi((20,), (10,))))
    assert spec == gp.ArraySpec(gp.Roi((0,), (30,)), (2,), True, dtype="uint8")
    spec.update_with(gp.ArraySpec(None, (5,), False, dtype="int8", placeholder=True))
    assert spec == gp.ArraySpec(gp.Roi((0,), (30,)), (5,), False, dtype="int8", placeholder=True)
    # what is never None is always taken
    spec.update_with(gp.ArraySpec())
    assert not spec.placeholder


def test_update_with_a_region_where_there_was_none():
    spec = gp.ArraySpec()
    spec.update_with(gp.ArraySpec(ROI))
    assert spec.roi == ROI


def test_update_with_graphs():
    spec = gp.GraphSpec(gp.Roi((0,), (10,)), directed=True, dtype="float64")
    spec.update_with(gp.GraphSpec(gp.Roi((5,), (10,))))
    assert spec == gp.GraphSpec(gp.Roi((0,), (15,)), directed=True, dtype="float32")


def test_region_and_grid_say_that_there_is_none():
    assert gp.ArraySpec(ROI, (4, 9.8)).region == ROI
    assert gp.ArraySpec(ROI, (4, 9.8)).grid == gp.Coordinate(4, 9.8)
    with pytest.raises(ValueError, match="a region is needed"):
        gp.ArraySpec().region  # noqa: B018
    with pytest.raises(ValueError, match="a voxel size is needed"):
        gp.ArraySpec(ROI).grid  # noqa: B018


def test_repr():
    assert repr(gp.ArraySpec(ROI, (4, 9.8), dtype="uint8")) == (
        "ROI: [0:8, 98:147] (8, 49), voxel size: (4, 9.8), interpolatable: None, "
        "non-spatial: False, dtype: uint8, placeholder: False"
    )
    assert repr(gp.GraphSpec(ROI)) == (
        "ROI: [0:8, 98:147] (8, 49), dtype: float32, directed: None, placeholder: False"
    )
