"""What is measured of each object, and holes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import voxflow as gp
from voxflow.segmentation import fill_holes, object_table

IDS = st.sampled_from([0, 3, 2**32 + 3, 2**64 - 1])
SHAPES = st.one_of(*(st.tuples(*[st.integers(1, 5)] * dims) for dims in (1, 2, 3)))


@settings(max_examples=30, deadline=None)
@given(SHAPES.flatmap(lambda shape: arrays(np.uint64, shape, elements=IDS)))
def test_objects_are_where_their_voxels_are(labels):
    voxel_size, offset = (10, 2, 4)[: labels.ndim], (-20, 6, 4)[: labels.ndim]
    roi = gp.Roi(offset, gp.Coordinate(labels.shape) * gp.Coordinate(voxel_size))
    table = object_table(gp.Array(labels, gp.ArraySpec(roi, voxel_size)))
    assert table.ids.tolist() == np.unique(labels[labels > 0]).tolist()
    for row, number in enumerate(table.ids):
        places = np.argwhere(labels == number)
        assert table.sizes[row] == len(places)
        assert table.volumes[row] == len(places) * np.prod(voxel_size)
        assert np.allclose(table.centres[row], (places + 0.5).mean(0) * voxel_size + offset)
        assert (table.begins[row] == places.min(0) * voxel_size + offset).all()
        assert (table.ends[row] == (places.max(0) + 1) * voxel_size + offset).all()


def test_measured_in_voxels_unless_told_otherwise():
    table = object_table(np.array([[0, 5, 5]]))
    assert table.centres.tolist() == [[0.5, 2]]
    assert object_table(np.array([[0, 5, 5]]), voxel_size=(2, 9.8)).volumes.tolist() == [39.2]
    assert object_table(np.zeros((2, 2), int)).centres.shape == (0, 2)
    with pytest.raises(ValueError, match="up to 3 axes"):
        object_table(np.zeros((1,) * 4, int))
    with pytest.raises(ValueError, match="there is -4"):
        object_table(np.array([-4]))


def test_holes_are_filled_and_other_objects_stay():
    labels = np.zeros((5, 7), np.uint64)
    labels[:, :5] = 2**63
    labels[1:4, 1:4] = 0
    labels[2, 2] = 4  # within the hole
    filled = fill_holes(labels)
    assert (filled[1:4, 1:4] == np.where(labels[1:4, 1:4] == 4, 4, np.uint64(2**63))).all()
    assert (filled[:, 5:] == 0).all()
    labels[0, 2] = 0  # a way out
    assert (fill_holes(labels) == labels).all()


def test_holes_of_sections():
    tube = np.zeros((3, 5, 5), np.int64)
    tube[:, 1:4, 1:4] = 7
    tube[:, 2, 2] = 0  # open at both ends
    assert (fill_holes(tube) == tube).all()
    assert (fill_holes(tube, axes=(1, 2))[:, 2, 2] == 7).all()
