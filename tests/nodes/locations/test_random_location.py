import pickle
from collections import Counter
from fractions import Fraction
from unittest import mock

import numpy as np
import pytest

import voxflow as gp
from tests.helpers import GraphSource, ramp, served, source
from voxflow.nodes.locations import cells, random_location
from voxflow.pipeline.engine.errors import RequestRefused, SamplingError

RAW, LABELS, MASK = gp.ArrayKey("RAW"), gp.ArrayKey("LABELS"), gp.ArrayKey("MASK")
SHIFT, POINTS = gp.ArrayKey("SHIFT"), gp.GraphKey("POINTS")


def line(n=10, voxel=(1,), offset=(0,), key=RAW):
    return source(key, np.arange(n, dtype=np.float32), voxel, offset)


def shifts(node, request, count):
    """By how much a node moves a request, for as many seeds."""
    found = Counter()
    for seed in range(count):
        asked = gp.BatchRequest(random_seed=seed)
        for key, spec in request.items():
            asked[key] = spec
        found[tuple(node.draw(asked, asked.rng(node.label)))] += 1
    return found


def assert_even(found, places):
    """Each place is drawn, no other, and chi square is no surprise (4 sigma)."""
    assert set(found) == set(places)
    expected = sum(found.values()) / len(places)
    chi2 = sum((n - expected) ** 2 / expected for n in found.values())
    assert chi2 < len(places) + 4 * np.sqrt(2 * len(places))


# -- where -----------------------------------------------------------------------------------------


def test_all_positions_are_equally_likely_the_last_one_too():
    with gp.build(line() + gp.RandomLocation()) as built:
        found = shifts(built.output, gp.BatchRequest({RAW: gp.Roi((100,), (4,))}), 2000)
    assert_even(found, [(s - 100,) for s in range(7)])


def test_positions_in_the_plane_with_voxels_that_are_not_whole():
    raw = source(RAW, np.zeros((5, 6), np.float32), (9.8, 4), (9.8, -8))
    with gp.build(raw + gp.RandomLocation()) as built:
        found = shifts(built.output, gp.BatchRequest({RAW: gp.Roi((0, 0), (19.6, 12))}), 1000)
    step = Fraction(49, 5)
    assert_even(found, [(step * i, 4 * j) for i in range(1, 5) for j in range(-2, 2)])


def test_keys_of_other_regions_and_voxel_sizes_all_stay_inside():
    inputs = (line(40), line(8, (3,), (6,), LABELS))  # 0 to 40 in steps of 1, 6 to 30 in 3
    request = gp.BatchRequest({RAW: gp.Roi((0,), (21,)), LABELS: gp.Roi((9,), (3,))})
    with gp.build(inputs + gp.MergeProvider() + gp.RandomLocation()) as built:
        found = shifts(built.output, request, 2000)
        assert_even(found, [(s,) for s in range(0, 19, 3)])
        request[LABELS].placeholder = True
        assert_even(shifts(built.output, request, 2000), [(s,) for s in range(0, 19, 3)])
        del request[LABELS]
        assert_even(shifts(built.output, request, 2000), [(s,) for s in range(20)])


@pytest.mark.parametrize(
    ("shape", "voxel", "asked"),
    [((9, 8), (2, 3), (8, 9)), ((5, 6, 7), (9.8, 4, 4), (19.6, 12, 4))],
)
def test_voxels_come_from_where_the_shift_says(shape, voxel, asked):
    roi = gp.Roi((0,) * len(shape), gp.Coordinate(shape) * gp.Coordinate(voxel))
    data = ramp(roi, voxel)
    pipeline = source(RAW, data, voxel) + gp.RandomLocation(random_shift_key=SHIFT)
    request = gp.BatchRequest({RAW: gp.Roi((0,) * len(shape), asked)})
    request[SHIFT] = gp.ArraySpec(nonspatial=True)
    with gp.build(pipeline, seed=4) as built:
        batches = [built.request_batch(request) for _ in range(20)]
    assert len({tuple(batch[SHIFT].data) for batch in batches}) > 5
    for batch in batches:
        assert batch[RAW].spec.roi == request[RAW].roi
        there = ramp(request[RAW].roi, voxel)
        shift = batch[SHIFT].data.reshape(-1, *(1,) * len(shape))
        np.testing.assert_allclose(batch[RAW].data, there + shift)
        assert batch[SHIFT].data.dtype == (np.int64 if len(shape) == 2 else np.float64)


def test_points_move_back_with_the_image():
    points = {i: (i * 7.0, 90.0 - i * 5) for i in range(12)}
    graph = GraphSource(POINTS, points, gp.Roi((0, 0), (100, 100)))
    image = source(RAW, ramp(gp.Roi((0, 0), (100, 100)), (2, 5)), (2, 5))
    request = gp.BatchRequest(
        {RAW: gp.Roi((1000, 0), (60, 60)), POINTS: gp.Roi((1000, 0), (60, 60))}
    )
    with gp.build((graph, image) + gp.MergeProvider() + gp.RandomLocation(), seed=1) as built:
        for _ in range(5):
            batch = built.request_batch(request)
            assert batch[POINTS].spec.roi == request[POINTS].roi
            corner = batch[RAW].data[:, 0, 0] - (1, 2.5)
            for node in batch[POINTS].nodes:
                np.testing.assert_allclose(node.location - (1000, 0) + corner, points[node.id])
                assert request[POINTS].roi.contains(node.location)


def test_nodes_in_the_source_are_not_moved():
    graph = gp.Graph([gp.Node(1, (50.0,))], [], gp.GraphSpec(gp.Roi((0,), (100,)), directed=False))

    class Held(gp.BatchProvider):
        def setup(self):
            self.provides(POINTS, graph.spec)

        def provide(self, request):
            batch = gp.Batch()
            batch[POINTS] = graph
            return batch

    with gp.build(Held() + gp.RandomLocation()) as built:
        batch = built.request_batch(gp.BatchRequest({POINTS: gp.Roi((1000,), (100,))}))
    assert batch[POINTS].node(1).location == 1050
    assert graph.node(1).location == 50


def test_points_inside_stay_inside_where_their_floats_are_coarse():
    graph = GraphSource(POINTS, {1: (9.999,)}, gp.Roi((0,), (10,)))
    request = gp.BatchRequest({POINTS: gp.Roi((1_000_000,), (10,))})
    with gp.build(graph + gp.RandomLocation()) as built:
        found = built.request_batch(request)[POINTS]
    assert found.inside(request[POINTS].roi).tolist() == [True]


def test_nonspatial_arrays_pass():
    lone = gp.ArraySource(LABELS, gp.Array(np.array([3, 4]), gp.ArraySpec(nonspatial=True)))
    pipeline = (line(), lone) + gp.MergeProvider() + gp.RandomLocation()
    request = gp.BatchRequest({RAW: gp.Roi((0,), (4,)), LABELS: gp.ArraySpec(nonspatial=True)})
    with gp.build(pipeline) as built:
        assert built.request_batch(request)[LABELS].data.tolist() == [3, 4]
        del request[RAW]
        assert built.request_batch(request)[LABELS].data.tolist() == [3, 4]


def test_offers_everything_without_bounds_and_the_shift_only_where_asked():
    with gp.build(line() + gp.RandomLocation(random_shift_key=SHIFT)) as built:
        assert built.spec[RAW].roi.unbounded
        assert built.spec[SHIFT].nonspatial
        batch = built.request_batch(gp.BatchRequest({RAW: gp.Roi((0,), (4,))}))
        assert SHIFT not in batch


# -- seeds -----------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_place_also_in_a_copy():
    request = gp.BatchRequest({RAW: gp.Roi((0,), (3,))})
    mask = source(MASK, (np.arange(500) % 7 > 3).astype(np.uint8), (1,))
    request[MASK] = gp.ArraySpec(gp.Roi((0,), (3,)), placeholder=True)
    pipeline = (line(500), mask) + gp.MergeProvider() + gp.RandomLocation(0.6, MASK)
    with gp.build(pipeline, seed=7) as built:
        batches = [built.request_batch(request) for _ in range(8)]
        again = built.replay(batches[3].token)
        copy = pickle.loads(pickle.dumps(built.output))
        assert shifts(copy, request, 20) == shifts(built.output, request, 20)
    assert len({float(batch[RAW].data[0]) for batch in batches}) > 4
    np.testing.assert_array_equal(again[RAW].data, batches[3][RAW].data)


# -- masks -----------------------------------------------------------------------------------------


def masked(data, voxel=None, **more):
    voxel = voxel or (1,) * data.ndim
    mask = source(MASK, data, voxel)
    image = source(RAW, np.zeros(data.shape, np.float32), voxel)
    return (mask, image) + gp.MergeProvider() + gp.RandomLocation(mask=MASK, **more)


@pytest.mark.parametrize("voxel", [(1, 1), (2, 9.8)])
def test_every_place_with_enough_of_the_mask_is_equally_likely(voxel):
    data = (np.random.default_rng(5).random((9, 12)) < 0.3).astype(np.uint8) * 255
    size = gp.Coordinate(voxel)
    request = gp.BatchRequest({RAW: gp.Roi((0, 0), size * gp.Coordinate(7, 5))})
    request[MASK] = gp.Roi(size * gp.Coordinate(1, 1), size * gp.Coordinate(3, 2))
    good = [
        tuple(size * gp.Coordinate(i, j))
        for i in range(3)
        for j in range(8)
        if (data[i + 1 : i + 4, j + 1 : j + 3] > 0).mean() >= 0.5
    ]
    assert 2 < len(good) < 20
    with gp.build(masked(data, voxel, min_masked=0.5)) as built:
        assert_even(shifts(built.output, request, 1500), good)


def test_a_mask_of_finer_voxels_than_the_image():
    data = np.zeros(40, np.uint8)
    data[17:] = 1
    request = gp.BatchRequest({RAW: gp.Roi((0,), (9,)), MASK: gp.Roi((3,), (4,))})
    inputs = (source(MASK, data, (1,)), line(13, (3,)))
    with gp.build(inputs + gp.MergeProvider() + gp.RandomLocation(0.75, MASK)) as built:
        assert_even(shifts(built.output, request, 500), [(15,), (18,), (21,), (24,), (27,), (30,)])


def test_many_draws_from_a_rare_mask_are_quick():
    data = np.zeros((60, 60, 60), np.uint8)
    data[11, 12, 13] = data[59, 59, 59] = 1  # one of 200 000 places each
    request = gp.BatchRequest({MASK: gp.Roi((0, 0, 0), (1, 1, 1))})
    with gp.build(masked(data, min_masked=1.0)) as built:
        found = shifts(built.output, request, 300)
    assert_even(found, [(11, 12, 13), (59, 59, 59)])


def test_places_are_not_counted_for_each_size_that_nodes_downstream_ask_for(monkeypatch):
    data = np.zeros((20, 80, 90), np.uint8)
    data[:, 20:70, 20:80] = 1
    turn = gp.ElasticAugment((4, 10, 10), (0, 1, 1), (0, np.pi / 2))
    request = gp.BatchRequest({MASK: gp.Roi((0, 0, 0), (4, 20, 20))})
    request[RAW] = request[MASK].roi
    with gp.build(masked(data, min_masked=0.5) + turn, seed=1) as built:
        assert built.request_batch(request)[MASK].data.mean() > 0.2
        monkeypatch.setattr(random_location, "Places", mock.Mock(side_effect=AssertionError))
        for _ in range(10):
            built.request_batch(request)


def test_a_place_does_not_depend_on_what_was_drawn_before():
    data = (np.random.default_rng(5).random((30, 40)) < 0.1).astype(np.uint8)
    data[12, 13:18] = 1
    requests = [gp.BatchRequest({MASK: gp.Roi((0, 0), (1, n))}) for n in (2, 3, 4)]
    found = []
    for order in (requests, requests[::-1]):
        with gp.build(masked(data, min_masked=1.0)) as built:
            places = [shifts(built.output, request, 20) for request in order[:2]]
            found.append(places[order.index(requests[1])])
    assert found[0] == found[1]


def test_says_if_no_place_has_enough_of_the_mask():
    data = np.zeros(100, np.uint8)
    data[40:44] = 1
    request = gp.BatchRequest({MASK: gp.Roi((0,), (10,))})
    text = (
        "RandomLocation: 0 of 91 possible locations have 0.5 or more of MASK masked, the best "
        "has 0.4, in a region of (10,) (world units). Ask for a lower min_masked or another "
        "size, or see whether MASK is the right mask."
    )
    with gp.build(masked(data, min_masked=0.5)) as built:
        for ask in (built.check, built.request_batch):
            with pytest.raises(gp.PipelineRequestError) as error:
                ask(request)
            assert text in str(error.value)


@pytest.mark.parametrize("voxel", [(1, 1), (3, 9.8)])
def test_every_place_that_is_labelled_and_masked_enough_is_equally_likely(voxel):
    rng = np.random.default_rng(3)
    ids = rng.integers(-1, 3, (8, 11)).astype(np.int16)
    mask = (rng.random((8, 11)) < 0.6).astype(np.uint8)
    size = gp.Coordinate(voxel)
    inputs = (source(LABELS, ids, voxel), source(MASK, mask, voxel)) + gp.MergeProvider()
    node = gp.RandomLocation(0.5, MASK, min_labelled=0.7, labels=LABELS)
    request = gp.BatchRequest({LABELS: gp.Roi((0, 0), size * gp.Coordinate(4, 3))})
    request[MASK] = gp.Roi(size, size * gp.Coordinate(2, 1))
    good = [
        tuple(size * gp.Coordinate(i, j))
        for i in range(5)
        for j in range(9)
        if (ids[i : i + 4, j : j + 3] >= 0).mean() >= 0.7
        and mask[i + 1 : i + 3, j + 1].mean() >= 0.5
    ]
    assert 2 < len(good) < 40
    with gp.build(inputs + node) as built:
        assert_even(shifts(built.output, request, 1500), good)


def test_says_which_of_two_masks_leaves_no_place():
    ids = np.full(100, -1, np.int64)
    ids[:30] = 7
    mask = (np.arange(100) >= 50).astype(np.uint8)
    inputs = (source(LABELS, ids, (1,)), source(MASK, mask, (1,))) + gp.MergeProvider()
    node = gp.RandomLocation(1.0, MASK, min_labelled=0.5, labels=LABELS)
    request = gp.BatchRequest({LABELS: gp.Roi((0,), (10,)), MASK: gp.Roi((0,), (10,))})
    with (
        gp.build(inputs + node) as built,
        pytest.raises(
            SamplingError,
            match=r"0 of 91 possible locations have 1 or more of MASK masked \(41 places\), the "
            r"best has 1 and 0.5 or more of LABELS labelled \(26 places\), the best has 1",
        ),
    ):
        built.request_batch(request)


def test_without_a_label_it_ends_at_once():
    request = gp.BatchRequest({LABELS: gp.Roi((0,) * 3, (20,) * 3)})
    ids = source(LABELS, np.full((60,) * 3, -1, np.int8), (1,) * 3)
    with (
        gp.build(ids + gp.RandomLocation(min_labelled=0.01, labels=LABELS)) as built,
        pytest.raises(SamplingError, match="0 of 68921 possible locations"),
    ):
        built.request_batch(request)


def test_a_mask_that_is_not_kept_is_read_again(monkeypatch):
    monkeypatch.setattr(cells, "_BUDGET", 0)
    data = (np.random.default_rng(5).random((90, 80, 100)) < 0.02).astype(np.uint8)
    request = gp.BatchRequest({MASK: gp.Roi((0, 0, 0), (3, 3, 3))})
    with gp.build(masked(data, min_masked=0.1), seed=1) as built:
        for _ in range(50):
            assert built.request_batch(request)[MASK].data.mean() >= 0.1


@pytest.mark.parametrize("budget", [0, 1 << 26])
def test_workers_draw_the_same_places(monkeypatch, budget):
    monkeypatch.setattr(cells, "_BUDGET", budget)
    rng = np.random.default_rng(5)
    mask = source(MASK, (rng.random((40, 50)) < 0.1).astype(np.uint8), (2, 3))
    image = source(RAW, np.arange(2000).reshape(40, 50).astype(np.float32), (2, 3))
    request = gp.BatchRequest({RAW: gp.Roi((0, 0), (8, 12))})
    request[MASK] = gp.ArraySpec(gp.Roi((0, 0), (8, 12)), placeholder=True)
    found = []
    for workers in (0, 2):
        pipeline = (image, mask) + gp.MergeProvider() + gp.RandomLocation(0.2, MASK)
        if workers:
            pipeline = pipeline + gp.PreCache(2, workers)
        with gp.build(pipeline, seed=3):
            found.append([float(pipeline.request_batch(request)[RAW].data[0, 0]) for _ in range(8)])
        image, mask = source(RAW, image.array.data, (2, 3)), source(MASK, mask.array.data, (2, 3))
    assert found[0] == found[1]
    assert len(set(found[0])) > 4


def test_the_mask_has_to_be_in_the_request():
    with (
        gp.build(masked(np.ones(9, np.uint8), min_masked=0.5)) as built,
        pytest.raises(RequestRefused, match=r"MASK, which is not in the request. Add it:"),
    ):
        built.check(gp.BatchRequest({RAW: gp.Roi((0,), (3,))}))


def test_a_mask_without_min_masked_is_not_read():
    node = gp.RandomLocation(mask=MASK)
    with gp.build(line() + node) as built:
        built.request_batch(gp.BatchRequest({RAW: gp.Roi((0,), (3,))}))


def test_refuses_masks_that_cannot_be_read():
    unbounded = source(MASK, np.ones(9, np.uint8), (1,)) + gp.Pad(MASK, None)
    with (
        pytest.raises(gp.PipelineSetupError, match="unbounded region"),
        gp.build(unbounded + gp.RandomLocation(0.5, MASK)),
    ):
        pass
    channels = source(MASK, np.ones((2, 9), np.uint8), (1,))
    with (
        pytest.raises(gp.PipelineSetupError, match="a mask has no channels"),
        gp.build(channels + gp.RandomLocation(0.5, MASK)),
    ):
        pass


# -- points ----------------------------------------------------------------------------------------


def pointed(points, roi=((0,), (100,)), **more):
    graph = GraphSource(POINTS, points, gp.Roi(*roi))
    return (
        (graph, line(100)) + gp.MergeProvider() + gp.RandomLocation(ensure_nonempty=POINTS, **more)
    )


def test_there_is_always_a_point_in_the_region():
    request = gp.BatchRequest({RAW: gp.Roi((0,), (30,)), POINTS: gp.Roi((10,), (5,))})
    with gp.build(pointed({1: (3.0,), 2: (40.0,), 3: (99.5,)}), seed=2) as built:
        found = shifts(built.output, request, 2000)
        # Only the second point can be in the middle third of 30.
        assert_even(found, [(s,) for s in range(26, 31)])
        for _ in range(5):
            assert [node.id for node in built.request_batch(request)[POINTS].nodes] == [2]


def test_the_point_is_in_the_centre_voxel():
    request = gp.BatchRequest({RAW: gp.Roi((0,), (5,)), POINTS: gp.Roi((0,), (5,))})
    with gp.build(pointed({1: (40.0,), 2: (60.5,)}, ensure_centered=True)) as built:
        assert_even(shifts(built.output, request, 1000), [(38,), (58,)])


def test_points_are_heeded_with_a_probability():
    request = gp.BatchRequest({RAW: gp.Roi((0,), (1,)), POINTS: gp.Roi((0,), (1,))})
    with gp.build(pointed({1: (50.0,)}, p_nonempty=0.25)) as built:
        found = shifts(built.output, request, 2000)
    assert 0.21 < found[(50,)] / 2000 < 0.31
    assert len(found) == 100


def test_without_the_points_in_the_request_all_of_it_counts(caplog):
    request = gp.BatchRequest({RAW: gp.Roi((0,), (2,))})
    with gp.build(pointed({1: (50.0,)})) as built:
        built.check(request)
        assert "POINTS is not in the request" in caplog.text
        assert_even(shifts(built.output, request, 500), [(49,), (50,)])


def test_points_and_mask_together():
    data = np.zeros(100, np.uint8)
    data[50:] = 1
    graph = GraphSource(POINTS, {i: (float(i),) for i in range(0, 100, 10)}, gp.Roi((0,), (100,)))
    node = gp.RandomLocation(1.0, MASK, POINTS)
    request = gp.BatchRequest({MASK: gp.Roi((0,), (2,)), POINTS: gp.Roi((0,), (2,))})
    with gp.build((graph, source(MASK, data, (1,))) + gp.MergeProvider() + node) as built:
        found = shifts(built.output, request, 1000)
    assert set(found) == {(s,) for s in (50, 59, 60, 69, 70, 79, 80, 89, 90)}


def test_says_if_no_point_can_be_reached():
    request = gp.BatchRequest({RAW: gp.Roi((0,), (50,)), POINTS: gp.Roi((20,), (2,))})
    with (
        gp.build(pointed({1: (3.0,), 2: (99.0,)})) as built,
        pytest.raises(SamplingError, match=r"0 of 2 points of POINTS can lie in the region"),
    ):
        built.check(request)


def test_refuses_a_graph_without_points():
    with (
        pytest.raises(gp.PipelineSetupError, match=r"there is none in \[0:100\]"),
        gp.build(pointed({})),
    ):
        pass


# -- accepts ---------------------------------------------------------------------------------------


class Even(gp.RandomLocation):
    def accepts(self, request):
        return request[RAW].roi.begin[0] % 2 == 0


class Never(gp.RandomLocation):
    def accepts(self, request):
        return False


def test_the_points_and_their_weights_can_be_looked_at():
    node = gp.RandomLocation(ensure_nonempty=POINTS)
    assert node.points is node.cumulative_weights is None
    graph = gp.Graph([gp.Node(n, (x,)) for n, x in enumerate((1.0, 1.5, 7.0))], [], gp.GraphSpec())
    there = gp.Graph(graph.nodes, [], gp.GraphSpec(roi=gp.Roi((0,), (10,))))
    with gp.build(gp.GPGraphSource(POINTS, there) + node):
        assert node.points.data.tolist() == [[1.0], [1.5], [7.0]]
        assert node.cumulative_weights == [0.5, 1.0, 2.0]
    assert node.points is None


def test_subclasses_accept_places():
    with gp.build(line() + Even()) as built:
        found = shifts(built.output, gp.BatchRequest({RAW: gp.Roi((1,), (4,))}), 1000)
    assert_even(found, [(s - 1,) for s in (0, 2, 4, 6)])


def test_gives_up_with_the_numbers():
    with gp.build(line() + Never(max_attempts=50)) as built, pytest.raises(SamplingError) as error:
        built.request_batch(gp.BatchRequest({RAW: gp.Roi((0,), (4,))}))
    assert str(error.value) == (
        "Never: none of 50 locations would do, out of moves 0 to 6 in steps of (1,) (world units). "
        "50 were refused by Never.accepts(). Ask for less, or raise max_attempts."
    )


# -- mistakes --------------------------------------------------------------------------------------


def test_says_what_is_too_large_before_the_run():
    with gp.build(line() + gp.RandomLocation()) as built:
        request = gp.BatchRequest({RAW: gp.Roi((0,), (13,))})
        for ask in (built.check, built.request_batch):
            with pytest.raises(
                RequestRefused, match=r"axis 0 misses 3 world units = 3 voxels.*Pad\(RAW, \(2,\)"
            ):
                ask(request)


def test_says_if_nothing_is_bounded():
    with (
        gp.build(line() + gp.Pad(RAW, None) + gp.RandomLocation()) as built,
        pytest.raises(RequestRefused, match="nothing in the request is bounded along axis 0"),
    ):
        built.check(gp.BatchRequest({RAW: gp.Roi((0,), (13,))}))


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        (
            {"min_masked": 1.5, "mask": MASK},
            ValueError,
            r"min_masked has to lie in \[0, 1\], got 1.5",
        ),
        ({"min_masked": 0.5}, ValueError, "min_masked=0.5 needs a mask"),
        ({"min_labelled": 0.5}, ValueError, "min_labelled=0.5 needs a labels"),
        ({"labels": POINTS}, TypeError, "labels has to be of ArrayKey, got GraphKey"),
        ({"p_nonempty": -1}, ValueError, "p_nonempty has to lie"),
        ({"ensure_centered": True}, ValueError, "needs the points of ensure_nonempty"),
        ({"mask": POINTS}, TypeError, "mask has to be of ArrayKey, got GraphKey"),
        ({"ensure_nonempty": RAW}, TypeError, "has to be of GraphKey, got ArrayKey"),
        ({"point_balance_radius": -1}, ValueError, "point_balance_radius"),
        ({"max_attempts": 0}, ValueError, "max_attempts"),
    ],
)
def test_refuses_arguments(arguments, error, text):
    with pytest.raises(error, match=text):
        gp.RandomLocation(**arguments)


class TellsTheCentre(gp.RandomLocation):
    """As in scripts that were written for gunpowder: adds an array of its own."""

    def __init__(self, key):
        super().__init__()
        self.key = key

    def setup(self):
        super().setup()
        self.provides(self.key, gp.ArraySpec(nonspatial=True))

    def prepare(self, request):
        needed = super().prepare(request)
        if self.key in needed:
            del needed[self.key]
        return needed

    def process(self, batch, request):
        where = np.array(batch.get_total_roi().get_center())
        batch[self.key] = gp.Array(where, gp.ArraySpec(nonspatial=True))
        super().process(batch, request)


def test_a_node_that_inherits_may_add_an_array_and_say_what_it_needs():
    raw, centre = gp.ArrayKey("RAW"), gp.ArrayKey("CENTRE")
    data = np.arange(100).reshape(10, 10)
    pipeline = source(raw, data, (1, 1)) + TellsTheCentre(centre)
    request = gp.BatchRequest()
    request.add(raw, (2, 2))
    request[centre] = gp.ArraySpec(nonspatial=True)
    batch = served(pipeline, request)
    y, x = batch[centre].data
    np.testing.assert_array_equal(batch[raw].data, data[y - 1 : y + 1, x - 1 : x + 1])
