from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import binary_erosion

from voxflow.ops import boundary
from voxflow.ops.boundary import grow_boundary


def per_label(labels, steps, background=0, only_xy=False, mask=None):
    """Each label by itself, with scipy."""
    if only_xy and labels.ndim > 2:
        masks = [None] * len(labels) if mask is None else mask
        pairs = zip(labels, masks, strict=True)
        return np.stack([per_label(part, steps, background, True, known) for part, known in pairs])
    kept = np.zeros(labels.shape, bool)
    for label in np.unique(labels):
        if label == background:
            continue
        inside = labels == label
        if mask is not None:
            inside |= mask == 0
        if steps:  # for scipy, 0 iterations are "until nothing changes"
            inside = binary_erosion(inside, iterations=steps, border_value=1)
        kept |= inside
    out = labels.copy()
    out[~kept] = background
    return out


@st.composite
def cases(draw):
    shape = tuple(draw(st.lists(st.integers(1, 12), min_size=1, max_size=3)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    dtype = draw(st.sampled_from(["uint8", "int64", "uint64"]))
    top = np.iinfo(dtype).max
    ids = np.array([0, 1, top, top - 1], dtype=dtype)
    coarse = rng.choice(ids, size=shape)
    grain = draw(st.sampled_from([1, 2, 5]))
    labels = coarse[np.ix_(*[np.arange(n) // grain for n in shape])]
    mask = None
    share = draw(st.sampled_from([None, 0.0, 0.05, 0.4, 1.0]))
    if share is not None:
        mask = (rng.random(shape) >= share).astype(draw(st.sampled_from(["uint8", "bool"])))
    background = int(draw(st.sampled_from([0, 1, int(top)])))
    only_xy = draw(st.booleans()) and len(shape) > 1
    return labels, draw(st.integers(1, 4)), background, only_xy, mask


@settings(max_examples=150, deadline=None)
@given(cases())
def test_equals_erosion_label_by_label(case):
    np.testing.assert_array_equal(grow_boundary(*case), per_label(*case))


@settings(max_examples=30, deadline=None)
@given(cases())
def test_slabs_do_not_show(case):
    labels, steps, background, only_xy, mask = case
    labels = np.concatenate([labels] * 3)
    mask = None if mask is None else np.concatenate([mask] * 3)
    with mock.patch.object(boundary, "SLAB_VOXELS", 1):
        got = grow_boundary(labels, steps, background, only_xy, mask)
    np.testing.assert_array_equal(got, per_label(labels, steps, background, only_xy, mask))


def test_two_slabs_three_steps():
    labels = np.ones((4, 5, 20), np.uint64)
    labels[..., 10:] = 2
    grown = grow_boundary(labels, 3, only_xy=True)
    expected = [1] * 7 + [0] * 6 + [2] * 7
    assert (grown == np.array(expected, np.uint64)).all()


def test_nothing_is_eroded_at_the_array_border():
    labels = np.full((5, 6, 7), 9, np.uint32)
    np.testing.assert_array_equal(grow_boundary(labels, 3), labels)


def test_no_boundary_at_the_edge_of_an_unknown_region():
    labels = np.array([[4, 4, 4, 4, 0, 0, 0, 0]])
    mask = np.array([[1, 1, 1, 1, 0, 0, 0, 0]])
    np.testing.assert_array_equal(grow_boundary(labels, 2, mask=mask), labels)


def test_an_unknown_gap_does_not_shield():
    labels = np.array([4, 4, 4, 4, 6, 6, 6, 6])
    mask = np.array([1, 1, 1, 0, 0, 1, 1, 1])
    assert grow_boundary(labels, 3, mask=mask).tolist() == [4, 4, 0, 0, 0, 0, 6, 6]


def test_axes_before_the_plane_are_leading_ones():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, (2, 3, 8, 9)).repeat(2, -1)
    grown = grow_boundary(labels, 1, only_xy=True)
    expected = np.stack([per_label(part, 1, only_xy=True) for part in labels])
    np.testing.assert_array_equal(grown, expected)


def test_four_axes():
    labels = np.random.default_rng(1).integers(1, 3, (4, 5, 4, 5)).repeat(3, 0).repeat(3, 3)
    np.testing.assert_array_equal(grow_boundary(labels, 1), per_label(labels, 1))


def test_views_of_any_layout_and_byte_order():
    base = np.random.default_rng(2).integers(0, 3, (4, 5, 6)).repeat(4, 0).astype(np.uint64)
    for view in (base.T, base[::-1, :, ::-1], base[1:, :, 1:5], base.astype(">u8")):
        expected = per_label(np.ascontiguousarray(view), 2)
        np.testing.assert_array_equal(grow_boundary(view, 2), expected)


def test_input_is_left_alone_and_result_is_new():
    labels = np.array([1, 2, 3])
    labels.flags.writeable = False
    assert grow_boundary(labels, 0) is not labels
    assert grow_boundary(labels, 0).tolist() == [1, 2, 3]
    assert grow_boundary(labels, 1).tolist() == [0, 0, 0]


def test_bool_labels_stay_bool():
    grown = grow_boundary(np.array([True, True, True, False]), 1)
    assert grown.dtype == bool
    assert grown.tolist() == [True, True, False, False]


def test_more_steps_than_voxels():
    labels = np.array([1, 1, 1, 2])
    assert grow_boundary(labels, 255).tolist() == [0, 0, 0, 0]


def test_no_voxels():
    assert grow_boundary(np.ones((0, 3), int), 1).shape == (0, 3)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"steps": -1}, ValueError, "between 0 and 255 voxels; got -1"),
        ({"steps": 256}, ValueError, "between 0 and 255"),
        ({"background": -1}, ValueError, "background -1 does not fit into uint8"),
        ({"mask": np.ones(4)}, ValueError, r"shape \(4,\), the labels \(3,\)"),
        ({"only_xy": True}, ValueError, "two or more axes"),
        ({"labels": np.ones(3)}, TypeError, "integer dtype; got float64"),
    ],
)
def test_refused(arguments, error, text):
    with pytest.raises(error, match=text):
        grow_boundary(**{"labels": np.ones(3, np.uint8), "steps": 1, **arguments})
