import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

import voxflow as gp
from tests.helpers import Nothing, asking, served, source
from voxflow.nodes.labels.add_affinities import seg_to_affgraph

LABELS, AFFS, MASK = gp.ArrayKey("LABELS"), gp.ArrayKey("AFFS"), gp.ArrayKey("MASK")
KNOWN, THERE = gp.ArrayKey("KNOWN"), gp.ArrayKey("THERE")
DTYPES = {2**31: "int64", 2**32: "uint32", 2**63: "uint64", 2**64: "uint64"}


def by_hand(labels, vectors):
    """Affinities of a whole volume; 0 where a neighbour is outside."""
    result = np.zeros((len(vectors), *labels.shape), np.uint8)
    for place in np.ndindex(*labels.shape):
        for channel, vector in enumerate(vectors):
            other = tuple(a + b for a, b in zip(place, vector, strict=True))
            if all(0 <= o < n for o, n in zip(other, labels.shape, strict=True)):
                same = labels[place] == labels[other] and labels[place] != 0
                result[(channel, *place)] = same
    return result


@st.composite
def cases(draw):
    """A volume of 1 to 4 axes with ids below some power of two, vectors, and a block of it."""
    dims = draw(st.integers(1, 4))
    shape = draw(st.tuples(*[st.integers(5, 7)] * dims))
    top = draw(st.sampled_from(list(DTYPES)))
    low = draw(st.tuples(*[st.integers(2, 3)] * dims))
    size = draw(st.tuples(*[st.integers(1, n - b - 1) for n, b in zip(shape, low, strict=True)]))
    vectors = draw(
        st.lists(
            st.tuples(
                *[
                    st.integers(-2, min(2, n - b - s))
                    for n, b, s in zip(shape, low, size, strict=True)
                ]
            ),
            min_size=1,
            max_size=4,
        )
    )
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    # pairs such as 1 and 2**32 + 1 are equal in their lower bits
    values = [0, 1, top - 1, top - 2, top // 2, top // 2 + 1]
    labels = np.array(values, DTYPES[top])[rng.integers(0, len(values), shape)]
    return labels, vectors, low, size


@hypothesis.given(case=cases())
def test_affinities_of_a_block_are_that_part_of_the_whole(case):
    labels, vectors, low, size = case
    voxel = gp.Coordinate([9.8, 4, 2, 1][: labels.ndim])
    pipeline = source(LABELS, labels, voxel) + gp.AddAffinities(vectors, LABELS, AFFS)
    roi = gp.Roi(voxel * gp.Coordinate(low), voxel * gp.Coordinate(size))
    batch = served(pipeline, asking(AFFS=roi))
    part = tuple(slice(b, b + n) for b, n in zip(low, size, strict=True))
    np.testing.assert_array_equal(batch[AFFS].data, by_hand(labels, vectors)[(..., *part)])


def test_the_documented_example():
    labels = np.array([[[1, 1, 2], [1, 0, 2]], [[1, 3, 2], [0, 0, 2]]], np.uint64)
    vectors = [[-1, 0, 0], [0, -1, 0], [0, 0, -1]]
    pipeline = (
        source(LABELS, labels, (4, 1, 1))
        + gp.Pad(LABELS, None)
        + gp.AddAffinities(vectors, LABELS, AFFS)
    )
    data = served(pipeline, asking(AFFS=((0, 0, 0), (8, 2, 3))))[AFFS].data
    assert data[0].tolist() == [[[0, 0, 0], [0, 0, 0]], [[1, 0, 1], [0, 0, 1]]]
    assert data[1].tolist() == [[[0, 0, 0], [1, 0, 1]], [[0, 0, 0], [0, 0, 1]]]
    assert data[2].tolist() == [[[0, 1, 0], [0, 0, 0]], [[0, 0, 0], [0, 0, 0]]]


def test_offers_affinities_where_all_neighbours_are_known():
    affs = gp.AddAffinities([[-1, 0], [3, -2]], LABELS, AFFS, affinities_mask=MASK, dtype="float32")
    with gp.build(source(LABELS, np.ones((9, 9), int), (10, 9.8)) + affs) as pipeline:
        for key in AFFS, MASK:
            assert pipeline.spec[key].roi == gp.Roi((10, 19.6), (50, 68.6))
            assert pipeline.spec[key].dtype == np.float32
        batch = pipeline.request_batch(gp.BatchRequest(pipeline.spec))
    assert batch[AFFS].data.shape == (2, 5, 7)
    assert batch[AFFS].data.dtype == batch[MASK].data.dtype == np.float32
    assert batch[AFFS].data.all()


def test_the_neighbourhood_reaches_the_consumer():
    labels = source(LABELS, np.ones((4, 4), int), (1, 1))
    pipeline = labels + gp.AddAffinities([[-1, 0]], LABELS, AFFS) + Nothing()
    batch = served(pipeline, asking(AFFS=((1, 0), (2, 2)), LABELS=((0, 0), (4, 4))))
    assert np.asarray(batch.affinity_neighborhood).tolist() == [[-1, 0]]
    assert batch[AFFS].attrs["affinity_neighborhood"] == [[-1, 0]]
    batch = served(pipeline, asking(LABELS=((0, 0), (4, 4))))
    assert batch.affinity_neighborhood is None


def masked(*, known=None, there=None, **rois):
    labels = np.array([[1, 1, 1, 2, 2, 2]])
    inputs = [source(LABELS, labels, (1, 1))]
    for key, mask in ((KNOWN, known), (THERE, there)):
        if mask is not None:
            inputs.append(source(key, np.array([mask]), (1, 1)))
    affs = gp.AddAffinities(
        [[0, -1]],
        LABELS,
        AFFS,
        labels_mask=None if known is None else KNOWN,
        unlabelled=None if there is None else THERE,
        affinities_mask=MASK,
    )
    return served(tuple(inputs) + gp.MergeProvider() + affs, asking(**rois))


@pytest.mark.parametrize(
    ("masks", "wanted"),
    [
        ({}, [1, 1, 1, 1, 1]),
        ({"known": [1, 1, 0, 1, 1, 1]}, [1, 0, 0, 1, 1]),
        ({"there": [1, 0, 0, 0, 1, 1]}, [1, 0, 0, 1, 1]),
        ({"known": [1, 1, 1, 1, 1, 0], "there": [0, 0, 1, 1, 1, 1]}, [0, 1, 1, 1, 0]),
    ],
)
def test_masks(masks, wanted):
    batch = masked(**masks, MASK=((0, 1), (1, 5)))
    assert batch[MASK].data.tolist() == [[wanted]]
    assert AFFS not in batch


def test_affinities_and_mask_of_different_regions():
    known = [1, 1, 0, 1, 1, 1]
    batch = masked(
        known=known, AFFS=((0, 3), (1, 2)), MASK=((0, 1), (1, 5)), LABELS=((0, 0), (1, 2))
    )
    assert batch[AFFS].data.tolist() == [[[0, 1]]]
    assert batch[MASK].data.tolist() == [[[1, 0, 0, 1, 1]]]
    assert batch[LABELS].data.tolist() == [[1, 1]]
    batch = masked(AFFS=((0, 1), (1, 5)), MASK=((0, 2), (1, 2)))
    assert batch[MASK].data.shape == (1, 1, 2)


def test_a_mask_alone_is_made_from_masks():
    seen = []

    class Spy(gp.BatchFilter):
        def process(self, batch, request):
            seen.extend(str(key) for key, _ in batch.items())

    known = np.array([[1, 1, 0, 1, 1, 1]])
    inputs = source(LABELS, known, (1, 1)), source(KNOWN, known, (1, 1))
    affs = gp.AddAffinities([[0, -1]], LABELS, AFFS, KNOWN, affinities_mask=MASK)
    batch = served(inputs + gp.MergeProvider() + Spy() + affs, asking(MASK=((0, 3), (1, 3))))
    assert batch[MASK].data.tolist() == [[[0, 1, 1]]]
    assert seen == ["KNOWN"]


def test_channels_of_labels_stay_in_front():
    labels = np.stack([np.ones((4, 4), int), np.zeros((4, 4), int)])
    affs = gp.AddAffinities([[-1, 0], [0, -1], [1, 0]], LABELS, AFFS, affinities_mask=MASK)
    batch = served(
        source(LABELS, labels, (1, 1)) + affs, asking(AFFS=((1, 1), (2, 3)), MASK=((1, 1), (2, 3)))
    )
    assert batch[AFFS].data.shape == batch[MASK].data.shape == (2, 3, 2, 3)
    assert batch[AFFS].data.mean(axis=(1, 2, 3)).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("labels", "size", "text"),
    [
        (
            np.ones((4, 4), int),
            (1, 1),
            r"3 entries in each vector, but LABELS has voxels of \(1, 1\)",
        ),
        (np.ones((4, 4, 4)), (1, 1, 1), "compares ids, but LABELS is float64; put AsType"),
        (np.ones((4, 1, 4), int), (1, 1, 1), r"looks \(1, 1, 1\) below .* LABELS are only"),
    ],
)
def test_what_does_not_fit_is_said_at_setup(labels, size, text):
    affs = gp.AddAffinities([[-1, 0, 0], [0, -1, 0], [0, 0, -1]], LABELS, AFFS)
    with (
        pytest.raises(gp.PipelineSetupError, match=text),
        gp.build(source(LABELS, labels, size) + affs),
    ):
        pass


@pytest.mark.parametrize(
    ("affs", "text"),
    [
        (
            {"labels_mask": KNOWN},
            r"LABELS, which are of \(1, 1\), but those of KNOWN are of \(2, 2\)",
        ),
        ({"unlabelled": THERE}, "no spec for THERE"),
    ],
)
def test_masks_that_do_not_fit_are_said_at_setup(affs, text):
    inputs = source(LABELS, np.ones((4, 4), int), (1, 1)), source(KNOWN, np.ones((2, 2)), (2, 2))
    affs = gp.AddAffinities([[-1, 0]], LABELS, AFFS, affinities_mask=MASK, **affs)
    with (
        pytest.raises(gp.PipelineSetupError, match=text),
        gp.build(inputs + gp.MergeProvider() + affs),
    ):
        pass


@pytest.mark.parametrize("vectors", [[], [[1, 0], [1]], [[0.5, 0]]])
def test_vectors_are_checked_at_once(vectors):
    with pytest.raises((ValueError, TypeError), match="neighborhood"):
        gp.AddAffinities(vectors, LABELS, AFFS)


@pytest.mark.parametrize("dtype", [np.int32, np.uint64])
def test_affinities_of_a_whole_array_are_those_of_the_node_and_0_beyond(dtype):
    nhood = [[-1, 0], [0, 2], [3, -1]]
    labels = np.random.default_rng(0).integers(0, 3, (9, 8)).astype(dtype)
    made = seg_to_affgraph(labels, nhood)
    assert (made.shape, made.dtype) == ((3, 9, 8), np.int32)
    for channel, (dy, dx) in zip(made, nhood, strict=True):
        for y, x in np.ndindex(9, 8):
            inside = 0 <= y + dy < 9 and 0 <= x + dx < 8
            same = inside and labels[y, x] == labels[y + dy, x + dx] > 0
            assert channel[y, x] == same
