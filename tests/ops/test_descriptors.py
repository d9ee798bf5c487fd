import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxflow.ops.descriptors import descriptor_reach, local_shape_descriptors

TOP = 2**64 - 1


def direct(labels, sigma, voxel_size, background=0, downsample=1):
    """Weighted sums over all voxels of the object, voxel by voxel."""
    ndim = labels.ndim
    sigma, voxel_size, step = (np.broadcast_to(n, (ndim,)) for n in (sigma, voxel_size, downsample))
    seen = labels[tuple(slice(None, None, n) for n in step)]
    places = np.indices(seen.shape).reshape(ndim, -1).T
    spacing = voxel_size * step / sigma  # in sigma
    reach = (3 / spacing + 0.5).astype(int)
    mass = 1.0
    for axis in range(ndim):
        ways = np.arange(-reach[axis], reach[axis] + 1) * spacing[axis]
        mass *= np.exp(-0.5 * ways**2).sum()
    pairs = list(itertools.combinations(range(ndim), 2))
    out = np.zeros((2 * ndim + len(pairs) + 1, *labels.shape))
    for voxel in zip(*np.nonzero(labels != background), strict=True):
        inside = places[seen.reshape(-1) == labels[voxel]]
        ways = inside - np.array(voxel) // step
        ways = ways[(np.abs(ways) <= reach).all(1)] * spacing
        window = np.exp(-0.5 * (ways**2).sum(1)) / mass
        mean, covariance = np.zeros(ndim), np.zeros((ndim, ndim))
        if len(ways):
            mean = np.average(ways, axis=0, weights=window)
            covariance = np.cov(ways.T, aweights=window, ddof=0)
        spread = np.sqrt(np.maximum(np.diag(covariance), 1e-4))
        correlations = [0.5 + covariance[a, b] / (spread[a] * spread[b]) / 2 for a, b in pairs]
        values = [*(0.5 + mean / 2), *np.diag(covariance), *correlations, window.sum()]
        out[(slice(None), *voxel)] = np.clip(values, 0, 1)
    return out


@st.composite
def cases(draw, ndims=(2, 3), downsample=True):
    ndim = draw(st.sampled_from(ndims))
    longest = 90 if ndim == 2 else 50  # beyond a strip
    shape = [draw(st.integers(1, 6)) for _ in range(ndim)]
    shape[draw(st.integers(0, ndim - 1))] = draw(st.integers(1, longest))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    dtype = draw(st.sampled_from(["uint8", "int64", "uint64", "bool"]))
    top = 1 if dtype == "bool" else np.iinfo(dtype).max
    ids = np.array([0, 1, top, max(top - 1, 0)], dtype=dtype)
    grain = draw(st.sampled_from([1, 2, 5, 40]))
    coarse = rng.choice(ids, size=shape)
    labels = coarse[np.ix_(*[np.arange(n) // grain for n in shape])]
    options = {
        "sigma": draw(st.sampled_from([0.4, 3.0, 10.0, tuple(4.0 + a for a in range(ndim))])),
        "voxel_size": tuple(draw(st.sampled_from([0.7, 1.0, 2.5, 4.0])) for _ in shape),
        "background": draw(st.sampled_from([0, 1, int(top)])),
    }
    if downsample:
        options["downsample"] = draw(st.sampled_from([1, 2, tuple(range(1, ndim + 1))]))
    return labels, options


@settings(max_examples=120, deadline=None)
@given(cases())
def test_equals_direct_sums(case):
    labels, options = case
    got = local_shape_descriptors(labels, **options)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, direct(labels, **options), atol=1e-4)


@settings(max_examples=40, deadline=None)
@given(cases(downsample=False), st.data())
def test_mirrored_labels_have_mirrored_descriptors(case, data):
    labels, options = case
    axis = data.draw(st.integers(0, labels.ndim - 1))
    expected = np.flip(local_shape_descriptors(labels, **options), axis + 1).copy()
    pairs = list(itertools.combinations(range(labels.ndim), 2))
    turned = [axis, *(2 * labels.ndim + n for n, pair in enumerate(pairs) if axis in pair)]
    inside = np.flip(labels, axis) != options["background"]
    expected[turned] = (1 - expected[turned]) * inside
    got = local_shape_descriptors(np.flip(labels, axis), **options)
    np.testing.assert_allclose(got, expected, atol=2e-4)


@settings(max_examples=40, deadline=None)
@given(cases(), st.data())
def test_a_region_is_that_part_of_the_whole(case, data):
    labels, options = case
    region = []
    for n in labels.shape:
        begin = data.draw(st.integers(0, n))
        region.append(slice(begin, data.draw(st.integers(begin, n))))
    whole = local_shape_descriptors(labels, **options)
    got = local_shape_descriptors(labels, **options, region=region)
    np.testing.assert_array_equal(got, whole[(slice(None), *region)])


@settings(max_examples=40, deadline=None)
@given(cases(), st.data())
def test_the_reach_is_enough_context(case, data):
    labels, options = case
    reach = descriptor_reach(options["sigma"], options["voxel_size"], options["downsample"])
    step = np.broadcast_to(options["downsample"], (labels.ndim,))
    around, region, kept = [], [], []
    for n, r, s in zip(labels.shape, reach, step, strict=True):
        begin = data.draw(st.integers(0, n - 1))
        end = data.draw(st.integers(begin + 1, n))
        low = max(begin // s * s - r, 0)
        around.append(slice(low, end + r))
        region.append(slice(begin - low, end - low))
        kept.append(slice(begin, end))
    whole = local_shape_descriptors(labels, **options)
    got = local_shape_descriptors(labels[tuple(around)], **options, region=region)
    np.testing.assert_array_equal(got, whole[(slice(None), *kept)])


@settings(max_examples=20, deadline=None)
@given(cases(downsample=False))
def test_other_ids_and_another_place_change_nothing(case):
    labels, options = case
    expected = local_shape_descriptors(labels, **options)
    values, number = np.unique(labels, return_inverse=True)
    names = TOP - 3 * np.arange(1, len(values) + 1, dtype=np.uint64)
    names[values == options["background"]] = 0
    moved = np.pad(names[number.reshape(labels.shape)], 3)
    options = {**options, "background": 0}
    got = local_shape_descriptors(moved, **options)
    inner = (slice(None), *(slice(3, -3),) * labels.ndim)
    np.testing.assert_allclose(got[inner], expected, atol=1e-5)
    got[inner] = 0
    assert not got.any()


def test_deep_inside_of_an_object():
    got = local_shape_descriptors(np.full((41, 41, 41), TOP, np.uint64), 5.0)[:, 20, 20, 20]
    # A Gaussian that ends at three sigma (and half a voxel) lacks some of the variance.
    expected = [0.5, 0.5, 0.5, 0.98, 0.98, 0.98, 0.5, 0.5, 0.5, 1]
    np.testing.assert_allclose(got, expected, atol=2e-3)


def test_a_diagonal_line():
    got = local_shape_descriptors(np.eye(61, dtype=bool), 4.0)[:, 30, 30]
    np.testing.assert_allclose(got[[0, 1, 4]], [0.5, 0.5, 1], atol=1e-4)
    assert got[2] == pytest.approx(got[3])
    across = local_shape_descriptors(np.eye(61, dtype=bool)[::-1], 4.0)[:, 30, 30]
    assert across[4] == pytest.approx(0, abs=1e-4)


def test_a_voxel_by_itself():
    labels = np.zeros((5, 5, 5), int)
    labels[2, 2, 2] = 1
    got = local_shape_descriptors(labels, 2.0)
    np.testing.assert_allclose(got[:9, 2, 2, 2], [0.5] * 3 + [0] * 3 + [0.5] * 3)
    got[:, 2, 2, 2] = 0
    assert not got.any()


def test_an_object_between_the_voxels_that_are_looked_at():
    labels = np.zeros((4, 4), int)
    labels[1, 1] = 3
    got = local_shape_descriptors(labels, 2.0, downsample=2)[:, 1, 1]
    assert got.tolist() == [0.5, 0.5, 0, 0, 0.5, 0]


def test_views_of_any_layout_and_byte_order():
    base = np.random.default_rng(2).integers(0, 3, (4, 5, 6)).repeat(4, 0).astype(np.uint64)
    for view in (base.T, base[::-1, :, ::-1], base[1:, :, 1:5], base.astype(">u8")):
        plain = np.array(view, np.uint64, order="C")
        plain.flags.writeable = False
        got = local_shape_descriptors(view, 2.0)
        np.testing.assert_array_equal(got, local_shape_descriptors(plain, 2.0))


def test_no_voxels_and_no_objects():
    assert local_shape_descriptors(np.ones((0, 3), int), 1.0).shape == (6, 0, 3)
    assert not local_shape_descriptors(np.zeros((3, 3, 3), int), 1.0).any()


def test_reach():
    assert descriptor_reach(100, (40, 4, 4)) == (8, 75, 75)
    assert descriptor_reach((80.0, 40.0), (8, 8), downsample=(1, 2)) == (30, 16)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"labels": np.ones((3, 3))}, TypeError, "integer dtype; got float64"),
        ({"labels": np.ones(3, int)}, ValueError, r"2 or 3 axes; got shape \(3,\)"),
        ({"background": -1}, ValueError, "background -1 does not fit into uint8"),
        ({"sigma": 0}, ValueError, "sigma is a length above 0, or one for each of 2 axes; got 0"),
        ({"sigma": (1, 2, 3)}, ValueError, "one for each of 2 axes"),
        ({"voxel_size": (1,)}, ValueError, "voxel_size is a length above 0"),
        ({"downsample": 0}, ValueError, "downsample is a whole number from 1 on"),
        ({"downsample": (1, 1.5)}, ValueError, "downsample is a whole number"),
        ({"region": (slice(0, 1),)}, ValueError, r"a slice without step for each axis of \(3, 3\)"),
        ({"region": (slice(0, 2, 2),) * 2}, ValueError, "without step"),
    ],
)
def test_refused(arguments, error, text):
    with pytest.raises(error, match=text):
        local_shape_descriptors(**{"labels": np.ones((3, 3), np.uint8), "sigma": 1.0, **arguments})
