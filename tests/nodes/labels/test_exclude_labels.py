from fractions import Fraction

import numpy as np
import pytest
from scipy import ndimage

import voxflow as gp
from tests.helpers import asking, served, source, specs

LABELS, MASK = gp.ArrayKey("LABELS"), gp.ArrayKey("MASK")


def excluded(labels, size, *args, keys=(LABELS, MASK), **kwargs):
    roi = gp.Roi((0,) * len(size), gp.Coordinate(labels.shape) * gp.Coordinate(size))
    node = gp.ExcludeLabels(LABELS, *args, **kwargs)
    return served(source(LABELS, labels, size) + node, gp.BatchRequest(dict.fromkeys(keys, roi)))


def test_labels_and_mask():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 6, (5, 6, 7)).repeat(2, 1).repeat(3, 2)
    ids, size, erode = [1, 2, 4], (40, 4, 6), 13
    batch = excluded(labels, size, ids, MASK, erode, background_value=9)
    out = np.isin(labels, ids)
    np.testing.assert_array_equal(batch[LABELS].data, np.where(out, 9, labels))
    near = ndimage.distance_transform_edt(out, sampling=size) < erode
    np.testing.assert_array_equal(batch[MASK].data, near)
    assert batch[MASK].data.dtype == np.uint8


def test_background_is_kept_too_and_the_mask_is_empty_by_default():
    labels = np.array([0, 7, 7, 7, 5])
    batch = excluded(labels, (1,), [7], MASK, 2)
    assert batch[MASK].data.tolist() == [1, 1, 0, 1, 1]
    assert excluded(labels, (1,), [7], MASK)[MASK].data.tolist() == [0] * 5
    assert excluded(labels, (1,), [0, 5, 7], MASK, 99)[MASK].data.tolist() == [0] * 5


def test_the_mask_can_be_asked_for_alone_and_elsewhere():
    labels = np.array([5, 7, 7, 7, 7, 7, 5, 7])
    pipeline = source(LABELS, labels, (1,)) + gp.ExcludeLabels(LABELS, [7], MASK, 2.5)
    batch = served(pipeline, asking(MASK=((2,), (4,))))
    assert batch[MASK].data.tolist() == [1, 0, 1, 1]
    pipeline = source(LABELS, labels, (1,)) + gp.ExcludeLabels(LABELS, [7], MASK, 2.5)
    batch = served(pipeline, asking(MASK=((4,), (4,)), LABELS=((0,), (2,))))
    assert batch[LABELS].data.tolist() == [5, 0]
    assert batch[MASK].data.tolist() == [1, 1, 1, 1]


def test_what_is_offered():
    pipeline = source(LABELS, np.zeros((4, 4), np.int16), (4, 2), (8, 8), interpolatable=False)
    with specs(pipeline + gp.ExcludeLabels(LABELS, [1], MASK)) as spec:
        assert spec[LABELS].dtype == np.int16
        assert spec[MASK].roi == spec[LABELS].roi
        assert (spec[MASK].dtype, spec[MASK].interpolatable) == (np.uint8, False)


def test_mistakes():
    with pytest.raises(TypeError, match=r"ids are whole numbers; got \['7'\]"):
        gp.ExcludeLabels(LABELS, ["7"])
    with pytest.raises(ValueError, match="ignore_mask_erode has to be 0 or more, got -1"):
        gp.ExcludeLabels(LABELS, [7], MASK, -1)
    with pytest.raises(ValueError, match="300 does not fit into uint8"):
        excluded(np.zeros(3, np.uint8), (1,), [7], keys=(LABELS,), background_value=300)


@pytest.mark.parametrize("size", ["4.6", "0.3", "0.7", "9.8", "2.3"])
def test_the_ignore_mask_ends_at_the_voxel_also_where_sizes_are_no_whole_numbers(size):
    labels, voxel = np.arange(64, dtype=np.uint64) // 32, Fraction(size)
    for steps in range(1, 24):
        mask = excluded(labels, (voxel,), [1], MASK, steps * voxel)[MASK].data
        assert mask.sum() == 32 + steps - 1, steps
