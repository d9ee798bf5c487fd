"""Whoever can write to voxels has a reference to what they belong to."""

import array
import ctypes
import importlib.util
import mmap
import subprocess
import sys
import threading
import weakref
from types import SimpleNamespace

import numpy as np
import pytest

import voxflow as gp
from voxflow.pipeline.data.deferred import Fresh
from voxflow.pipeline.data.held import nobody_else_has

RAW, OTHER = gp.ArrayKey("RAW"), gp.ArrayKey("OTHER")
SPEC = gp.ArraySpec(gp.Roi((0, 0), (4, 6)), (1, 1))


def filled():
    return np.arange(24).reshape(4, 6).copy()


def holding(voxels):
    return SimpleNamespace(voxels=voxels)


def alone(holder):
    return nobody_else_has(holder, "voxels")


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
    "a weak reference": weakref.ref,
    "a weak reference to what it is a view of": lambda voxels: weakref.ref(
        voxels if voxels.base is None else voxels.base
    ),
    "ctypes": lambda voxels: voxels.ctypes.data_as(ctypes.c_void_p),
    "an iterator": lambda voxels: voxels.flat,
    "a closure": lambda voxels: lambda: voxels,
}


@pytest.mark.parametrize("made", MADE)
def test_what_was_just_made_is_reached_once(made):
    holder = holding(MADE[made]())
    assert alone(holder)
    assert alone(holder)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("made", MADE)
def test_not_what_somebody_else_can_reach(made, way):
    holder = holding(MADE[made]())
    kept = WAYS[way](holder.voxels)
    assert not alone(holder)
    del kept
    assert alone(holder)


def test_not_what_torch_can_write_to():
    torch = pytest.importorskip("torch")
    holder = holding(filled())
    tensor = torch.from_numpy(holder.voxels)
    assert not alone(holder)
    del tensor
    assert alone(holder)
    assert not alone(holding(torch.zeros(3).numpy()))


@pytest.mark.parametrize(
    "memory",
    [bytearray(8), array.array("b", range(8)), mmap.mmap(-1, 8)],
    ids=["bytearray", "array", "mmap"],
)
def test_not_memory_of_somebody_else(memory):
    holder = holding(np.frombuffer(memory, np.uint8))
    assert not alone(holder)


def test_not_a_file(tmp_path):
    holder = holding(np.memmap(tmp_path / "voxels", np.uint8, "w+", shape=(8,)))
    assert not alone(holder)
    holder = holding(np.asarray(holder.voxels))
    assert not alone(holder)


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
    assert own[RAW].attrs is batch[RAW].attrs
    assert own[graph_key] is batch[graph_key]
    assert own.loss == 3
    del own.arrays[RAW]
    assert RAW in batch


def test_what_is_put_off_and_other_classes_stay_as_they_are():
    class Mine(gp.Array):
        pass

    batch = gp.Batch()
    batch[RAW], batch[OTHER] = gp.Array(Fresh(filled()), SPEC), Mine(filled(), SPEC)
    own = batch.apart()
    assert own[RAW] is batch[RAW]
    assert own[OTHER] is batch[OTHER]


def test_threads_do_not_mislead_each_other():
    def ask():
        holder = holding(filled())
        kept.append(holder.voxels)
        answers.append(any(alone(holder) for _ in range(50_000)))

    kept, answers, before = [], [], sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=ask) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert answers == [False, False]


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not here")
def test_who_calls_functions_otherwise_changes_nothing():
    """A debugger, or torch: they may hold what a function is given once more."""
    program = """
from types import SimpleNamespace
import numpy as np
import torch

def asked(keep):
    from voxflow.pipeline.data.held import nobody_else_has
    holder = SimpleNamespace(voxels=np.zeros(3))
    kept = [holder.voxels] * keep
    return nobody_else_has(holder, "voxels")

compiled = torch.compile(backend="eager")(asked)
assert not compiled(1)
assert not asked(1)
assert asked(0)
"""
    subprocess.run([sys.executable, "-c", program], check=True)
