import numpy as np
import pytest

import voxflow as gp
from tests.helpers import served, source

LABELS = gp.ArrayKey("LABELS")


def renumbered(labels, roi=None):
    pipeline = source(LABELS, labels, (1,) * labels.ndim) + gp.RenumberConnectedComponents(LABELS)
    asked = gp.BatchRequest({LABELS: roi or gp.Roi((0,) * labels.ndim, labels.shape)})
    return served(pipeline, asked)[LABELS].data


def test_each_component_in_two_and_three_dimensions():
    labels = np.array([[2**64 - 1, 0, 2**64 - 1], [2**64 - 2, 2**64 - 2, 2**64 - 1]], np.uint64)
    assert renumbered(labels).tolist() == [[1, 0, 2], [3, 3, 2]]
    assert renumbered(np.stack([labels, labels])).tolist() == [[[1, 0, 2], [3, 3, 2]]] * 2
    assert renumbered(labels).dtype == np.uint64


def test_only_what_is_in_the_batch_is_connected():
    labels = np.ones((3, 3), int)
    labels[:2, 1] = 0
    assert renumbered(labels).max() == 1
    assert renumbered(labels, gp.Roi((0, 0), (2, 3))).tolist() == [[1, 0, 2]] * 2


def test_too_many_for_the_dtype():
    with pytest.raises(ValueError, match="uint8 holds ids up to 255, but there are 300"):
        renumbered((np.arange(600) % 2).astype(np.uint8))
