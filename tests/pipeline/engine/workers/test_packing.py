"""Pickling by reference, by value, and with arrays apart."""

import contextlib
import pickle
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType

import dill
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from voxflow.pipeline.engine.workers import packing


def around(value, pack=packing.pack_result):
    packed = pack(value)
    buffers = [bytearray(size) for size in packed.sizes]
    for buffer, write in zip(buffers, packed.writers, strict=True):
        write(memoryview(buffer))
    return dill.loads(packed.stream, buffers=buffers)


@given(
    data=st.data(),
    dtype=st.sampled_from(["u1", "<u8", ">i2", "f4", "c16", "?", "M8[s]", "S3", "U2"]),
)
@pytest.mark.parametrize("pack", [packing.pack_result, packing.pack_by_value])
def test_any_view_comes_back_equal_and_writable(data, dtype, pack):
    shape = data.draw(npst.array_shapes(min_dims=0, max_dims=4, max_side=5))
    raw = np.random.default_rng(0).integers(0, 2, (*shape, np.dtype(dtype).itemsize), np.uint8)
    array = raw.view(dtype)[..., 0]
    view = np.asarray(array[data.draw(npst.basic_indices(shape))])
    if data.draw(st.booleans()):
        view = view.T
    view.flags.writeable = data.draw(st.booleans())
    for small in (0, 10**6):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(packing, "SMALL", small)
            got = around(view, pack)
        assert got.dtype == view.dtype
        assert got.flags.writeable
        np.testing.assert_array_equal(got, view)


def test_modules_go_by_name_only():
    module = ModuleType("voxflow_test_helper")
    module.lock = (i for i in ())  # dill would look inside
    sys.modules[module.__name__] = module
    try:
        assert around({"m": module}, packing.pack_by_value)["m"] is module
    finally:
        del sys.modules[module.__name__]


def test_a_function_takes_the_globals_that_it_uses():
    namespace = {"__name__": "__main__", "used": 5, "unused": (i for i in ())}
    exec("def f(x): return x + used", namespace)
    assert around(namespace["f"], packing.pack_by_value)(1) == 6


def test_names_of_the_script_go_by_reference(monkeypatch):
    class Thing:
        pass

    Thing.__module__, Thing.__qualname__ = "__main__", "Thing"
    monkeypatch.setattr(sys.modules["__main__"], "Thing", Thing, raising=False)
    assert type(around(Thing())) is Thing
    by_reference, by_value = packing.pack_task(Thing())
    assert type(packing.load_task(by_reference, by_value)) is Thing
    monkeypatch.delattr(sys.modules["__main__"], "Thing")
    again = packing.load_task(by_reference, by_value)
    assert type(again) is not Thing
    packing.adopt_main_classes()
    adopted = vars(sys.modules["__main__"]).pop("Thing")
    assert adopted in (Thing, type(again))


def test_modules_that_a_task_of_the_script_uses_go_by_name_only():
    module = ModuleType("voxflow_test_helper")
    module.lock, module.value = (i for i in ()), 5  # dill would look inside
    namespace = {"__name__": "__main__", "helper": module}
    exec("def f(x): return x + helper.value", namespace)
    sys.modules[module.__name__] = module
    try:
        _, by_value = packing.pack_task(namespace["f"])
        assert packing.load_task(None, by_value)(1) == 6
    finally:
        del sys.modules[module.__name__]


def test_plain_tasks_are_pickled_plainly():
    by_reference, by_value = packing.pack_task((3, "a"))
    assert pickle.loads(by_reference) == (3, "a")
    assert by_value is None


class Link:
    """One node of a chain."""

    def __init__(self, upstream):
        self.upstream = upstream


def test_long_chains_are_no_trouble():
    chain, limit = None, sys.getrecursionlimit()
    for _ in range(300):
        chain = Link(chain)
    found = around(chain, packing.pack_by_value)
    length = 0
    while found is not None:
        found, length = found.upstream, length + 1
    assert length == 300
    assert sys.getrecursionlimit() == limit


def test_the_limit_is_what_it_was_after_threads_that_overlap():
    limit = sys.getrecursionlimit()
    one, other = packing._deep(), packing._deep()
    one.__enter__()
    other.__enter__()
    one.__exit__(None, None, None)
    assert sys.getrecursionlimit() == packing._DEEP, "the other one still needs it"
    other.__exit__(None, None, None)
    assert sys.getrecursionlimit() == limit


class Held:
    """Something that only this file knows."""

    def __init__(self, *arrays):
        self.arrays = arrays


def test_several_arrays_of_no_voxels_come_back():
    arrays = np.zeros((0, 2)), np.zeros((3, 0), np.uint8), np.zeros(0, "M8[s]")
    task = packing.pack_task(Held(*arrays))
    for held in (
        around(Held(*arrays), packing.pack_by_value),
        packing.load_task(None, task[1]) if task[1] else packing.load_task(*task),
    ):
        for found, array in zip(held.arrays, arrays, strict=True):
            assert (found.shape, found.dtype) == (array.shape, array.dtype)


@pytest.mark.parametrize("kind", [threading.Lock, threading.RLock, threading.Condition])
@pytest.mark.parametrize("held", [False, True])
def test_nobody_holds_a_lock_where_it_arrives(kind, held):
    lock = kind()
    with lock if held else contextlib.nullcontext():
        stream = packing.pack_by_value({"lock": lock, "same": lock}).stream
    found = dill.loads(stream)
    assert found["lock"] is found["same"]
    # Also for a thread that did not unpickle it.
    with ThreadPoolExecutor(1) as other:
        assert other.submit(found["lock"].acquire, timeout=5).result()
        other.submit(found["lock"].release).result()
