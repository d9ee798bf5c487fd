import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt

from voxflow.ops.distances import distances

TOP = 2**64 - 1


def per_label(labels, voxel_size, background=0, signed=False, border=False):
    """To voxels, each label by itself, with scipy."""
    if border:
        voxels = np.pad(labels, 1, constant_values=background)
        inner = (slice(1, -1),) * labels.ndim
        out = per_label(voxels, voxel_size, background)[inner]
        if signed:
            free = labels == background
            out[free] = per_label(labels, voxel_size, background, signed=True)[free]
        return out
    out = np.zeros(labels.shape)
    for label in np.unique(labels):
        inside = labels == label
        if label == background:
            if signed:
                out[inside] = -_inside(inside, voxel_size)[inside]
        else:
            out[inside] = _inside(inside, voxel_size)[inside]
    return out


def _inside(inside, voxel_size):
    if inside.all():  # for scipy, the boundary is somewhere outside then
        return np.full(inside.shape, np.inf)
    return distance_transform_edt(inside, sampling=voxel_size)


def to_faces(labels, voxel_size, background=0, signed=False, border=False):
    """To the nearest point of a box of another value, pair by pair."""
    size = np.array(voxel_size)
    places = np.indices(labels.shape).reshape(labels.ndim, -1).T
    values, inner = labels.reshape(-1), labels.shape
    around = np.array(list(itertools.product(*[range(-1, n + 1) for n in inner])))
    outside = around[((around < 0) | (around >= inner)).any(1)]
    out = np.zeros(len(places))
    for i, (place, value) in enumerate(zip(places, values, strict=True)):
        free = value == background
        if free and not signed:
            continue
        others = places[values != value]
        if border and not free:
            others = np.concatenate([others, outside])
        ways = np.maximum(np.abs(others - place) - 0.5, 0) * size
        out[i] = np.sqrt((ways**2).sum(1).min(initial=np.inf))
        if free:
            out[i] = -out[i]
    return out.reshape(labels.shape)


@st.composite
def cases(draw, longest=40):
    ndim = draw(st.integers(1, 3))
    voxels = draw(st.integers(1, longest ** min(ndim, 2)))
    shape = []
    for axis in range(ndim):
        most = min(longest, voxels // math.prod(shape)) if axis else min(longest, voxels)
        shape.append(draw(st.integers(1, max(most, 1))))
    shape = draw(st.permutations(shape))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    dtype = draw(st.sampled_from(["uint8", "int32", "uint64", "bool"]))
    top = 1 if dtype == "bool" else np.iinfo(dtype).max
    ids = np.array([0, 1, top, max(top - 1, 0)], dtype=dtype)
    grain = draw(st.sampled_from([1, 2, 5, 13]))
    coarse = rng.choice(ids, size=shape)
    labels = coarse[np.ix_(*[np.arange(n) // grain for n in shape])]
    sizes = st.sampled_from([0.25, 1.0, 4.0, 9.8, 40.0])
    voxel_size = tuple(draw(sizes) for _ in shape)
    options = {
        "background": draw(st.sampled_from([0, 1, int(top)])),
        "signed": draw(st.booleans()),
        "border": draw(st.booleans()),
    }
    return labels, voxel_size, options


def same(got, expected):
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, expected, rtol=2e-6)


@settings(max_examples=150, deadline=None)
@given(cases())
def test_to_voxels_equals_scipy_label_by_label(case):
    labels, voxel_size, options = case
    same(distances(labels, voxel_size, **options), per_label(labels, voxel_size, **options))


@settings(max_examples=80, deadline=None)
@given(cases(longest=14))
def test_to_faces_equals_the_nearest_box(case):
    labels, voxel_size, options = case
    got = distances(labels, voxel_size, to="face", **options)
    same(got, to_faces(labels, voxel_size, **options))


@settings(max_examples=40, deadline=None)
@given(cases(), st.sampled_from(["voxel", "face"]))
def test_sections_are_by_themselves(case, to):
    labels, voxel_size, options = case
    labels = np.stack([labels, labels[::-1], labels]) if labels.ndim > 1 else labels[None]
    got = distances(labels, (7.0, *voxel_size), to=to, sections=True, **options)
    planes = labels.reshape(-1, *labels.shape[-2:])
    size = (7.0, *voxel_size)[-2:]
    expected = [distances(plane, size, to=to, **options) for plane in planes]
    np.testing.assert_array_equal(got, np.reshape(expected, labels.shape))


def test_one_boundary_two_definitions():
    labels = np.full((3, 20), TOP, np.uint64)
    labels[:, 8:] = TOP - 1
    to_voxel = [8, 7, 6, 5, 4, 3, 2, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]
    assert (distances(labels, (9, 4)) == 4 * np.array(to_voxel)).all()
    assert (distances(labels, (9, 4), to="face") == 4 * np.array(to_voxel) - 2).all()


def test_a_corner_is_nearest_at_the_corner():
    labels = np.ones((5, 5), int)
    labels[4, 4] = 2
    got = distances(labels, (1, 1), to="face")
    assert got[0, 0] == np.float32(np.hypot(3.5, 3.5))
    assert got[4, 0] == 3.5
    assert distances(labels)[0, 0] == np.float32(np.hypot(4, 4))


def test_no_boundary_is_infinitely_far():
    labels = np.full((4, 5), 9)
    assert (distances(labels) == np.inf).all()
    assert (distances(labels * 0, signed=True) == -np.inf).all()
    assert distances(labels, border=True).max() == 2
    assert (distances(labels * 0, signed=True, border=True) == -np.inf).all()


def test_a_label_seen_again_beyond_another():
    labels = np.array([3, 3, 3, 0, 3, 3, 4, 4, 3])
    assert distances(labels).tolist() == [3, 2, 1, 0, 1, 1, 1, 1, 1]


def test_four_axes():
    labels = np.random.default_rng(1).integers(0, 3, (4, 5, 4, 5)).repeat(3, 0).repeat(3, 3)
    same(distances(labels, (1, 2, 3, 4)), per_label(labels, (1, 2, 3, 4)))


def test_views_of_any_layout_and_byte_order():
    base = np.random.default_rng(2).integers(0, 3, (4, 5, 6)).repeat(4, 0).astype(np.uint64)
    for view in (base.T, base[::-1, :, ::-1], base[1:, :, 1:5], base.astype(">u8")):
        expected = distances(np.array(view, np.uint64, order="C"), (3, 1, 2))
        np.testing.assert_array_equal(distances(view, (3, 1, 2)), expected)


def test_input_may_be_read_only_and_stays():
    labels = np.array([1, 2, 2])
    labels.flags.writeable = False
    assert distances(labels).tolist() == [1, 1, 2]
    assert labels.tolist() == [1, 2, 2]


def test_no_voxels():
    assert distances(np.ones((0, 3), int)).shape == (0, 3)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"labels": np.ones(3)}, TypeError, "integer dtype; got float64"),
        ({"labels": np.array(3)}, ValueError, r"1 or more axes; the labels have shape \(\)"),
        ({"sections": True}, ValueError, r"2 or more axes; the labels have shape \(3,\)"),
        ({"background": -1}, ValueError, "background -1 does not fit into uint8"),
        ({"to": "edge"}, ValueError, '"voxel" or "face"; got \'edge\''),
        ({"voxel_size": (1, 2)}, ValueError, r"each of the 1 axes .* shape is \(3,\)"),
        ({"voxel_size": (0,)}, ValueError, "above 0"),
        ({"voxel_size": (math.nan,)}, ValueError, "above 0"),
    ],
)
def test_refused(arguments, error, text):
    with pytest.raises(error, match=text):
        distances(**{"labels": np.ones(3, np.uint8), **arguments})


@pytest.mark.parametrize("sections", [False, True])
def test_room_for_all_parabolas(sections):
    """One object fills each line, and both ends of the array count: the most that there can be."""
    labels = np.ones((64, 8), np.uint64)
    got = distances(labels, (1000, 0.001), border=True, sections=sections)
    want = np.minimum(np.arange(1, 9), np.arange(8, 0, -1)) * 0.001
    np.testing.assert_allclose(got, np.broadcast_to(want, (64, 8)), rtol=1e-5)


def test_a_background_that_bools_do_not_have():
    with pytest.raises(ValueError, match="background -1 does not fit"):
        distances(np.array([True, False]), background=-1)
