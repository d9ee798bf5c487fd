import numpy as np
import pytest

import voxflow as gp
from voxflow.nodes.labels.masks import labels_in

MASK = gp.ArrayKey("MASK")


def batch_of(labels, begin, size):
    batch = gp.Batch()
    batch[MASK] = gp.Array(
        labels, gp.ArraySpec(gp.Roi(begin, np.array(labels.shape[-2:]) * size), size)
    )
    return batch


def test_labels_of_a_part_and_none():
    labels = np.full((2, 3), 2**64 - 1, np.uint64)
    found = labels_in(batch_of(labels, (4, 2), (2, 2)), MASK, gp.Roi((2, 2), (8, 8)), (4, 4))
    expected = np.zeros((4, 4), np.uint64)
    expected[1:3, :3] = 2**64 - 1
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.uint64
    assert not labels_in(gp.Batch(), MASK, gp.Roi((2, 2), (8, 8)), (4, 4)).any()


def test_channels():
    batch = batch_of(np.ones((1, 2, 3)), (0, 0), (2, 2))
    with pytest.raises(ValueError, match="one axis for each dimension"):
        labels_in(batch, MASK, gp.Roi((0, 0), (4, 6)), (2, 3))
