import numpy as np
import pytest

import voxflow as gp
from tests.helpers import asking, served, source

LABELS, BOTH, MASK = gp.ArrayKey("LABELS"), gp.ArrayKey("BOTH"), gp.ArrayKey("MASK")
KNOWN = np.array([1, 0, 1, 0], np.uint8)


def prepared(labels, mask=KNOWN, size=1):
    inputs = source(LABELS, labels, (1,)), source(MASK, mask, (size,))
    keys = (LABELS, BOTH) if mask is None else (LABELS, BOTH, MASK)
    pipeline = inputs + gp.MergeProvider() + gp.contrib.PrepareMalis(*keys)
    batch = served(pipeline, asking(BOTH=((0,), (labels.shape[-1],))))
    assert batch[BOTH].data.dtype == labels.dtype
    return batch[BOTH].data.tolist()


def test_what_is_ignored_is_one_more_object():
    assert prepared(np.array([7, 7, 5, 0])) == [[7, 8, 5, 8], [7, 7, 5, 0]]


def test_where_no_larger_id_is_left_the_smallest_free_one_is_taken():
    top = 2**64 - 1
    labels = np.array([1, top, 3, 0], np.uint64)
    assert prepared(labels) == [[1, 2, 3, 2], [1, top, 3, 0]]
    with pytest.raises(ValueError, match="bool has no id left"):
        prepared(np.array([True, False, True, True]))


def test_without_a_mask_both_are_the_labels():
    pipeline = source(LABELS, np.array([7, 5]), (1,)) + gp.contrib.PrepareMalis(LABELS, BOTH)
    assert served(pipeline, asking(BOTH=((0,), (2,))))[BOTH].data.tolist() == [[7, 5], [7, 5]]


def test_mistakes():
    with pytest.raises(gp.PipelineSetupError, match=r"of \(1,\), but those of MASK are of \(2,\)"):
        prepared(np.ones(8, int), size=2)
    with pytest.raises(ValueError, match=r"MASK has the shape \(4,\), LABELS has \(2, 4\)"):
        prepared(np.ones((2, 4), int))


def test_negative_labels_leave_no_hole_in_the_background():
    assert prepared(np.array([-1, -1, -7, -2]))[0] == [-1, 1, -7, 1]
