import logging
import pickle
import time

import numpy as np
import pytest

import voxflow as gp
from tests.helpers import Clock, asking, source
from voxflow.nodes.sinks.print_profiling_stats import table
from voxflow.pipeline.data import ProfilingStats

RAW = gp.ArrayKey("RAW")


class SlowSource(gp.BatchProvider):
    def setup(self):
        self.provides(RAW, gp.ArraySpec(gp.Roi((0,), (8,)), (1,)))

    def provide(self, request):
        time.sleep(0.02)
        batch = gp.Batch()
        spec = self.spec[RAW].copy()
        spec.roi = request[RAW].roi
        batch[RAW] = gp.Array(np.zeros(spec.roi.shape), spec)
        return batch


class SlowToPrepare(gp.BatchFilter):
    def prepare(self, request):
        time.sleep(0.01)

    def process(self, batch, request):
        time.sleep(0.03)


class SlowToProcess(gp.BatchFilter):
    def process(self, batch, request):
        time.sleep(0.02)


def tables(caplog):
    return [record.getMessage() for record in caplog.records if "NODE" in record.getMessage()]


def rows(text):
    lines = text.splitlines()[1:]
    assert lines[0].split() == ["NODE", "METHOD", "COUNTS", "MIN", "MAX", "MEAN", "MEDIAN", "SUM"]
    found = {}
    for line in lines[1:]:
        words = line.split()
        numbers = [float(word) for word in words[-6:]]
        found[words[0], " ".join(words[1:-6])] = numbers
    return found


def test_the_numbers_add_up_to_the_time_it_took(caplog, monkeypatch):
    Clock(monkeypatch)
    pipeline = SlowSource() + SlowToPrepare() + SlowToProcess() + gp.PrintProfilingStats(every=3)
    with gp.build(pipeline), caplog.at_level(logging.INFO):
        ends = []
        for _ in range(6):
            pipeline.request_batch(asking(RAW=((0,), (8,))))
            ends.append(time.time())
            time.sleep(0.01)
    assert len(tables(caplog)) == 2
    found = rows(tables(caplog)[1])
    assert set(found) == {
        ("SlowSource", ""),
        ("SlowToPrepare", "prepare"),
        ("SlowToPrepare", "process"),
        ("SlowToProcess", "prepare"),
        ("SlowToProcess", "process"),
        ("TOTAL", "upstream"),
        ("TOTAL", "downstream"),
    }
    for (node, _), (count, least, most, mean, median, total) in found.items():
        assert count == 3
        assert least <= median <= most
        assert least <= mean <= most
        assert total == pytest.approx(3 * mean, abs=1e-3), node
    nodes = sum(numbers[-1] for (node, _), numbers in found.items() if node != "TOTAL")
    upstream, downstream = found["TOTAL", "upstream"][-1], found["TOTAL", "downstream"][-1]
    assert 0.95 * upstream <= nodes <= upstream * 1.001 + 1e-3
    assert 0.95 * (ends[5] - ends[2]) <= upstream + downstream
    assert found["SlowToPrepare", "prepare"][1] >= 0.01
    assert found["SlowToPrepare", "process"][1] >= 0.03


def test_the_counts_start_anew(caplog):
    pipeline = source(RAW, np.zeros(8), (1,)) + gp.PrintProfilingStats(every=2)
    with gp.build(pipeline), caplog.at_level(logging.INFO):
        for _ in range(5):
            pipeline.request_batch(asking(RAW=((0,), (8,))))
    assert [rows(text)["ArraySource", ""][0] for text in tables(caplog)] == [2, 2]


def test_the_batch_is_unchanged_and_long_names_keep_the_columns(caplog):
    class ANodeWhoseNameIsMuchLongerThanThatOfMostOthers(SlowToProcess):
        pass

    pipeline = source(RAW, np.arange(8), (1,)) + ANodeWhoseNameIsMuchLongerThanThatOfMostOthers()
    pipeline += gp.PrintProfilingStats()
    with gp.build(pipeline), caplog.at_level(logging.INFO):
        batch = pipeline.request_batch(asking(RAW=((2,), (3,))))
    assert batch[RAW].data.tolist() == [2, 3, 4]
    (text,) = tables(caplog)
    assert len({len(line) for line in text.splitlines()[1:]}) == 1
    assert "ANodeWhoseNameIsMuchLongerThanThatOfMostOthers  process" in text


def test_in_workers_it_does_no_harm(caplog):
    pipeline = source(RAW, np.arange(8), (1,)) + gp.PrintProfilingStats(every=3)
    with gp.build(pipeline + gp.PreCache(2, 1)) as cached:
        assert cached.request_batch(asking(RAW=((2,), (2,))))[RAW].data.tolist() == [2, 3]
    node = gp.PrintProfilingStats(every=2)
    scanned = source(RAW, np.arange(8), (1,)) + node
    scanned += gp.Scan(asking(RAW=((0,), (2,))), 2, progress_callback=gp.ScanCallback())
    with gp.build(scanned), caplog.at_level(logging.INFO):
        scanned.request_batch(gp.BatchRequest())
        pickle.loads(pickle.dumps(node))
    assert len(tables(caplog)) == 2


def test_no_table_after_no_batches():
    with pytest.raises(ValueError, match="every has to be at least 1, got 0"):
        gp.PrintProfilingStats(0)


def test_nodes_that_ask_several_others_count_their_own_time(caplog, monkeypatch):
    Clock(monkeypatch)
    other = gp.ArrayKey("OTHER")

    class Own(gp.BatchFilter):
        def provide(self, request):
            time.sleep(0.02)
            return super().provide(request)

        def process(self, batch, request):
            time.sleep(0.01)

    pipeline = (SlowSource(), source(other, np.zeros(8), (1,))) + gp.MergeProvider()
    pipeline += SlowToProcess() + gp.Stack(2) + Own() + gp.PrintProfilingStats()
    with gp.build(pipeline), caplog.at_level(logging.INFO):
        pipeline.request_batch(asking(RAW=((0,), (8,)), OTHER=((0,), (8,))))
    found = rows(tables(caplog)[0])
    names = {node for node, _ in found}
    assert names >= {"SlowSource", "ArraySource", "MergeProvider", "SlowToProcess", "Stack"}
    nodes = sum(numbers[-1] for (node, _), numbers in found.items() if node != "TOTAL")
    upstream = found["TOTAL", "upstream"][-1]
    assert 0.95 * upstream <= nodes <= upstream + 1e-3
    assert found["Own", ""][-1] >= 0.02
    assert found["Own", "process"][-1] >= 0.01


def test_waiting_for_workers_is_somebodys_time(caplog):
    pipeline = source(RAW, np.arange(8), (1,)) + gp.PreCache(2, 1) + gp.PrintProfilingStats()
    with gp.build(pipeline), caplog.at_level(logging.INFO):
        pipeline.request_batch(asking(RAW=((0,), (8,))))
    found = rows(tables(caplog)[0])
    assert found["PreCache", ""][-1] >= 0.9 * found["TOTAL", "upstream"][-1]


def test_counts_stand_below():
    stats = ProfilingStats()
    stats.record("ElasticAugment", None, 0.0, 0.5)
    stats.count("ElasticAugment", "edges clipped", 12)
    assert table(stats).splitlines()[2:] == ["ElasticAugment: 12 edges clipped"]
