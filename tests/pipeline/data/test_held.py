"""Whoever can write to voxels has a reference to what they belong to."""

import array
import ctypes
import mmap

import numpy as np
import pytest

import voxflow as gp
from voxflow.pipeline.data.deferred import Fresh
from voxflow.pipeline.data.held import reached_once

RAW = gp.ArrayKey("RAW")
SPEC = gp.ArraySpec(gp.Roi((0, 0), (4, 6)), (1, 1))


def filled():
    return np.arange(24).reshape(4, 6).copy()


def alone(items):
    """Not within an assertion, for which pytest keeps what is asked about."""
    return reached_once(items[0])


MADE = {
    "as it is": filled,
    "rows": lambda: filled()[1:3],
    "turned": lambda: filled().T,
    "other shape": lambda: filled().reshape(2, 12),
    "other type": lambda: filled().view(np.uint8),
    "read-only": lambda: np.broadcast_to(filled(), (2, 4, 6)),
}

WAYS = {
    "itself": lambda voxels: voxels,
    "a view": lambda voxels: voxels[..., 1:],
    "a view of one": lambda voxels: voxels[1:][1:],
    "what it is a view of": lambda voxels: voxels if voxels.base is None else voxels.base,
    "one voxel": lambda voxels: voxels[..., 0, 0],
    "other type": lambda voxels: voxels.T,
    "a memoryview": memoryview,
    "ctypes": lambda voxels: voxels.ctypes.data_as(ctypes.c_void_p),
    "an iterator": lambda voxels: voxels.flat,
    "a closure": lambda voxels: lambda: voxels,
}


@pytest.mark.parametrize("made", MADE)
def test_what_was_just_made_is_reached_once(made):
    items = [MADE[made]()]
    assert alone(items)
    assert alone(items)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("made", MADE)
def test_not_what_somebody_else_can_reach(made, way):
    items = [MADE[made]()]
    kept = WAYS[way](items[0])
    assert not alone(items)
    del kept
    assert alone(items)


def test_not_what_torch_can_write_to():
    torch = pytest.importorskip("torch")
    items = [filled()]
    tensor = torch.from_numpy(items[0])
    assert not alone(items)
    del tensor
    assert alone(items)
    assert not alone([torch.zeros(3).numpy()])


@pytest.mark.parametrize(
    "memory",
    [bytearray(8), array.array("b", range(8)), mmap.mmap(-1, 8)],
    ids=["bytearray", "array", "mmap"],
)
def test_not_memory_of_somebody_else(memory):
    items = [np.frombuffer(memory, np.uint8)]
    assert not alone(items)


def test_not_a_file(tmp_path):
    items = [np.memmap(tmp_path / "voxels", np.uint8, "w+", shape=(8,))]
    assert not alone(items)
    items = [np.asarray(items[0])]
    assert not alone(items)


def test_an_array_claims_what_nobody_else_has():
    claimed = gp.Array(filled(), SPEC)
    claimed.claim()
    assert isinstance(claimed.deferred, Fresh)
    assert claimed.settle()
    voxels = filled()
    shared = gp.Array(voxels, SPEC)
    shared.claim()
    assert not shared.settle()
    np.testing.assert_array_equal(claimed.data, shared.data)


def test_what_is_put_off_is_not_claimed():
    deferred = Fresh(filled())
    array = gp.Array(deferred, SPEC)
    array.claim()
    assert array.deferred is deferred


def test_a_batch_apart_shares_voxels_and_graphs():
    batch, graph_key = gp.Batch(), gp.GraphKey("POINTS")
    batch[RAW] = gp.Array(filled(), SPEC, {"a": 1})
    batch[graph_key] = gp.Graph([], [], gp.GraphSpec(SPEC.roi))
    batch.loss = 3
    own = batch.apart()
    assert own[RAW] is not batch[RAW]
    assert own[RAW].data is batch[RAW].data
    assert (own[RAW].spec, own[RAW].attrs) == (batch[RAW].spec, {"a": 1})
    assert own[RAW].spec is not batch[RAW].spec
    assert own[graph_key] is batch[graph_key]
    assert own.loss == 3
    del own.arrays[RAW]
    assert RAW in batch
