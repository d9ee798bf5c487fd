import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxflow.ops.affinities import affinities, affinities_mask, as_integers, reach

DIRECT = [[-1, 0, 0], [0, -1, 0], [0, 0, -1]]


def brute_force(labels, neighborhood):
    """Voxel by voxel, in Python's own integers."""
    below, above = reach(neighborhood)
    dims = len(below)
    lead, spatial = labels.shape[:-dims], labels.shape[-dims:]
    inner = tuple(n - b - a for n, b, a in zip(spatial, below, above, strict=True))
    out = np.zeros((*lead, len(neighborhood), *inner), np.uint8)
    for s in np.ndindex(*lead):
        for e, vector in enumerate(neighborhood):
            for x in np.ndindex(*inner):
                here = tuple(i + b for i, b in zip(x, below, strict=True))
                there = tuple(i + v for i, v in zip(here, vector, strict=True))
                a, b = int(labels[s + here]), int(labels[s + there])
                out[(*s, e, *x)] = a == b and a > 0
    return out


@st.composite
def cases(draw):
    dims = draw(st.integers(1, 4))
    vector = st.lists(st.integers(-2, 2), min_size=dims, max_size=dims)
    neighborhood = draw(st.lists(vector, min_size=1, max_size=4))
    lead = tuple(draw(st.lists(st.integers(1, 2), max_size=1)))
    shape = tuple(draw(st.lists(st.integers(4, 6), min_size=dims, max_size=dims)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    dtype = draw(st.sampled_from(["uint8", "int8", "uint16", "int32", "uint32", "int64", "uint64"]))
    info = np.iinfo(dtype)
    middle = info.max // 2 + 1
    ids = [info.min, 0, 1, info.max, info.max - 1, middle - 1, middle, middle + 1]
    labels = rng.choice(np.array(ids, dtype=dtype), size=lead + shape)
    return labels, neighborhood


@settings(max_examples=60, deadline=None)
@given(cases())
def test_equals_brute_force(case):
    labels, neighborhood = case
    np.testing.assert_array_equal(
        affinities(labels, neighborhood), brute_force(labels, neighborhood)
    )


@settings(max_examples=40, deadline=None)
@given(cases(), st.data())
def test_block_equals_whole(case, data):
    labels, neighborhood = case
    below, above = reach(neighborhood)
    dims = len(below)
    whole = affinities(labels, neighborhood)
    starts, stops = [], []
    for n in whole.shape[-dims:]:
        starts.append(data.draw(st.integers(0, n)))
        stops.append(data.draw(st.integers(starts[-1], n)))
    inner = tuple(slice(a, b) for a, b in zip(starts, stops, strict=True))
    grown = tuple(
        slice(s.start, s.stop + b + a) for s, b, a in zip(inner, below, above, strict=True)
    )
    block = affinities(labels[(..., *grown)], neighborhood)
    np.testing.assert_array_equal(block, whole[(..., *inner)])


@pytest.mark.parametrize(
    ("dtype", "low"),
    [("int32", 2**31 - 3), ("uint32", 2**31 - 1), ("uint32", 2**32 - 3), ("int64", 2**32 - 1)]
    + [("uint64", low) for low in (2**31 - 1, 2**32 - 1, 2**53, 2**63 - 1, 2**64 - 3)],
)
def test_large_ids_stay_apart_and_count_as_foreground(dtype, low):
    labels = np.array([low, low, low + 1, low + 1, low + 2, 0, 0], dtype=dtype)
    assert affinities(labels, [[1]])[0].tolist() == [1, 0, 1, 0, 0, 0]


def test_ids_that_collide_in_int32_differ():
    labels = np.array([5, 5 + 2**32], dtype=np.uint64)
    assert affinities(labels, [[-1]]).tolist() == [[0]]


def test_negative_labels_are_no_object():
    assert affinities(np.array([-1, -1, 3, 3]), [[1]]).tolist() == [[0, 0, 1]]


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "float32", "float64"])
def test_dtype_of_the_result(dtype):
    out = affinities(np.array([2, 2, 3], dtype=np.uint64), [[1]], dtype)
    assert out.dtype == dtype
    assert out.tolist() == [[1, 0]]


def test_views_of_any_layout():
    rng = np.random.default_rng(0)
    base = rng.integers(0, 3, (6, 7, 8)).astype(np.uint64)
    for view in (base.T, base[::-1, :, ::-1], base[1:, 2:, 1:6], base.astype(">u8")):
        expected = brute_force(np.ascontiguousarray(view), DIRECT)
        np.testing.assert_array_equal(affinities(view, DIRECT), expected)


def test_read_only_labels_are_taken_and_left_alone():
    labels = np.arange(8).reshape(2, 4) // 2
    labels.flags.writeable = False
    before = labels.copy()
    affinities(labels, [[0, 1]])
    np.testing.assert_array_equal(labels, before)


def test_mask_is_one_where_both_ends_are_known():
    rng = np.random.default_rng(1)
    mask = rng.integers(0, 2, (5, 6, 7)).astype(np.uint8)
    expected = brute_force(mask, DIRECT)
    np.testing.assert_array_equal(affinities_mask(DIRECT, mask), expected)
    np.testing.assert_array_equal(affinities_mask(DIRECT, mask.astype(bool)), expected)
    np.testing.assert_array_equal(affinities_mask(DIRECT, mask * np.float32(0.5)), expected)


def test_mask_values_need_not_be_equal():
    assert affinities_mask([[1]], np.array([1, 255, 0])).tolist() == [[1, 0]]


@pytest.mark.parametrize("with_mask", [False, True])
def test_pairs_of_unlabelled_voxels_are_masked_out(with_mask):
    rng = np.random.default_rng(2)
    labelled = rng.integers(0, 2, (5, 6, 7)).astype(np.uint8)
    mask = rng.integers(0, 2, (5, 6, 7)).astype(np.uint8) if with_mask else np.ones_like(labelled)
    expected = brute_force(mask, DIRECT) * (1 - brute_force(1 - labelled, DIRECT))
    got = affinities_mask(DIRECT, mask if with_mask else None, labelled, np.float32)
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, expected)


def test_every_rank_and_a_leading_axis():
    rng = np.random.default_rng(3)
    for dims in range(1, 5):
        labels = rng.integers(0, 3, (2,) + (4,) * dims)
        neighborhood = [v for v in itertools.product((-1, 0, 1), repeat=dims) if any(v)][:5]
        expected = brute_force(labels, neighborhood)
        np.testing.assert_array_equal(affinities(labels, neighborhood), expected)


def test_an_empty_interior_is_an_empty_result():
    assert affinities(np.ones((1, 3), int), [[-1, 0]]).shape == (1, 0, 3)


def test_bool_labels():
    assert as_integers(np.array([True])).dtype == np.uint8
    assert affinities(np.array([True, True, False]), [[1]]).tolist() == [[1, 0]]


@pytest.mark.parametrize(
    ("labels", "neighborhood", "error", "text"),
    [
        (np.ones((3, 3)), [[1, 0]], TypeError, "labels have an integer dtype; got float64"),
        (np.ones((3, 3), int), [], ValueError, "one or more vectors"),
        (np.ones((3, 3), int), [[1], [1, 0]], ValueError, "equal length"),
        (np.ones((3, 3), int), [[0] * 5], ValueError, "1 to 4 entries"),
        (np.ones((3, 3), int), [[0.5, 0]], TypeError, "whole voxels"),
        (np.ones((3, 3), int), [[1, 0, 0]], ValueError, "3 spatial axes, the labels only 2"),
        (np.ones((3, 3), int), [[4, 0]], ValueError, r"reaches \(0, 0\) below and \(4, 0\) above"),
    ],
)
def test_refused(labels, neighborhood, error, text):
    with pytest.raises(error, match=text):
        affinities(labels, neighborhood)


def test_masks_refused():
    with pytest.raises(ValueError, match="got neither"):
        affinities_mask([[1]])
    with pytest.raises(ValueError, match="have to cover the same voxels"):
        affinities_mask([[1]], np.ones(3), np.ones(4))
