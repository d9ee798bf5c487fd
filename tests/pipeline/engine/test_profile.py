"""Where the time of batches goes."""

import itertools
import json
import os
import threading
import time

import numpy as np
import pytest

import voxflow as gp
from tests.helpers import Clock, GraphSource, Nothing, source
from voxflow.pipeline.engine import profile
from voxflow.pipeline.engine.profile import profiled

RAW, POINTS = gp.ArrayKey("RAW"), gp.GraphKey("POINTS")
REQUEST = gp.BatchRequest({RAW: gp.Roi((8, 8), (16, 16))})
WORKER = (1, 2)
HERE = (os.getpid(), threading.get_ident())


@pytest.fixture(autouse=True)
def keeping(monkeypatch):
    """Timings of all batches are kept; tests may say otherwise."""

    def takes(seconds):
        monkeypatch.setattr(profile, "seconds_to_keep", lambda stats: seconds)

    takes(0.0)
    return takes


class Sleep(gp.BatchFilter):
    def __init__(self, seconds):
        self.seconds = seconds

    def process(self, batch, request):
        time.sleep(self.seconds)


def image():
    data = np.random.default_rng(0).random((40, 40)).astype(np.float32)
    return source(RAW, data, (1, 1), interpolatable=True)


@pytest.mark.parametrize("ahead", [(), (gp.PreCache(4, 0),)])
def test_a_slow_node_is_named(ahead, monkeypatch):
    Clock(monkeypatch)
    pipeline = image() + Nothing() + Sleep(0) + Sleep(0.02).named("slow") + Nothing()
    for node in ahead:
        pipeline += node
    with gp.build(pipeline, seed=1):
        found = pipeline.profile(REQUEST, n=2)
        assert pipeline.run.next_position.index == 3
    assert found.bottleneck == "slow"
    assert found["slow"].work > found["Sleep"].work
    assert found["Nothing-2"].wait > found["Nothing"].wait  # for the slow one, and not
    assert found["slow"].calls == found.batches == 2
    assert found.workers == found.waited == found["slow"].workers_share == 0
    assert [node.label for node in found.nodes][:5] == [
        "ArraySource", "Nothing", "Sleep", "slow", "Nothing-2",
    ]  # fmt: skip
    text = str(found).splitlines()
    assert text[0].startswith("2 batches of ")
    assert text[-1] == "bottleneck: slow"
    with pytest.raises(KeyError, match="no node 'fast'; there are: ArraySource, Nothing, "):
        found["fast"]


def test_bytes_are_those_that_were_told():
    pipeline = image() + gp.Normalize(RAW, 1.0, np.float64)
    with gp.build(pipeline):
        found = pipeline.profile(REQUEST, 1)
    assert {n.label: n.bytes for n in found.nodes} == {
        "ArraySource": 16 * 16 * 4, "Normalize": 16 * 16 * 8, "Batch": 0, "Engine": 0,
    }  # fmt: skip


def chain():
    pipeline = image()
    for _ in range(20):
        pipeline += Nothing()
    return pipeline


def tree():
    return (chain(), GraphSource(POINTS, {}, gp.Roi((0, 0), (40, 40)))) + gp.MergeProvider()


def ahead():
    return chain() + gp.SimpleAugment() + gp.PreCache(2, 0) + Nothing()


@pytest.mark.parametrize("make", [chain, tree, ahead, lambda: chain() + gp.Stack(3) + Nothing()])
def test_all_of_the_time_is_told_and_none_of_it_twice(make, monkeypatch):
    with gp.build(make(), seed=1) as pipeline:
        request = REQUEST.clone()
        if POINTS in pipeline.spec:
            request[POINTS] = gp.GraphSpec(REQUEST[RAW].roi)
        pipeline.request_batch(request)
        clock = itertools.count()
        monkeypatch.setattr(time, "time", lambda: float(next(clock)))  # all work takes as long
        found = pipeline.profile(request, n=3)
    told = sum(node.work for node in found.nodes)
    assert 0.95 * found.wall <= told <= found.wall
    assert found.accounted == told / found.wall
    assert 0 < found["Engine"].work < 0.7 * found.wall
    assert "Engine: requests and batches on their way between nodes" in str(found)


def test_voxels_that_nobody_looked_at_are_counted():
    pipeline = image() + gp.ElasticAugment((8, 8), (1, 1), (0.1, 0.2), spatial_dims=2)
    with gp.build(pipeline, seed=1):
        batch = pipeline.request_batch(REQUEST)
        found = pipeline.profile(REQUEST, 1)
    stats = batch.profiling_stats
    assert stats.get_timing_summary("Batch", "make").counts() == 1
    assert found["Batch"].calls == 1
    assert "Batch: voxels that no node looked at" in str(found)


class Told:
    """What a request costs, of which nothing is known but the sources."""

    class Source:
        label, times, asked, is_source = "Source", 1, (), True

    nodes = (Source,)


def timed(*rows):
    """Gives batches with these timings: label, method, start, stop, seconds, place."""

    def serve():
        batch = gp.Batch()
        for label, method, start, stop, seconds, place in rows:
            batch.profiling_stats.record(
                "Class", method, start, stop, seconds, label=label, place=place
            )
        return batch

    return serve


def test_work_and_waiting_of_workers():
    serve = timed(
        ("Source", None, 0.0, 2.0, 2.0, WORKER),
        ("Slow", "prepare", 0.0, 0.5, 0.5, WORKER),
        ("Slow", "process", 2.5, 7.5, 5.0, WORKER),
        ("Ahead", None, 7.0, 8.0, 1.0, HERE),
        ("Last", "prepare", 6.0, 7.0, 1.0, HERE),
        ("Last", "process", 8.0, 11.0, 3.0, HERE),
    )
    found = profiled(serve, 2, ["Source", "Slow", "Ahead", "Last"], Told)
    seconds = {n.label: (n.work, n.elsewhere, n.wait, n.calls) for n in found.nodes}
    assert seconds == {
        "Source": (4, 4, 0, 2), "Slow": (11, 11, 4, 2), "Ahead": (0, 0, 2, 2), "Last": (8, 0, 2, 2),
    }  # fmt: skip
    assert (found.waited, found.workers, found["Slow"].workers_share) == (2, 1, 1)
    assert found.bottleneck == "Slow"


def test_where_workers_are_fast_enough_it_is_a_node_here():
    serve = timed(
        ("Source", None, 0.0, 9.0, 9.0, WORKER),
        ("Ahead", None, 10.0, 10.0, 0.0, HERE),
        ("Last", "prepare", 9.0, 10.0, 1.0, HERE),
        ("Last", "process", 10.0, 12.0, 2.0, HERE),
    )
    found = profiled(serve, 1, ["Source", "Ahead", "Last"], Told)
    assert found.bottleneck == "Last"
    assert "wait for" not in str(found)


def test_a_source_beside_workers_does_not_wait():
    serve = timed(
        ("Made", None, 0.0, 2.0, 2.0, WORKER),
        ("Ahead", None, 3.0, 4.0, 1.0, HERE),
        ("Source", None, 4.0, 6.0, 2.0, HERE),
        ("Merge", None, 3.0, 7.0, 1.0, HERE),
    )
    found = profiled(serve, 1, ["Made", "Ahead", "Source", "Merge"], Told)
    assert [(n.work, n.wait) for n in found.nodes] == [(2, 0), (0, 1), (2, 0), (1, 3)]
    assert found.waited == 1


def test_the_timeline_nests(tmp_path):
    pipeline = image() + Sleep(0.001) + gp.PreCache(2, 0) + Nothing()
    with gp.build(pipeline):
        found = pipeline.profile(REQUEST, n=2)
        path = found.write_timeline(tmp_path / "timeline.json")
    read = json.loads(path.read_text())["traceEvents"]
    assert [e["args"]["name"] for e in read if e["ph"] == "M"] == ["here"]
    events = [e for e in read if e["ph"] == "X"]
    assert [e["name"] for e in events[:2]] == ["batch 0", "batch 1"]
    assert {"Sleep.process", "PreCache", "Nothing.prepare"} <= {e["name"] for e in events}
    assert {e["pid"] for e in events} == {os.getpid()}
    # Of two spans in a row, one is within the other, or after it: so viewers draw them.
    spans = sorted(((e["ts"], e["ts"] + e["dur"]) for e in events), key=lambda s: (s[0], -s[1]))
    for i, (_, stop) in enumerate(spans):
        for start, end in spans[i + 1 :]:
            assert start >= stop - 1 or end <= stop + 1  # µs, to which times are known


def test_some_batches_stand_for_all(keeping, monkeypatch, tmp_path):
    Clock(monkeypatch)
    pipeline = image() + Sleep(0.001) + Sleep(0.02).named("slow") + gp.Normalize(RAW)
    keeping(0.001)  # as long as it may take for five batches
    with gp.build(pipeline, seed=1):
        found = pipeline.profile(REQUEST, n=50)
        path = found.write_timeline(tmp_path / "timeline.json")
    assert found.measured == pytest.approx(10, abs=5)
    assert str(found).startswith(f"50 batches of 21.2 ms, {found.measured} of them measured ")
    assert found.bottleneck == "slow"
    assert found["slow"].work == pytest.approx(50 * 0.02, rel=0.01)
    assert found["Normalize"].wait > 50 * 0.021
    assert {n.calls for n in found.nodes} == {50}
    assert found.wall > 50 * 0.021
    assert 0.95 < found.accounted <= 1
    events = [e["name"] for e in json.loads(path.read_text())["traceEvents"]]
    assert "batch 49" in events
    assert events.count("slow.process") == found.measured


def test_the_same_batches_come_with_a_profile_of_some(keeping):
    def batches(look):
        pipeline = image() + gp.RandomLocation() + gp.IntensityAugment(RAW, 0.9, 1.1, -0.1, 0.1)
        request = gp.BatchRequest()
        request.add(RAW, (8, 8))
        with gp.build(pipeline, seed=1):
            look(pipeline, request)
            return pipeline.request_batch(request)[RAW].data

    keeping(1.0)
    plain = batches(lambda pipeline, request: [pipeline.request_batch(request) for _ in range(6)])
    assert np.array_equal(batches(lambda pipeline, request: pipeline.profile(request, 5)), plain)


def test_a_profile_needs_batches():
    pipeline = image() + Nothing()
    with gp.build(pipeline):
        with pytest.raises(ValueError, match="at least one batch, got n=0"):
            pipeline.profile(REQUEST, 0)
    with pytest.raises(RuntimeError, match="not set up"):
        pipeline.profile(REQUEST)


@pytest.mark.slow
def test_what_worker_processes_do_is_counted():
    class Slow(gp.BatchFilter):
        def process(self, batch, request):
            import time

            time.sleep(0.02)

    pipeline = (
        image()
        + Slow()
        + gp.ElasticAugment((8, 8), (1, 1), (0.1, 0.2), spatial_dims=2)
        + gp.PreCache(2, 1)
    )
    with gp.build(pipeline, seed=1):
        found = pipeline.profile(REQUEST, n=8)
    assert found.workers == 1
    assert found.bottleneck == "Slow"
    assert found["Slow"].workers_share == found["Batch"].workers_share == 1
    assert found["PreCache"].work == 0 < found.waited
