"""Made and then turned is what is turned and then made: T(target(x)) == target(T(x))."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxflow.ops.actions import act, context, obstacle, turn_vectors
from voxflow.ops.affinities import affinities, affinities_mask, reach
from voxflow.ops.descriptors import local_shape_descriptors
from voxflow.ops.distances import distances
from voxflow.ops.maps import rotation
from voxflow.ops.symmetries import Symmetry, symmetries
from voxflow.pipeline.data.kinds import Affinities, Descriptors, Kind, Vectors

ALL = [s for ndim in (2, 3) for s in symmetries(ndim)]
EVERY = pytest.mark.parametrize("symmetry", ALL, ids=lambda s: f"{s.mirror}{s.order}")


def labels_of(ndim, seed=0, many=4):
    """Blobs of several voxels, with background, and ids that differ only in their last bit."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, many, (5, 4, 3)[:ndim]).astype(np.uint64)
    for axis in range(ndim):
        coarse = coarse.repeat(3 if axis else 2, axis=axis)
    coarse[coarse == 1] = 2**64 - 1
    coarse[coarse == 2] = 2**64 - 2
    return coarse[tuple(slice(None, n - k) for k, n in enumerate(coarse.shape))]


def nearest(ndim, signs=(-1, 1)):
    return [
        (np.eye(ndim, dtype=int)[axis] * sign).tolist() for axis in range(ndim) for sign in signs
    ]


NEIGHBORHOODS = {
    "both sides": nearest,
    "one side": lambda ndim: nearest(ndim, (-1,)),
    "the other side": lambda ndim: nearest(ndim, (1,)),
    "mixed sides": lambda ndim: [*nearest(ndim, (-1,))[:1], *nearest(ndim, (1,))[1:]],
    "far": lambda ndim: nearest(ndim) + [[3 * n for n in step] for step in nearest(ndim, (-1,))],
    "diagonal": lambda ndim: [[2 * n - 1 for n in step] for step in np.ndindex(*(2,) * ndim)],
}
EVERY_NEIGHBORHOOD = pytest.mark.parametrize("name", NEIGHBORHOODS)


def around(neighborhood):
    return list(zip(*reach(neighborhood), strict=True))


def all_affinities(labels, neighborhood):
    """Of all voxels: outside there is background."""
    return affinities(np.pad(labels, around(neighborhood)), neighborhood)


@EVERY
@EVERY_NEIGHBORHOOD
def test_affinities(symmetry, name):
    neighborhood = NEIGHBORHOODS[name](symmetry.ndim)
    labels, kind = labels_of(symmetry.ndim), Affinities(neighborhood)
    made = all_affinities(labels, neighborhood)
    wanted = all_affinities(symmetry.move(labels), neighborhood)
    turned = act(symmetry, made, kind, fill=0)
    np.testing.assert_array_equal(turned, wanted)
    assert 0.05 < turned.mean() < 0.95
    assert turned.dtype == np.uint8
    # Without a filling, what is read from beyond is left out.
    below, above = context(kind, symmetry)
    inner = tuple(slice(b, n - a) for b, a, n in zip(below, above, wanted.shape[1:], strict=True))
    np.testing.assert_array_equal(act(symmetry, made, kind), wanted[(slice(None), *inner)])
    # With an axis before the channels.
    both = act(symmetry, np.stack([made, 1 - made]), kind)
    np.testing.assert_array_equal(
        both, np.stack([act(symmetry, a, kind) for a in (made, 1 - made)])
    )


@EVERY
def test_masks_of_affinities(symmetry):
    neighborhood = nearest(symmetry.ndim, (-1,))
    rng = np.random.default_rng(1)
    shape = labels_of(symmetry.ndim).shape
    known, labelled = rng.random((2, *shape)) < 0.7

    def made(known, labelled):
        given = [np.pad(a.astype(np.uint8), around(neighborhood)) for a in (known, labelled)]
        return affinities_mask(neighborhood, *given)

    turned = act(symmetry, made(known, labelled), Affinities(neighborhood), fill=0)
    np.testing.assert_array_equal(turned, made(symmetry.move(known), symmetry.move(labelled)))


def test_a_channel_of_its_own_wins_over_the_opposite_one():
    symmetry = Symmetry((True, False))
    assert context(Affinities(nearest(2)), symmetry) == ((0, 0), (0, 0))
    assert context(Affinities([[-3, 0], [0, -1]]), symmetry) == ((3, 0), (0, 0))
    assert context(None, symmetry) == ((0, 0), (0, 0))


@given(st.data())
def test_is_undone_by_the_inverse(data):
    symmetry = data.draw(st.sampled_from(ALL))
    ndim = symmetry.ndim
    neighborhood = data.draw(st.sampled_from(list(NEIGHBORHOODS.values())))(ndim)
    labels = labels_of(ndim, data.draw(st.integers(0, 9)))
    for kind, made in (
        (None, labels),
        (Affinities(neighborhood), all_affinities(labels, neighborhood)),
        (Vectors(), np.random.default_rng(0).normal(size=(ndim, *labels.shape))),
        (Descriptors(2), local_shape_descriptors(labels, 2)),
    ):
        # Affinities with what is outside: there all are 0, and come back.
        wide = [(0, 0)] * (made.ndim - ndim) + [(4, 4)] * ndim
        made = np.pad(made, wide)
        before = made.copy()
        again = act(symmetry.inverse, act(symmetry, made, kind, fill=0), kind, fill=0)
        np.testing.assert_allclose(again, made, atol=1e-6)
        np.testing.assert_array_equal(made, before)


@EVERY
def test_plain_values(symmetry):
    """Labels, classes, distances: as they are, where their voxels go."""
    labels = labels_of(symmetry.ndim)
    assert np.shares_memory(act(symmetry, labels), labels)
    for to in ("voxel", "face"):
        made = distances(labels, to=to, signed=True)
        wanted = distances(symmetry.move(labels), to=to, signed=True)
        np.testing.assert_allclose(act(symmetry, made), wanted, rtol=1e-6)


@EVERY
def test_plain_values_of_anisotropic_voxels(symmetry):
    size = (40.0, 4.0, 4.0)[-symmetry.ndim :] if symmetry.ndim == 3 else (8.0, 4.0)
    moved = tuple(size[axis] for axis in symmetry.order)
    labels = labels_of(symmetry.ndim)
    wanted = distances(symmetry.move(labels), moved)
    np.testing.assert_allclose(act(symmetry, distances(labels, size)), wanted, rtol=1e-6)


@EVERY
@pytest.mark.parametrize("anisotropic", [False, True])
def test_descriptors(symmetry, anisotropic):
    ndim = symmetry.ndim
    size = (4.0,) * ndim
    sigma = (12.0,) * ndim
    if anisotropic:
        size, sigma = (8.0, 4.0, 4.0)[:ndim], (30.0, 12.0, 12.0)[:ndim]
    labels, kind = labels_of(ndim), Descriptors(sigma)
    made = local_shape_descriptors(labels, sigma, size)
    if any(sigma[a] != sigma[b] for a, b in enumerate(symmetry.order)):
        assert "axes that differ in it" in obstacle(kind, symmetry)
        with pytest.raises(ValueError, match="downstream"):
            act(symmetry, made, kind)
        return
    wanted = local_shape_descriptors(symmetry.move(labels), sigma, size)
    np.testing.assert_allclose(act(symmetry, made, kind), wanted, atol=2e-6)
    assert np.abs(symmetry.move(made) - wanted).max() > 0.1 or symmetry == Symmetry((False,) * ndim)


def to_centers(labels, size):
    """For each voxel, the way to the centre of its object (world)."""
    places = np.stack(np.indices(labels.shape), -1) * np.array(size)
    ways = np.zeros((labels.ndim, *labels.shape))
    for value in np.unique(labels[labels > 0]):
        own = labels == value
        ways[:, own] = (places[own].mean(axis=0) - places[own]).T
    return ways


@EVERY
@pytest.mark.parametrize("units", ["world", "voxels"])
def test_vectors(symmetry, units):
    size = np.array((9.0, 2.0, 4.0)[: symmetry.ndim])
    moved = size[list(symmetry.order)]
    labels = labels_of(symmetry.ndim)
    made, wanted = to_centers(labels, size), to_centers(symmetry.move(labels), moved)
    if units == "voxels":
        made = (made.T / size).T
        wanted = (wanted.T / moved).T
    turned = act(symmetry, made, Vectors(units))
    np.testing.assert_allclose(turned, wanted, atol=1e-9)
    whole = np.rint(made).astype(np.int32)
    np.testing.assert_array_equal(act(symmetry, whole, Vectors(units)), np.rint(turned))


def test_vectors_by_derivatives():
    warp = rotation(0.4, [0.0, 0.0])
    vectors = np.array([[[1.0, 0.0, 3.0]], [[0.0, 1.0, -2.0]]]).transpose(1, 0, 2)
    there = warp.points(vectors[0].T).T  # the map leaves the origin where it is
    one = turn_vectors(vectors, Vectors(), np.asarray(warp.matrix), (2, 8))
    np.testing.assert_allclose(one[0], there)
    each = turn_vectors(vectors, Vectors(), warp.derivatives(np.zeros((3, 2))), (2, 8))
    np.testing.assert_allclose(each, one)
    size = np.array([[2.0], [8.0]])
    in_voxels = turn_vectors(vectors / size, Vectors("voxels"), np.asarray(warp.matrix), (2, 8))
    np.testing.assert_allclose(in_voxels[0], there / size)
    with pytest.raises(ValueError, match="AsType"):
        turn_vectors(vectors.astype(int), Vectors(), np.asarray(warp.matrix), (2, 8))


TRANSPOSE, FLIP = Symmetry((False, False), (1, 0)), Symmetry((True, False))


@pytest.mark.parametrize(
    ("kind", "symmetry", "text"),
    [
        (
            Affinities([[-2, 0], [0, -1]]),
            TRANSPOSE,
            r"offsets \(-2, 0\), \(0, -1\) would .* AddAff",
        ),
        (Affinities([[1, 1]]), FLIP, r"offsets \(1, 1\) would have to show those of \(-1, 1\)"),
        (Affinities([[1, 1, 1]]), FLIP, "offsets with 3 entries are in an array of 2"),
        (Affinities([[0, 1]]), None, "AddAffinities downstream"),
        (Descriptors(8), None, "downstream"),
        (Descriptors((8, 4)), TRANSPOSE, "axes that differ"),
        (Descriptors((8, 4, 4)), FLIP, "as many sigmas"),
    ],
)
def test_what_cannot_be_turned_is_said(kind, symmetry, text):
    assert obstacle(None, symmetry) is None
    assert re.search(text, obstacle(kind, symmetry))
    if symmetry is not None:
        with pytest.raises(ValueError, match=text):
            act(symmetry, np.zeros((10, 4, 4)), kind)


@pytest.mark.parametrize("kind", [Vectors(), Descriptors(2), Affinities([[1, 0], [0, 1], [1, 1]])])
@pytest.mark.parametrize("shape", [(5, 4, 4), (4, 4)])
def test_channels_have_to_fit(kind, shape):
    with pytest.raises(ValueError, match=f"channels.*the shape {re.escape(str(shape))}"):
        act(Symmetry((False, False)), np.zeros(shape), kind)


def test_an_unknown_kind_is_said():
    class Odd(Kind):
        pass

    with pytest.raises(ValueError, match="no kind of array that is known"):
        act(FLIP, np.zeros((2, 4, 4)), Odd())


def test_a_mirror_needs_signs():
    with pytest.raises(ValueError, match="AsType"):
        act(FLIP, np.zeros((2, 4, 4), np.uint8), Vectors())
    act(TRANSPOSE, np.zeros((2, 4, 4), np.uint8), Vectors())
