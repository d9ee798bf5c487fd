"""What every node got, drew and made for one request."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import voxflow as gp
from tests.helpers import GraphSource, Nothing, ids, source
from voxflow.inspect import describe
from voxflow.ops.maps import Map
from voxflow.stores import open_attrs, open_dataset

RAW, LABELS, AFFINITIES = (gp.ArrayKey(name) for name in ("RAW", "LABELS", "AFFINITIES"))
POINTS = gp.GraphKey("points")


def training(dims, elastic=True, **ahead):
    """What is usual for a training: recipes, partial ones, and draws."""
    size = (40, 4, 4)[-dims:]
    shape = (7, 40, 41)[-dims:]
    region = gp.Roi((0,) * dims, gp.Coordinate(shape) * gp.Coordinate(size))
    image = np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)
    inputs = (
        source(RAW, image, size, interpolatable=True),
        source(LABELS, ids(region, size) + np.uint64(2**63), size, interpolatable=False),
        GraphSource(POINTS, {1: region.center}, region),
    )
    pipeline = inputs + gp.MergeProvider() + gp.RandomLocation() + gp.Normalize(RAW)
    pipeline += gp.SimpleAugment(mirror_only=range(dims), transpose_only=[dims - 2, dims - 1])
    if elastic:
        pipeline += gp.ElasticAugment((8, 8), (0.5, 0.5), (0.0, 0.5), spatial_dims=2)
    pipeline = (
        pipeline
        + gp.IntensityAugment(RAW, 0.9, 1.1, -0.1, 0.1)
        + gp.AddAffinities(-np.eye(dims, dtype=int), LABELS, AFFINITIES)
        + (gp.PreCache(4, **ahead) if ahead else Nothing())
    )
    request = gp.BatchRequest()
    request.add(RAW, gp.Coordinate(size) * 4)
    request.add(LABELS, gp.Coordinate(size) * 2)
    request.add(AFFINITIES, gp.Coordinate(size) * 2)
    request.add(POINTS, gp.Coordinate(size) * 4)
    return pipeline, request


def same(batch, other):
    assert set(dict(batch.items())) == set(dict(other.items()))
    for key, array in batch.arrays.items():
        assert array.spec == other[key].spec
        assert array.data.dtype == other[key].data.dtype
        assert np.array_equal(array.data, other[key].data)
    for key, graph in batch.graphs.items():
        assert graph.spec == other[key].spec
        assert np.array_equal(graph.ids, other[key].ids)
        assert np.array_equal(graph.locations, other[key].locations)


@settings(max_examples=8)
@given(st.sampled_from([2, 3]), st.booleans(), st.integers(0, 2**32))
def test_what_flows_is_not_changed(dims, elastic, seed):
    pipeline, request = training(dims, elastic)
    with gp.build(pipeline, seed=seed):
        plain = [pipeline.request_batch(request) for _ in range(2)]
    with gp.build(pipeline, seed=seed):
        first = pipeline.trace(request)
        same(plain[0], first.batch)
        same(plain[0], pipeline.request_batch(request))  # the run has not gone on
        same(plain[1], pipeline.trace(request).batch)
        same(plain[0], pipeline.trace(first.batch.token).batch)
        same(plain[0], pipeline.trace(str(first.batch.token)).batch)
        own = request.clone()
        own._set_seed(seed + 1)
        same(pipeline.trace(own).batch, pipeline.request_batch(own))


def test_visits_are_in_order_and_hold_what_went_in_and_out():
    pipeline, request = training(2)
    with gp.build(pipeline, seed=3):
        trace = pipeline.trace(request)
    assert [visit.node for visit in trace] == [
        "ArraySource", "ArraySource-2", "GraphSource", "MergeProvider", "RandomLocation",
        "Normalize", "SimpleAugment", "ElasticAugment", "IntensityAugment", "AddAffinities",
        "Nothing",
    ]  # fmt: skip
    read, turned = trace["ArraySource"].outputs[RAW], trace["Normalize"]
    assert trace["ArraySource"].inputs == {}
    assert turned.inputs[RAW].data.dtype == np.uint8
    assert np.array_equal(turned.inputs[RAW].data, read.data)
    np.testing.assert_allclose(turned.outputs[RAW].data, read.data / 255, rtol=1e-6)
    # Nodes change what they are given: what was written down before has to stay.
    assert trace["MergeProvider"].outputs[RAW].spec.roi == read.spec.roi
    assert trace["RandomLocation"].outputs[RAW].spec.roi == turned.request[RAW].roi != read.spec.roi
    assert trace["ElasticAugment"].request[RAW].roi.size < turned.request[RAW].roi.size
    assert set(trace["AddAffinities"].inputs) == {RAW, LABELS, POINTS}
    assert list(trace["AddAffinities"].outputs[POINTS].ids) == list(trace.batch[POINTS].ids)
    assert np.array_equal(trace["Nothing"].outputs[AFFINITIES].data, trace.batch[AFFINITIES].data)
    with pytest.raises(KeyError, match="no node 'Train' was asked; there were: ArraySource, "):
        trace["Train"]


def test_draws_are_those_of_the_batch():
    class Shift(gp.BatchFilter):
        def draw(self, request, rng):
            return float(rng.random())

        def process(self, batch, request):
            batch[RAW].data += self.plan(request)  # in place: what came before has to stay
            batch[LABELS].attrs["seen"].append(1)
            batch[POINTS].remove_node(next(batch[POINTS].nodes))

    class Mark(gp.BatchFilter):
        def process(self, batch, request):
            batch[RAW].data = batch[RAW].data + 1  # from here on, voxels that are there
            batch[LABELS].attrs["seen"] = []

    pipeline, request = training(2)
    request[POINTS].roi = request[RAW].roi = request[RAW].roi.grow((24, 24), (24, 24))
    pipeline += Mark()
    pipeline += Shift()
    with gp.build(pipeline, seed=3):
        trace = pipeline.trace(request)
    shift = trace["Shift"]
    assert isinstance(trace["ElasticAugment"].draws, Map)
    assert np.array_equal(shift.outputs[RAW].data, shift.inputs[RAW].data + shift.draws)
    assert shift.inputs[LABELS].attrs == {"seen": []} != shift.outputs[LABELS].attrs
    assert len(shift.inputs[POINTS].ids) == len(shift.outputs[POINTS].ids) + 1
    scale, move = trace["IntensityAugment"].draws
    assert 0.9 <= scale.item() <= 1.1
    assert -0.1 <= move.item() <= 0.1
    assert trace["Normalize"].draws is None
    text = str(trace).splitlines()
    assert text[-6:-4] == ["Shift", f"  drew {shift.draws!r}"]
    assert "  LABELS: as it came" in text


def test_what_only_a_map_shows_is_there_as_far_as_it_was_read():
    pipeline, request = training(2)
    with gp.build(pipeline, seed=3):
        trace = pipeline.trace(request)
    turned, bent = trace["SimpleAugment"], trace["ElasticAugment"]
    assert turned.partial == {RAW, LABELS}
    assert bent.partial == set()
    values = set(np.unique(turned.outputs[LABELS].data)) - {0}
    assert values <= set(np.unique(turned.inputs[LABELS].data))
    assert set(np.unique(bent.outputs[LABELS].data)) <= values
    assert "of which a part was read" in str(trace)


def test_what_is_asked_several_times_is_there_as_often():
    image = np.random.default_rng(0).random((9, 9))
    pipeline = source(RAW, image, (1, 1)) + gp.RandomLocation() + gp.Stack(3)
    request = gp.BatchRequest({RAW: gp.Roi((0, 0), (2, 2))})
    with gp.build(pipeline, seed=1):
        trace = pipeline.trace(request)
    assert [visit.node for visit in trace] == ["ArraySource", "RandomLocation"] * 3 + ["Stack"]
    made = trace["Stack"]
    parts = [visit.outputs[RAW].data for visit in made.asked]
    assert np.array_equal(made.outputs[RAW].data, np.stack(parts))
    assert trace["RandomLocation"] is made.asked[-1]
    assert made.inputs[RAW] is made.asked[-1].outputs[RAW]


@pytest.mark.parametrize("ahead", [{"num_workers": 0}, {"num_workers": 1, "method": "thread"}])
def test_workers_ahead_are_not_asked(ahead):
    pipeline, request = training(2, **ahead)
    with gp.build(pipeline, seed=2):
        plain = pipeline.request_batch(request)
        later = pipeline.trace(request)
        again = pipeline.trace(plain.token)
        following = pipeline.request_batch(request)
    assert "ArraySource" in {visit.node for visit in again}
    same(plain, again.batch)
    same(following, later.batch)


@pytest.mark.slow
def test_processes_ahead_are_not_asked():
    pipeline, request = training(3, num_workers=2)
    with gp.build(pipeline, seed=2):
        plain = pipeline.request_batch(request)
        trace = pipeline.trace(request)
        same(trace.batch, pipeline.request_batch(request))
        same(plain, pipeline.trace(plain.token).batch)
    assert "ElasticAugment" in {visit.node for visit in trace}


def test_nothing_is_written_down_when_a_request_failed():
    class Fails(gp.BatchFilter):
        def process(self, batch, request):
            raise ValueError("no")

    pipeline, request = training(2)
    pipeline += Fails()
    with gp.build(pipeline, seed=1):
        with pytest.raises(gp.PipelineRequestError, match="no"):
            pipeline.trace(request)
        with pytest.raises(ValueError, match="this is no replay token"):
            pipeline.trace("{}")
    assert gp.pipeline.engine.trace.here.watch is None


def test_files_can_be_inspected(tmp_path):
    pipeline, request = training(3)
    del request[AFFINITIES]
    with gp.build(pipeline, seed=3):
        trace = pipeline.trace(request, path=tmp_path / "trace")
    files = sorted((tmp_path / "trace").iterdir())
    assert files[4].name == "04-RandomLocation.zarr"
    for file, visit in zip(files, trace, strict=True):
        for key, array in visit.outputs.items():
            if key != POINTS:
                read = open_dataset(file, f"outputs/{key}").read()
                assert np.array_equal(read, array.data)
    attrs = open_attrs(files[7])
    assert attrs["node"] == "ElasticAugment"
    assert attrs["draws"].startswith(type(trace["ElasticAugment"].draws).__name__)
    with gp.build(pipeline, seed=9):
        same(pipeline.replay(attrs["replay_token"]), trace.batch)
    report = describe(files[5])[0]
    assert report.error is None
    names = {array.name for array in report.arrays}
    assert {"inputs/RAW", "outputs/RAW", "inputs/LABELS", "outputs/LABELS"} <= names


def test_an_older_trace_is_replaced(tmp_path):
    pipeline = source(RAW, np.ones((4, 4)), (1, 1)) + Nothing().named("a/b: c")
    request = gp.BatchRequest({RAW: gp.Roi((0, 0), (2, 2))})
    with gp.build(pipeline) as built:
        built.trace(request, tmp_path / "trace")
    assert {f.name for f in (tmp_path / "trace").iterdir()} == {
        "00-ArraySource.zarr", "01-a_b_c.zarr",
    }  # fmt: skip
    alone = gp.Pipeline(source(RAW, np.ones((4, 4)), (1, 1)))
    with gp.build(alone):
        alone.trace(request, tmp_path / "trace")
    assert [f.name for f in (tmp_path / "trace").iterdir()] == ["00-ArraySource.zarr"]


def test_other_files_are_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("kept")
    pipeline, request = training(2)
    with gp.build(pipeline, seed=3):
        with pytest.raises(FileExistsError, match="holds mine.txt, which is no file of a trace"):
            pipeline.trace(request, tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "kept"
