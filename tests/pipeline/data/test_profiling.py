import copy
import pickle
import time
from fractions import Fraction

import numpy as np
import pytest

import voxflow as gp
from voxflow.pipeline.data.profiling import ProfilingStats, Timing, TimingSummary


class SomeNode:
    pass


def test_timing_counts_only_between_start_and_stop():
    timing = Timing(SomeNode(), "prepare")
    assert (timing.get_node_name(), timing.get_method_name()) == ("SomeNode", "prepare")
    assert timing.span() == (None, None)
    timing.stop()
    assert timing.elapsed() == 0
    before = time.time()
    timing.start()
    time.sleep(0.02)
    timing.stop()
    first = timing.elapsed()
    time.sleep(0.05)
    assert timing.elapsed() == first
    timing.start()
    time.sleep(0.02)
    assert timing.elapsed() > first  # counts while it runs
    timing.stop()
    start, stop = timing.span()
    assert 0.04 <= timing.elapsed() < stop - start
    assert before <= start < stop <= time.time()


def test_start_twice_does_not_start_over():
    timing = Timing("a")
    timing.start()
    time.sleep(0.02)
    timing.start()
    timing.stop()
    assert timing.elapsed() >= 0.02


def test_summary():
    stats = ProfilingStats()
    for seconds in (4.0, 1.0, 2.0, 3.0):
        stats.record("Pad", "process", 10.0, 10.0 + seconds)
    summary = stats.get_timing_summary("Pad", "process")
    assert summary.counts() == len(summary.timings) == 4
    assert summary.times == [4.0, 1.0, 2.0, 3.0]
    assert (summary.min(), summary.max(), summary.mean(), summary.median()) == (1.0, 4.0, 2.5, 2.5)
    other = TimingSummary()
    other.add(Timing("x"))
    other.merge(summary)
    assert other.counts() == 5
    assert other.min() == 0


def test_empty_summary_and_stats_say_so():
    with pytest.raises(ValueError, match="nothing has been timed"):
        TimingSummary().mean()
    with pytest.raises(ValueError, match="no time span"):
        ProfilingStats().span()
    with pytest.raises(RuntimeError, match=r"Pad.process has not been timed.*: nothing"):
        ProfilingStats().get_timing_summary("Pad", "process")


def test_summaries_grow_with_what_comes_later():
    stats = ProfilingStats()
    stats.record("A", None, 0.0, 1.0)
    assert stats.get_timing_summary("A").counts() == 1
    stats.record("A", None, 2.0, 3.0)
    stats.record("B", "prepare", -1.0, 0.5)
    assert stats.get_timing_summary("A").counts() == 2
    assert set(stats.get_timing_summaries()) == {("A", None), ("B", "prepare")}
    with pytest.raises(RuntimeError, match=r"timed so far: A, B\.prepare"):
        stats.get_timing_summary("B")
    assert stats.span() == (-1.0, 3.0)
    assert stats.span_time() == 4.0


def test_added_timing_is_a_copy():
    timing = Timing("A")
    timing.start()
    timing.stop()
    stats = ProfilingStats()
    stats.add(timing)
    counted = timing.elapsed()
    timing.start()
    time.sleep(0.01)
    timing.stop()
    assert stats.get_timing_summary("A").times == [counted]
    assert stats.get_timing_summary("A").timings[0].span() != timing.span()


def test_timing_that_never_ran_can_be_added():
    stats = ProfilingStats()
    stats.add(Timing("idle"))
    stats.record("A", None, 1.0, 2.0)
    assert stats.span() == (1.0, 2.0)
    assert stats.get_timing_summary("idle").times == [0.0]


def test_merge_leaves_the_other_alone():
    one, two = ProfilingStats(), ProfilingStats()
    one.record("A", None, 0.0, 1.0)
    two.record("A", None, 5.0, 7.0)
    two.get_timing_summaries()
    one.merge_with(two)
    assert one.get_timing_summary("A").times == [1.0, 2.0]
    assert two.get_timing_summary("A").times == [2.0]
    assert one.span() == (0.0, 7.0)


@pytest.mark.parametrize("count", [0, 3])
@pytest.mark.parametrize("again", [copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))])
def test_pickle_and_deepcopy(count, again):
    stats = ProfilingStats()
    for i in range(count):
        stats.record("A", "process", i, i + 1.0)
    stats.get_timing_summaries()
    restored = again(stats)
    restored.record("A", "process", 0.0, 1.0)
    assert restored.get_timing_summary("A", "process").counts() == count + 1
    assert len(stats.get_timing_summaries()) == (count > 0)


@pytest.mark.parametrize("again", [copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))])
def test_counts_add_up_and_travel(again):
    one, two = ProfilingStats(), ProfilingStats()
    one.count("A", "edges clipped", 2)
    two.count("A", "edges clipped")
    two.count("B", "redrawn")
    one.merge_with(again(two))
    assert one.get_counts() == {("A", "edges clipped"): 3, ("B", "redrawn"): 1}
    assert two.get_counts() == {("A", "edges clipped"): 1, ("B", "redrawn"): 1}
    one.get_counts().clear()
    assert again(one).get_counts() == one.get_counts() != {}
    with pytest.raises(RuntimeError, match="has not been timed"):
        one.get_timing_summary("A")


def test_reads_are_of_sources_alone_and_pass_on_with_the_batch():
    raw, other = gp.ArrayKey("RAW"), gp.ArrayKey("OTHER")
    spec = gp.ArraySpec(voxel_size=(Fraction(1, 2), 3))
    image = np.zeros((40, 30), np.uint8)
    sources = gp.ArraySource(raw, image, spec=spec), gp.ArraySource(other, image, spec=spec)
    pipeline = sources + gp.MergeProvider() + gp.RandomLocation() + gp.Stack(2)
    request = gp.BatchRequest()
    request.add(raw, (5, 30))
    request.add(other, (5, 30), placeholder=True)
    with gp.build(pipeline, seed=0):
        batch = pipeline.request_batch(request)
        trace = pipeline.trace(batch.token)
    reads = batch.profiling_stats.get_reads()
    assert [(read.source, read.key) for read in reads] == [("ArraySource", "RAW")] * 2
    asked = [v.request[raw].roi for v in trace if v.node == "ArraySource"]
    assert [(read.begin, read.end) for read in reads] == [
        (tuple(map(float, roi.begin)), tuple(map(float, roi.end))) for roi in asked
    ]
    again = pickle.loads(pickle.dumps(batch.profiling_stats))
    assert again.get_reads() == reads
    again.merge_with(batch.profiling_stats)
    assert again.get_reads() == reads + reads
