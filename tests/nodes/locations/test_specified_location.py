import logging
import pickle
from collections import Counter
from fractions import Fraction
from unittest import mock

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import voxflow as gp
from tests.helpers import GraphSource, ramp, source
from voxflow.nodes.locations.room import Room
from voxflow.pipeline.engine.errors import RequestRefused, SamplingError

RAW, LABELS, POINTS = gp.ArrayKey("RAW"), gp.ArrayKey("LABELS"), gp.GraphKey("POINTS")


def cube(voxel=(1, 1, 1), n=100):
    roi = gp.Roi((0, 0, 0), (n,) * 3)
    return source(RAW, ramp(roi.snap_to_grid(voxel), voxel, np.float32), voxel)


def corner(batch, voxel=(1, 1, 1)):
    """Where the batch was read, in voxels."""
    first = batch[RAW].data[(slice(None),) + (0,) * (batch[RAW].data.ndim - 1)]
    return tuple(int(v) for v in np.floor(first / voxel))


def line(n=100):
    return source(RAW, np.arange(n, dtype=np.float32), (1,))


REQUEST = gp.BatchRequest({RAW: gp.Roi((0, 0, 0), (20, 20, 20))})
SHORT = gp.BatchRequest({RAW: gp.Roi((0,), (4,))})


def begins(pipeline, count, request=SHORT, seed=1):
    with gp.build(pipeline, seed=seed) as built:
        return [int(built.request_batch(request)[RAW].data.flat[0]) for _ in range(count)]


# -- where -----------------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(*[st.fractions(-9, 29, max_denominator=4)] * 2), min_size=1, max_size=9),
    st.tuples(*[st.integers(0, 4)] * 2),
    st.tuples(*[st.sampled_from([1, 2, Fraction(49, 5)])] * 2),
    st.tuples(*[st.fractions(0, 5, max_denominator=2)] * 2),
    st.tuples(*[st.tuples(st.integers(-3, 4), st.none() | st.integers(4, 12))] * 2),
)
def test_locations_fit_as_exact_arithmetic_says(locations, jitter, step, middle, ranges):
    node = gp.SpecifiedLocation(locations, jitter=jitter)
    first, last = zip(*ranges, strict=True)
    room, middle = Room(gp.Coordinate(step), first, last), gp.Coordinate(middle)
    fits = [
        all(
            any(
                first[d] <= round((Fraction(at[d]) + by - middle[d]) / Fraction(step[d]))
                and (
                    last[d] is None
                    or round((Fraction(at[d]) + by - middle[d]) / Fraction(step[d])) <= last[d]
                )
                for by in range(-jitter[d], jitter[d] + 1)
            )
            for d in range(2)
        )
        for at in locations
    ]
    assert node._fitting(middle, room) == [n for n, there in enumerate(fits) if there]


def test_few_locations_are_looked_at_one_by_one(monkeypatch):
    node = gp.SpecifiedLocation([(n + 0.25,) for n in range(1000)])
    looked = mock.Mock(side_effect=node._jitters)
    monkeypatch.setattr(node, "_jitters", looked)
    room = Room(gp.Coordinate((1,)), (3,), (700,))
    assert node._fitting(gp.Coordinate((0,)), room) == list(range(3, 701))
    assert looked.call_count < 5


def test_centres_on_the_locations_that_fit():
    places = [[0, 0, 0], [100, 100, 100], [91, 20, 20], [42, 24, 57], [50, 50, 50]]
    with gp.build(cube() + gp.SpecifiedLocation(places)) as built:
        assert corner(built.request_batch(REQUEST)) == (32, 14, 47)
        assert corner(built.request_batch(REQUEST)) == (40, 40, 40)


def test_rounds_to_voxels_halves_to_even():
    voxel = (5, 2, 2)
    places = np.array([[3, 0, 0], [81, 20, 20], [42.0, 24, 57], [42.0, 24, 59]])
    with gp.build(cube(voxel) + gp.SpecifiedLocation(places)) as built:
        found = [corner(built.request_batch(REQUEST), voxel) for _ in range(3)]
    assert found == [(14, 5, 5), (6, 7, 24), (6, 7, 24)]


def test_the_middle_voxel_of_an_odd_size_holds_the_location():
    request = gp.BatchRequest({RAW: gp.Roi((7,), (5,))})
    assert begins(line() + gp.SpecifiedLocation([[11], [12], [13.4]]), 3, request) == [9, 10, 11]


def test_voxel_sizes_that_are_not_whole():
    image = source(RAW, np.arange(50, dtype=np.float32), (9.8,))
    request = gp.BatchRequest({RAW: gp.Roi((98,), (39.2,))})
    found = begins(image + gp.SpecifiedLocation([[19.6], [49], [51], [470.4]]), 4, request)
    assert found == [0, 3, 3, 46]


def test_all_that_is_requested_moves_together():
    labels = source(LABELS, np.arange(50, dtype=np.uint64), (2,))
    pipeline = (line(), labels) + gp.MergeProvider() + gp.SpecifiedLocation([[30]])
    request = gp.BatchRequest({RAW: gp.Roi((0,), (12,)), LABELS: gp.Roi((4,), (4,))})
    with gp.build(pipeline) as built:
        batch = built.request_batch(request)
    assert batch[RAW].data[0] == 24
    assert batch[LABELS].data.tolist() == [14, 15]
    assert batch[LABELS].spec.roi == request[LABELS].roi


def test_points_move_with_the_image():
    graph = GraphSource(POINTS, {1: (31.5,), 2: (80.0,)}, gp.Roi((0,), (100,)))
    pipeline = (line(), graph) + gp.MergeProvider() + gp.SpecifiedLocation([[30]])
    request = gp.BatchRequest({RAW: gp.Roi((1000,), (12,)), POINTS: gp.Roi((1000,), (12,))})
    with gp.build(pipeline) as built:
        (node,) = built.request_batch(request)[POINTS].nodes
    assert (node.id, node.location.tolist()) == (1, [1007.5])


def test_nonspatial_arrays_pass():
    lone = gp.ArraySource(LABELS, gp.Array(np.array([3, 4]), gp.ArraySpec(nonspatial=True)))
    pipeline = (line(), lone) + gp.MergeProvider() + gp.SpecifiedLocation([[30]])
    request = gp.BatchRequest({LABELS: gp.ArraySpec(nonspatial=True)})
    with gp.build(pipeline) as built:
        assert built.request_batch(request)[LABELS].data.tolist() == [3, 4]
        request[RAW] = gp.Roi((0,), (4,))
        assert built.request_batch(request)[LABELS].data.tolist() == [3, 4]


# -- which -----------------------------------------------------------------------------------------


def test_goes_round_and_says_so(caplog):
    pipeline = line() + gp.SpecifiedLocation([[10], [20], [30]])
    assert begins(pipeline, 7) == [8, 18, 28, 8, 18, 28, 8]
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING] == [
        "SpecifiedLocation: all 3 locations were used, from the start again"
    ] * 2


def test_the_location_follows_from_the_number_of_the_batch():
    node = gp.SpecifiedLocation([[i] for i in range(5, 90, 5)])
    with gp.build(line() + node, seed=1) as built:
        batches = [built.request_batch(SHORT) for _ in range(6)]
        built.check(SHORT)
        again = built.replay(batches[2].token)
        assert again[RAW].data[0] == batches[2][RAW].data[0] == 13
        assert built.request_batch(SHORT)[RAW].data[0] == 33
        copy = pickle.loads(pickle.dumps(node))
        asked = SHORT.at(built.run.next_position)
        assert copy.draw(asked, asked.rng("a")) == node.draw(asked, asked.rng("b"))


def test_workers_keep_the_order():
    pipeline = line() + gp.SpecifiedLocation([[i] for i in range(5, 90, 5)])
    assert begins(pipeline + gp.PreCache(4, 2), 6) == [3, 8, 13, 18, 23, 28]


def test_requests_outside_of_a_run_are_counted():
    with gp.build(line() + gp.SpecifiedLocation([[10], [20], [30]])) as built:
        request = gp.BatchRequest(SHORT.array_specs, random_seed=5)
        built.check(request)
        found = [built.request_batch(request)[RAW].data[0] for _ in range(4)]
    assert found == [8, 18, 28, 8]


def test_the_parts_of_a_stack_count_on():
    places = [[i] for i in range(5, 90, 5)]
    with gp.build(line() + gp.SpecifiedLocation(places, per_batch=3) + gp.Stack(3)) as built:
        found = [built.request_batch(SHORT)[RAW].data[:, 0].tolist() for _ in range(2)]
    assert found == [[3, 8, 13], [18, 23, 28]]


def test_a_rejected_location_gives_way_to_the_next():
    mask = source(RAW, (np.arange(100) > 20).astype(np.uint8), (1,))
    pipeline = mask + gp.SpecifiedLocation([[10], [15], [30]]) + gp.Reject(RAW)
    with gp.build(pipeline) as built:
        assert built.request_batch(SHORT)[RAW].data.all()


def test_random_choice_is_even_among_those_that_fit():
    node = gp.SpecifiedLocation([[0], [10], [20], [30], [100]], choose_randomly=True)
    found = Counter()
    with gp.build(line() + node):
        for seed in range(1500):
            request = gp.BatchRequest(SHORT.array_specs, random_seed=seed)
            found[node.draw(request, request.rng("x")).shift[0]] += 1
    assert set(found) == {8, 18, 28}
    assert min(found.values()) > 420


def test_jitter_is_even_and_stays_inside():
    node = gp.SpecifiedLocation([[10], [98], [50]], jitter=(3,))
    found = [Counter(), Counter(), Counter()]
    with gp.build(line() + node):
        for seed in range(3000):
            request = gp.BatchRequest(SHORT.array_specs, random_seed=seed)
            place = node.draw(request, request.rng("x"))
            found[place.number][place.shift[0]] += 1
    assert set(found[0]) == set(range(5, 12))
    assert set(found[1]) == {93, 94, 95, 96}
    assert set(found[2]) == set(range(45, 52))
    assert min(found[0].values()) > 90
    assert min(found[1].values()) > 200


def test_says_which_locations_are_left_out(caplog):
    with gp.build(line() + gp.SpecifiedLocation([[50], [1], [99]])) as built:
        built.check(SHORT)
        built.request_batch(SHORT)
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING] == [
        "SpecifiedLocation: 2 of 3 locations are left out, since not all of the request would be "
        "inside; the first is number 1, at (1,)"
    ]


# -- extra data ------------------------------------------------------------------------------------


def test_extra_data_go_with_their_location():
    node = gp.SpecifiedLocation([[0], [10], [20]], extra_data=[{"a": 1}, "second", 3])
    with gp.build(line() + node) as built:
        found = [built.request_batch(SHORT)[RAW] for _ in range(3)]
    name = "specified_location_extra_data"
    assert [array.attrs[name] for array in found] == ["second", 3, "second"]


# -- mistakes --------------------------------------------------------------------------------------


def test_says_if_no_location_fits():
    with gp.build(line() + gp.SpecifiedLocation([[1], [99]])) as built:
        for ask in (built.check, built.request_batch):
            with pytest.raises(gp.PipelineRequestError) as error:
                ask(SHORT)
            assert (
                "SpecifiedLocation: 0 of 2 locations fit. Around each of them [0:4] (4) (world "
                "units) was asked, which can move by 0 to 96 in steps of (1,) (world units); the "
                "first location, (1,), needs (-1,). Ask for less, let downstream nodes add less "
                "context, or put Pad after the sources."
            ) in str(error.value)
        request = gp.BatchRequest(SHORT.array_specs, random_seed=1)
        with pytest.raises(SamplingError):
            built.output.draw(request, request.rng("x"))


def test_says_what_is_too_large():
    with (
        gp.build(line() + gp.SpecifiedLocation([[50]])) as built,
        pytest.raises(RequestRefused, match="axis 0 misses 50 world units = 50 voxels"),
    ):
        built.check(gp.BatchRequest({RAW: gp.Roi((0,), (150,))}))


def test_says_if_dimensions_differ():
    with (
        gp.build(line() + gp.SpecifiedLocation([[50, 50]])) as built,
        pytest.raises(RequestRefused, match="locations of 2 dimensions need a bounded req"),
    ):
        built.check(SHORT)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"locations": []}, ValueError, "locations is empty"),
        ({"locations": [[1, 2], [3]]}, ValueError, r"different numbers of axes: \[1, 2\]"),
        ({"locations": [[1]], "extra_data": [1, 2]}, ValueError, "each of the 1 locations, got 2"),
        ({"locations": [[1]], "jitter": (-1,)}, ValueError, "jitter needs 1 numbers, 0 or more"),
        ({"locations": [[1]], "jitter": (1, 1)}, ValueError, "jitter needs 1 numbers"),
        ({"locations": [[1]], "jitter": (0.5,)}, TypeError, "float"),
        ({"locations": [[1]], "per_batch": 0}, ValueError, "per_batch"),
    ],
)
def test_refuses_arguments(arguments, error, text):
    with pytest.raises(error, match=text):
        gp.SpecifiedLocation(**arguments)
