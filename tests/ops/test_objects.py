import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxflow.ops.objects import Objects


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(0, 7), min_size=1, max_size=3),
    st.sampled_from(["bool", "uint8", "int16", "uint64"]),
    st.integers(0, 2**32),
    st.data(),
)
def test_runs_paint_the_labels_again(shape, dtype, seed, data):
    top = 1 if dtype == "bool" else np.iinfo(dtype).max
    ids = np.array([0, 1, top - 1 if top > 1 else 0, top], dtype=dtype)
    labels = np.random.default_rng(seed).choice(ids, size=shape)
    background = data.draw(st.sampled_from([0, 1, int(top)]))
    objects = Objects.of(labels, background)
    painted = np.full(labels.shape, background, dtype=dtype)
    lines = painted.reshape((1,) * (3 - labels.ndim) + labels.shape)
    seen = np.zeros(lines.shape, int)
    for value, runs in zip(*objects, strict=True):
        assert (np.lexsort(runs.T[[2, 1, 0]]) == np.arange(len(runs))).all()
        for z, y, begin, end in runs:
            assert begin < end
            lines[z, y, begin:end] = value
            seen[z, y, begin:end] += 1
    np.testing.assert_array_equal(painted, labels)
    assert seen.max(initial=0) <= 1
    assert objects.ids.tolist() == sorted(set(labels.reshape(-1).tolist()) - {background})


def test_neighbours_are_one_run():
    assert Objects.of(np.array([4, 4, 4, 9, 4])).runs[0].tolist() == [[0, 0, 0, 3], [0, 0, 4, 5]]


@pytest.mark.parametrize(
    ("labels", "background", "error", "text"),
    [
        (np.ones(3), 0, TypeError, "integer dtype; got float64"),
        (np.ones((1, 1, 1, 1), int), 0, ValueError, r"1 to 3 axes; the labels have shape \(1, 1"),
        (np.ones(3, np.uint8), 256, ValueError, "background 256 does not fit into uint8"),
    ],
)
def test_refused(labels, background, error, text):
    with pytest.raises(error, match=text):
        Objects.of(labels, background)
