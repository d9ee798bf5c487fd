"""What a scan says of its memory, and keeps of decoded chunks."""

import numpy as np
import pytest

import voxflow as gp
from tests.helpers import asking
from tests.nodes.scanning.test_scan import Quiet
from voxflow.nodes.scanning import forecast as module
from voxflow.nodes.scanning.forecast import forecast, plan_block, shared_bytes
from voxflow.nodes.scanning.serve import Service
from voxflow.stores import create_dataset

RAW = gp.ArrayKey("RAW")
BLOCK = 8 * 10


@pytest.fixture
def source(tmp_path):
    dataset = create_dataset(tmp_path / "in.zarr", "raw", (32, 40), np.uint8, chunks=(8, 8))
    dataset.write((), np.ones((32, 40), np.uint8))
    dataset.attrs["resolution"], dataset.attrs["offset"] = (1, 1), (0, 0)
    return gp.ZarrSource(tmp_path / "in.zarr", {RAW: "raw"})


@pytest.fixture
def block(source):
    """The plan of a block."""
    scan = gp.Scan(asking(RAW=((0, 0), (8, 10))))
    with gp.build(source + scan):
        yield plan_block(scan.get_upstream_provider(), scan._blocks(gp.BatchRequest(random_seed=1)))


@pytest.mark.parametrize(("workers", "ahead"), [(1, BLOCK), (2, 0)])
def test_blocks_on_their_way_and_what_is_read_ahead_are_counted(block, workers, ahead):
    bound = forecast(block, Service("Scan", workers, ahead=3), 2**20, "some process")
    assert (bound.in_flight, bound.ahead_bytes, bound.cache_bytes) == (4, ahead, 2**20)
    assert bound.where == "some process"


def test_of_large_blocks_more_is_kept(block, monkeypatch):
    assert shared_bytes(block) == 256 << 20
    monkeypatch.setattr(module, "_CACHE_BYTES", 100)
    assert shared_bytes(block) == 4 * block.memory().bytes


def test_a_block_is_planned_once(tmp_path, source, monkeypatch):
    planned, plan = [], module.plan
    monkeypatch.setattr(module, "plan", lambda *args, **kw: planned.append(1) or plan(*args, **kw))
    pipeline = source + gp.ZarrWrite({RAW: "raw"}, tmp_path, "out.zarr")
    pipeline += gp.Scan(asking(RAW=((0, 0), (8, 10))), progress_callback=Quiet())
    with gp.build(pipeline):
        pipeline.request_batch(gp.BatchRequest())
    assert len(planned) == 1
