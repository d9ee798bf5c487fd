import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from voxflow.ops.components import connected_components


def per_label(labels, background):
    """Each label by itself with scipy, then renamed by first voxel."""
    parts = np.zeros(labels.shape, np.int64)
    count = 0
    for label in np.unique(labels):
        if label != background:
            found, n = ndimage.label(labels == label)
            parts += np.where(found > 0, found + count, 0)
            count += n
    _, first, inverse = np.unique(parts, return_index=True, return_inverse=True)
    number = np.zeros(len(first), np.int64)
    there = parts.ravel()[first] > 0
    number[there] = 1 + np.argsort(np.argsort(first[there]))
    return number[inverse.reshape(labels.shape)], count


@st.composite
def cases(draw):
    shape = tuple(draw(st.lists(st.integers(1, 9), min_size=1, max_size=4)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    values = np.array([0, 2**64 - 1, 2**64 - 2, 2**63], np.uint64)[: draw(st.integers(2, 4))]
    background = draw(st.sampled_from([0, 2**64 - 1]))
    return rng.choice(values, size=shape), background


@settings(max_examples=100, deadline=None)
@given(cases())
def test_equals_scipy_label_by_label(case):
    got, count = connected_components(*case)
    wanted, number = per_label(*case)
    assert got.dtype == case[0].dtype
    assert count == number
    np.testing.assert_array_equal(got, wanted)


def test_a_spiral_is_one():
    labels = np.ones((9, 9), np.uint8)
    labels[1, :-1] = labels[1:-1, -2] = labels[-2, 1:-1] = labels[3:-1, 1] = labels[3, 1:-3] = 0
    labels[3:6, -4] = labels[5, 3:-3] = 0
    found, count = connected_components(labels)
    assert count == 1
    np.testing.assert_array_equal(found, labels)


def test_touching_objects_stay_apart_and_bool_is_taken():
    assert connected_components(np.array([[5, 7], [7, 5]]))[1] == 4
    found, count = connected_components(np.array([False, True, True]))
    assert (found.tolist(), found.dtype, count) == ([False, True, True], bool, 1)


def test_nothing_has_no_components():
    assert connected_components(np.zeros((0, 3), np.uint8))[1] == 0


def test_what_cannot_be():
    labels = np.zeros((2, 600), np.uint8)
    labels[:, ::2] = 1
    with pytest.raises(ValueError, match="uint8 holds ids up to 255, but there are 300 components"):
        connected_components(labels)
    with pytest.raises(ValueError, match="bool holds ids up to 1"):
        connected_components(np.array([True, False, True]))
    with pytest.raises(ValueError, match="background -1 does not fit"):
        connected_components(labels, -1)
    with pytest.raises(ValueError, match="one axis or more"):
        connected_components(np.array(1))
    with pytest.raises(TypeError, match="integer dtype"):
        connected_components(np.zeros(3))
