import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxflow.ops.morphology import create_ball_kernel, enlarge_binary_map


def grown_by_hand(binary, radius, voxel_size):
    """The smallest distance to a voxel that is set, squared, in units of the radius."""
    set_voxels = np.argwhere(binary)
    scale = np.array(voxel_size) / radius
    found = np.full(binary.shape, np.inf)
    for place in np.ndindex(*binary.shape):
        found[place] = (((set_voxels - place) * scale) ** 2).sum(axis=1).min(initial=np.inf)
    return found


@given(
    st.integers(1, 3),
    st.integers(0, 2**32),
    st.sampled_from([1, 2.5, 4]),
    st.sampled_from([(1, 1, 1), (3, 1, 2), (0.5, 2, 1.25)]),
    st.sampled_from([None, 0.3, 0.6]),
)
def test_enlarge(dims, seed, radius, voxel_size, ring):
    rng = np.random.default_rng(seed)
    binary = (rng.random((5, 6, 7)[:dims]) < 0.1).astype(np.uint8)
    before = binary.copy()
    grown = enlarge_binary_map(binary, radius, voxel_size[:dims], ring)
    np.testing.assert_array_equal(binary, before)
    if not binary.any() or binary.all():
        np.testing.assert_array_equal(grown, binary)
        return
    distances = grown_by_hand(binary, radius, voxel_size[:dims])
    expected = distances <= 1 + 1e-9
    if ring is not None:
        expected &= distances > (1 - ring) ** 2 + 1e-9
    assert grown.dtype == bool
    np.testing.assert_array_equal(grown, expected)
    assert enlarge_binary_map(binary, radius, voxel_size[:dims], ring, in_place=True) is None
    np.testing.assert_array_equal(binary, expected)


def test_in_place_keeps_a_map_that_is_the_same_everywhere():
    for value in (0, 1):
        binary = np.full((3, 3), value)
        assert enlarge_binary_map(binary, 1, 1, in_place=True) is None
        assert (binary == value).all()


@pytest.mark.parametrize(
    ("radius", "voxel_size", "shape"),
    [(2, (1, 1), (5, 5)), (2.5, (2, 1), (5, 7)), ((2, 1), (1, 1), (5, 3)), (40, (40, 4), (3, 21))],
)
def test_ball_kernel(radius, voxel_size, shape):
    kernel = create_ball_kernel(radius, voxel_size)
    assert kernel.dtype == np.uint8
    assert kernel.shape == shape
    point = np.zeros(shape, np.uint8)
    point[tuple(n // 2 for n in shape)] = 1
    np.testing.assert_array_equal(
        kernel, grown_by_hand(point, np.broadcast_to(radius, 2), voxel_size) <= 1 + 1e-9
    )


def test_mistakes():
    with pytest.raises(ValueError, match="above zero"):
        create_ball_kernel(0, (1, 1))
    with pytest.raises(ValueError, match="above zero"):
        enlarge_binary_map(np.zeros((2, 2)), 1, (1, 0))
    with pytest.raises(ValueError, match="one for each of 2 axes"):
        enlarge_binary_map(np.zeros((2, 2)), (1, 1, 1), 1)
