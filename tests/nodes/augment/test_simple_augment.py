from collections import Counter

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

import voxflow as gp
from tests.helpers import GraphSource, asking, served, source
from tests.nodes.augment.registered import IDS, POINTS, RAMP, center_of, volume, voxel_of

RAW, VECTOR = gp.ArrayKey("RAW"), gp.ArrayKey("VECTOR")


def orientations(request, size, n=500, **kwargs):
    """How often each image of a volume comes up, drawn without serving any."""
    augment = gp.SimpleAugment(**kwargs)
    found = Counter()
    with gp.build(source(RAW, np.zeros((9,) * len(size)), size) + augment):
        for seed in range(n):
            asked = request.clone()
            asked._set_seed(seed)
            warp = augment.draw(asked, asked.rng("SimpleAugment"))
            zero = warp.pull(np.zeros((1, len(size))))
            matrix = (warp.pull(np.eye(len(size))) - zero).T
            found[tuple(map(tuple, np.round(matrix).astype(int).tolist()))] += 1
    return found


@pytest.mark.parametrize(
    ("dims", "kwargs", "count"),
    [
        (3, {"transpose_only": [1, 2]}, 16),
        (2, {}, 8),
        (3, {}, 48),
        (3, {"mirror_only": [0], "transpose_only": []}, 2),
        (3, {"mirror_only": [], "transpose_only": [0, 1, 2]}, 6),
        (3, {"mirror_only": [], "transpose_only": []}, 1),
    ],
)
def test_all_orientations_are_equally_likely(dims, kwargs, count):
    n = 2000 if count == 16 else 600
    found = orientations(asking(RAW=((0,) * dims, (9,) * dims)), (1,) * dims, n, **kwargs)
    assert len(found) == count
    expected = n / count
    chi2 = sum((n - expected) ** 2 / expected for n in found.values())
    assert chi2 < count - 1 + 4 * np.sqrt(2 * count)  # 4 sigma


@pytest.mark.parametrize(
    ("kwargs", "share"),
    [
        ({"mirror_probs": [1, 0]}, {((-1, 0), (0, 1)): 1}),
        ({"mirror_probs": np.array([0.25, 0])}, {((-1, 0), (0, 1)): 0.25, ((1, 0), (0, 1)): 0.75}),
    ],
)
def test_mirror_probs(kwargs, share):
    found = orientations(asking(RAW=((0, 0), (9, 9))), (1, 1), transpose_only=[], **kwargs)
    assert {k: pytest.approx(n / 500, abs=0.07) for k, n in found.items()} == share


@pytest.mark.parametrize(
    ("probs", "share"),
    [
        ({(1, 0): 1, (0, 1): 3}, 0.25),
        ([0.5, 0.5], 0.5),
        ((0.2, 0.5), 0.2),  # 0.1 that both move, 0.4 that none does
        (np.array([1, 1]), 1),
        (None, 0.5),
    ],
)
def test_transpose_probs(probs, share):
    found = orientations(
        asking(RAW=((0, 0), (9, 9))), (1, 1), mirror_only=[], transpose_probs=probs
    )
    assert found[((0, 1), (1, 0))] / 500 == pytest.approx(share, abs=0.07)


WORLD = gp.Roi((-24, 24, 64), (48, 48, 48))


def check_registered(batch, ids_size, exact=True):
    """Ramp, ids and points come from the same places."""
    labels = batch[IDS]
    dims = labels.spec.roi.dims
    came_from = center_of(labels.data, WORLD, ids_size)
    image = batch[RAMP]
    for index in np.ndindex(*labels.data.shape):
        place = labels.spec.roi.begin + labels.spec.voxel_size * gp.Coordinate(index)
        place = np.array([float(v) for v in place + labels.spec.voxel_size / 2])
        if image.spec.voxel_size == labels.spec.voxel_size and image.spec.roi.contains(place):
            at = (slice(None), *voxel_of(place, image))
            np.testing.assert_array_equal(image.data[at], came_from[(slice(None), *index)])
    found = 0
    for node in batch[POINTS].nodes:
        if labels.spec.roi.contains(node.location):
            assert labels.data[voxel_of(node.location, labels)] == node.id
            found += 1
    assert found == labels.data.size
    assert dims == 3


@hypothesis.settings(max_examples=30)
@hypothesis.given(
    seed=st.integers(0, 2**32),
    ramp_size=st.sampled_from([(4, 4, 4), (8, 2, 2)]),
    ids_size=st.sampled_from([(4, 4, 4), (8, 4, 4)]),
    raw=st.tuples(*[st.integers(1, 3)] * 3),
    labels=st.tuples(*[st.integers(1, 2)] * 3),
    shift=st.tuples(*[st.integers(-1, 1)] * 3),
)
def test_everything_stays_registered(seed, ramp_size, ids_size, raw, labels, shift):
    # regions of any size, odd and even, not centred on one another
    ramp_size, ids_size = gp.Coordinate(ramp_size), gp.Coordinate(ids_size)
    middle = gp.Coordinate(0, 48, 88)
    ids_roi = gp.Roi(middle + ids_size * gp.Coordinate(shift), ids_size * gp.Coordinate(labels))
    request = asking(
        RAMP=gp.Roi(middle, ramp_size * gp.Coordinate(raw)), IDS=ids_roi, points=ids_roi
    )
    batch = served(
        volume(WORLD, ramp_size, ids_size) + gp.SimpleAugment(transpose_only=[1, 2]), request, seed
    )
    for key, spec in request.items():
        assert batch[key].spec.roi == spec.roi
    check_registered(batch, ids_size)
    # the ramp is not interpolated: all its values are centres of voxels
    for axis, (v, b) in enumerate(zip(ramp_size, WORLD.begin, strict=True)):
        steps = (batch[RAMP].data[axis] - float(b)) / float(v) - 0.5
        np.testing.assert_array_equal(steps, np.round(steps))


def test_a_region_is_shown_mirrored_about_its_own_centre():
    pipeline = volume(WORLD, (4, 4, 4), (4, 4, 4)) + gp.SimpleAugment(
        mirror_probs=[1, 1, 1], transpose_only=[]
    )
    roi = gp.Roi((-12, 28, 72), (12, 20, 8))
    batch = served(pipeline, asking(RAMP=roi))
    plain = served(volume(WORLD, (4, 4, 4), (4, 4, 4)), asking(RAMP=roi))
    np.testing.assert_array_equal(batch[RAMP].data, plain[RAMP].data[:, ::-1, ::-1, ::-1])


def test_voxels_of_parts_of_units_and_far_away():
    size, begin = gp.Coordinate(9.8, 3.1, 3.1), gp.Coordinate(9.8e8, 3.1e7, 3.1e7)
    data = np.arange(4 * 8 * 8).reshape(4, 8, 8)
    pipeline = source(RAW, data, size, begin) + gp.SimpleAugment(
        transpose_probs=[0, 1, 1], mirror_probs=[1, 0, 1]
    )
    request = asking(RAW=gp.Roi(begin, size * gp.Coordinate(4, 8, 8)))
    result = served(pipeline, request)[RAW].data
    np.testing.assert_array_equal(result, data[::-1, :, ::-1].transpose(0, 2, 1))


def test_grids_that_only_meet_every_few_voxels():
    # The centre of all, at 4.5, is on no voxel face or centre of the coarse array.
    fine, coarse = np.arange(32), np.arange(16)
    pipeline = (
        (source(RAMP, fine, (1,), (-10,)), source(IDS, coarse, (2,), (-10,)))
        + gp.MergeProvider()
        + gp.SimpleAugment(mirror_probs=[1])
    )
    batch = served(pipeline, asking(RAMP=((0,), (9,)), IDS=((2,), (4,))))
    # about 4: fine voxels 0 ... 8 show 7 ... -1, coarse ones at 2 and 4 show 4 and 2
    assert (batch[RAMP].data - 10).tolist() == list(range(7, -2, -1))
    assert (2 * batch[IDS].data - 10).tolist() == [4, 2]


def test_four_axes():
    size = gp.Coordinate(1, 8, 2, 2)
    data = np.arange(3 * 4 * 5 * 5).reshape(3, 4, 5, 5)
    points = {1: (0.5, 4, 1, 3)}
    roi = gp.Roi((0, 0, 0, 0), size * gp.Coordinate(data.shape))
    pipeline = (
        (source(RAW, np.stack([data, -data]), size), GraphSource(POINTS, points, roi))
        + gp.MergeProvider()
        + gp.SimpleAugment(mirror_probs=[1, 0, 1, 0], transpose_probs=[0, 0, 1, 1])
    )
    batch = served(pipeline, asking(RAW=roi, points=roi))
    moved = data[::-1, :, ::-1].transpose(0, 1, 3, 2)
    np.testing.assert_array_equal(batch[RAW].data, np.stack([moved, -moved]))
    assert batch[POINTS].node(1).location.tolist() == [2.5, 4, 3, 9]


def test_arrays_are_views():
    data = np.arange(64.0).reshape(8, 8)
    inside = []

    class Spy(gp.BatchFilter):
        def process(self, batch, request):
            inside.append(batch[RAW].data)

    pipeline = (
        source(RAW, data, (1, 1))
        + Spy()
        + gp.SimpleAugment(mirror_probs=[1, 1], transpose_probs=[1, 1])
    )
    result = served(pipeline, asking(RAW=((0, 0), (8, 8))))[RAW].data
    assert np.shares_memory(result, inside[0])
    np.testing.assert_array_equal(result, data[::-1, ::-1].T)
    np.testing.assert_array_equal(data, np.arange(64.0).reshape(8, 8))


def test_channels_and_dtypes_stay():
    data = np.arange(2 * 3 * 16).reshape(2, 3, 4, 4)
    for dtype in (np.uint8, np.uint64, bool, np.float16):
        pipeline = source(RAW, data.astype(dtype), (1, 1)) + gp.SimpleAugment(mirror_probs=[1, 1])
        result = served(pipeline, asking(RAW=((0, 0), (4, 4))), 3)[RAW]
        assert result.data.shape == (2, 3, 4, 4)
        assert result.data.dtype == result.spec.dtype == dtype


def test_nonspatial_arrays_are_left_alone():
    vector = gp.Array(np.arange(3), gp.ArraySpec(nonspatial=True))
    pipeline = (
        (source(RAW, np.arange(4), (1,)), gp.ArraySource(VECTOR, vector))
        + gp.MergeProvider()
        + gp.SimpleAugment(mirror_probs=[1])
    )
    request = asking(RAW=((0,), (4,)), VECTOR=gp.ArraySpec(nonspatial=True))
    batch = served(pipeline, request)
    assert batch[RAW].data.tolist() == [3, 2, 1, 0]
    assert batch[VECTOR].data.tolist() == [0, 1, 2]
    only = served(pipeline, asking(VECTOR=gp.ArraySpec(nonspatial=True)))
    assert only[VECTOR].data.tolist() == [0, 1, 2]


def test_points_without_arrays():
    points = {1: (1.5, 0.25), 2: (7.5, 7.5), 3: (9.5, 9.5)}
    pipeline = GraphSource(POINTS, points, gp.Roi((0, 0), (10, 10))) + gp.SimpleAugment(
        mirror_probs=[1, 0], transpose_probs=[1, 1]
    )
    batch = served(pipeline, asking(points=((0, 0), (8, 8))))
    places = {node.id: node.location.tolist() for node in batch[POINTS].nodes}
    assert places == {1: [0.25, 6.5], 2: [7.5, 0.5]}


@pytest.mark.parametrize("kwargs", [{}, {"transpose_only": [0, 1]}, {"transpose_probs": [1, 1, 1]}])
def test_axes_of_different_voxels_do_not_change_places(kwargs):
    # whatever is drawn: the mistake is said for every seed, and before the run
    pipeline = source(RAW, np.zeros((4, 4, 4)), (40, 4, 4)) + gp.SimpleAugment(**kwargs)
    request = asking(RAW=((0, 0, 0), (40, 4, 4)))
    text = r"RAW change places, but its voxels of \(40, 4, 4\) are not .* transpose_only="
    with gp.build(pipeline, seed=1):
        for _ in range(3):
            with pytest.raises(gp.PipelineRequestError, match=text):
                pipeline.request_batch(request)
        with pytest.raises(ValueError, match=text):
            pipeline.check(request)


@pytest.mark.parametrize(
    ("kwargs", "text"),
    [
        ({"mirror_only": [2]}, r"mirror_only has to name spatial axes, 0 to 1, got \[2\]"),
        ({"transpose_only": [-1]}, "transpose_only has to name spatial axes"),
        ({"mirror_probs": [1]}, "1 mirror_probs for 2 axes"),
        ({"transpose_probs": [1]}, "1 transpose_probs for 2 axes"),
        ({"transpose_probs": [1, 0]}, "leave no permutation"),
        ({"transpose_probs": {(1, 0): 1}, "transpose_only": []}, "leave no permutation"),
    ],
)
def test_axes_are_checked_with_the_first_request(kwargs, text):
    pipeline = source(RAW, np.zeros((4, 4)), (1, 1)) + gp.SimpleAugment(**kwargs)
    with pytest.raises(ValueError, match=text):
        served(pipeline, asking(RAW=((0, 0), (2, 2))))


@pytest.mark.parametrize(
    "kwargs",
    [
        {"mirror_probs": [2]},
        {"p": -1},
        {"transpose_probs": [2, 0]},
        {"transpose_probs": {(0,): -1}},
    ],
)
def test_probabilities_are_checked_at_once(kwargs):
    with pytest.raises(ValueError, match="probabilit"):
        gp.SimpleAugment(**kwargs)
