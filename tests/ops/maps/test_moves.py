import hypothesis
import hypothesis.strategies as st
import numpy as np

import voxflow as gp
from voxflow.ops.maps import mirror_transpose
from voxflow.ops.maps.moves import Moves


@st.composite
def cases(draw):
    n = draw(st.integers(1, 3))
    extra = draw(st.integers(0, 3 - n)) if n < 3 else 0
    mirror = draw(st.lists(st.booleans(), min_size=n, max_size=n))
    order = draw(st.permutations(range(n)))
    center = draw(st.lists(st.integers(-5, 5), min_size=n, max_size=n))
    pivot = draw(st.lists(st.integers(-5, 5), min_size=n, max_size=n))
    offset = draw(st.lists(st.integers(-5, 5), min_size=n + extra, max_size=n + extra))
    shape = draw(st.lists(st.integers(1, 4), min_size=n + extra, max_size=n + extra))
    return [c / 2 for c in center], mirror, order, pivot, gp.Roi(offset, shape)


@hypothesis.given(case=cases(), scale=st.sampled_from([1, 9.8]))
def test_is_the_map_of_the_matrix(case, scale):
    center, mirror, order, pivot, roi = case
    roi = roi * scale
    size = gp.Coordinate((scale,) * roi.dims)
    args = [c * scale for c in center], mirror, order, [p * scale for p in pivot]
    ours, other = Moves(*args), mirror_transpose(*args)
    begin, end = ours.source(roi, size)
    assert (begin, end) == other.source(roi, size)
    shape = gp.Coordinate(end) / size - gp.Coordinate(begin) / size
    data = np.arange(2 * np.prod(shape)).reshape(2, *shape)
    out = tuple(roi.shape / size)
    image = ours.resample(data, begin, size, roi.offset, out)
    np.testing.assert_array_equal(image, other.resample(data, begin, size, roi.offset, out))
    assert np.shares_memory(image, data)
    places = np.random.default_rng(0).uniform(-9, 9, (5, roi.dims))
    np.testing.assert_allclose(ours.points(places), other.points(places), atol=1e-9)
    np.testing.assert_allclose(ours.pull(ours.points(places)), places, atol=1e-9)
    for low, high in zip(
        ours.reach((0,) * roi.dims, (3,) * roi.dims),
        other.reach((0,) * roi.dims, (3,) * roi.dims),
        strict=True,
    ):
        np.testing.assert_allclose(low, high, atol=1e-6)


def test_nothing_moved_is_the_identity():
    assert Moves([1.0] * 4, [False] * 4, range(4), [7.0] * 4).is_identity
    assert not Moves([1.0] * 4, [False] * 3 + [True], range(4), [7.0] * 4).is_identity


@hypothesis.given(case=cases(), begin=st.integers(-9, 9), count=st.integers(1, 6))
def test_outside_of_the_data_there_is_the_fill_value(case, begin, count):
    center, mirror, order, pivot, roi = case
    hypothesis.assume(len(center) == roi.dims)
    ours, other = (
        Moves(center, mirror, order, pivot),
        mirror_transpose(center, mirror, order, pivot),
    )
    size, shape = gp.Coordinate((1,) * roi.dims), (count,) * roi.dims
    data = np.arange(1, 1 + np.prod(shape)).reshape(shape)
    images = [
        m.resample(data, (begin,) * roi.dims, size, roi.offset, roi.shape, fill=7)
        for m in (ours, other)
    ]
    np.testing.assert_array_equal(*images)
