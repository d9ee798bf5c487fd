from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from voxflow.ops import boundary
from voxflow.ops.label_edges import label_edges


def marked(labels, thickness, axes, touching_only, background):
    """Both voxels of each change, dilated along the axes, with scipy."""
    marks = np.zeros(labels.shape, bool)
    cross = np.zeros((3,) * labels.ndim, bool)
    middle = (1,) * labels.ndim
    for axis in axes:
        low = [slice(None)] * labels.ndim
        high = [slice(None)] * labels.ndim
        low[axis], high[axis] = slice(None, -1), slice(1, None)
        one, other = labels[tuple(low)], labels[tuple(high)]
        change = one != other
        if touching_only:
            change &= (one != background) & (other != background)
        marks[tuple(low)] |= change
        marks[tuple(high)] |= change
        arm = list(middle)
        arm[axis] = slice(None)
        cross[tuple(arm)] = True
    if thickness > 1 and len(axes):
        marks = ndimage.binary_dilation(marks, cross, iterations=thickness - 1)
    return marks


@st.composite
def cases(draw):
    shape = tuple(draw(st.lists(st.integers(1, 11), min_size=1, max_size=3)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    dtype = draw(st.sampled_from(["uint8", "int64", "uint64", "bool"]))
    top = 1 if dtype == "bool" else int(np.iinfo(dtype).max)
    ids = np.array([0, 1, top, top - 1], dtype=dtype)
    grain = draw(st.sampled_from([1, 2, 4]))
    labels = rng.choice(ids, size=shape)[np.ix_(*[np.arange(n) // grain for n in shape])]
    axes = draw(st.sets(st.integers(0, len(shape) - 1)))
    background = 0 if dtype == "bool" else draw(st.sampled_from([0, top]))
    return labels, draw(st.integers(1, 4)), sorted(axes), draw(st.booleans()), background


def check(case):
    labels, thickness, axes, touching_only, background = case
    values = 3, 5, 7, 250
    got = label_edges(labels, thickness, values, axes, touching_only, background)
    edge, free = marked(*case), labels == background
    wanted = np.where(edge, np.where(free, 250, 7), np.where(free, 5, 3))
    assert got.dtype == np.uint8
    np.testing.assert_array_equal(got, wanted)


@settings(max_examples=100, deadline=None)
@given(cases())
def test_equals_changes_that_are_dilated(case):
    check(case)


@settings(max_examples=30, deadline=None)
@given(cases())
def test_slabs_do_not_show(case):
    with mock.patch.object(boundary, "SLAB_VOXELS", 1):
        check((np.concatenate([case[0]] * 3), *case[1:]))


def test_axes_count_from_the_end_too():
    labels = np.array([[1, 2], [3, 4]])
    np.testing.assert_array_equal(label_edges(labels, axes=[-1]), label_edges(labels, axes=[1]))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"thickness": 0}, "thickness is between 1 and 255 voxels; got 0"),
        ({"values": (0, 0, 0, 256)}, "four numbers from 0 to 255"),
        ({"axes": [2]}, r"axes \(2,\) are not all of the 2"),
        ({"background": -1}, "background -1 does not fit into uint8"),
    ],
)
def test_what_cannot_be(change, text):
    with pytest.raises(ValueError, match=text):
        label_edges(np.zeros((2, 2), np.uint8), **change)
    with pytest.raises(TypeError, match="integer dtype"):
        label_edges(np.zeros((2, 2)))
    with pytest.raises(ValueError, match="one axis or more"):
        label_edges(np.array(1))
