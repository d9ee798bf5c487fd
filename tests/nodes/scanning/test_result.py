"""What a scan puts together does not grow with the number of blocks, but for the data."""

import pytest

from voxflow.nodes.scanning import result
from voxflow.nodes.scanning.result import ScanResult
from voxflow.pipeline.data import Batch, BatchRequest


@pytest.mark.parametrize("blocks", [1, 7, 8, 9, 100, 1001])
def test_timings_are_those_of_blocks_that_are_spread_evenly(monkeypatch, blocks):
    monkeypatch.setattr(result, "_TIMED", 4)
    whole = ScanResult(BatchRequest())
    for number in range(blocks):
        batch = Batch()
        batch.profiling_stats.record("Node", None, float(number), number + 0.5)
        batch.profiling_stats.count("Node", "blocks")
        whole.add(batch, {})
    for _ in range(2):
        stats = whole.batch.profiling_stats
        begins = [timing.span()[0] for timing in stats.get_timing_summary("Node").timings]
        step = int(begins[1] - begins[0]) if blocks > 1 else 1
        assert begins == [float(n) for n in range(0, blocks, step)]
        assert min(blocks, 4) <= len(begins) < 8
        assert stats.get_counts() == {("Node", "blocks"): blocks}
