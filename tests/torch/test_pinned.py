"""Memory is pinned once for each slot, for as long as it is there; what cannot be is copied."""

import gc
import logging
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from voxflow.pipeline.engine.workers import WorkerPool
from voxflow.pipeline.engine.workers.packing import pack_result
from voxflow.pipeline.engine.workers.slots import SlotReader, SlotWriter
from voxflow.torch.pinned import RegisteredSlots, Sender, sendable, upload

MIB = 1 << 20


class FakeCudart:
    """What CUDA would be told."""

    def __init__(self, code=0, error=None):
        self.code, self.error, self.said = code, error, []

    def cudaHostRegister(self, address, nbytes, flags):
        self.said.append(("register", address, nbytes))
        if self.error is not None:
            raise self.error
        return self.code

    def cudaHostUnregister(self, address):
        # The memory has to be there still.
        maps = Path("/proc/self/maps").read_text().splitlines()
        there = any(line.startswith(f"{address:x}-") for line in maps)
        self.said.append(("unregister", address, there))
        return 0


class Slots:
    """A worker's slots and its parent's, in one process."""

    def __init__(self):
        self.writer = SlotWriter()
        self.reader = SlotReader(lambda reader, slot: self.free(slot))

    def free(self, slot):
        self.writer.free(slot)
        self.reader.idle += 1

    def hand_over(self, value):
        placed, fds = self.writer.place(pack_result(value))
        self.reader.learn(placed, [os.dup(fd) for fd in fds])
        for fd in fds:
            os.close(fd)
        return self.reader.open(placed)


def test_a_slot_is_pinned_once_and_until_it_is_unmapped():
    cudart, slots = FakeCudart(), Slots()
    registered = RegisteredSlots(cudart)
    for round_ in range(3):
        one, two = slots.hand_over([np.full(10**5, round_), np.ones((7, 10**4), "u1")])
        assert registered.hold(one)
        assert registered.hold(two[1:, ::2])
        del one, two
        gc.collect()
    ((_, address, nbytes),) = cudart.said
    assert nbytes == MIB
    assert address % os.sysconf("SC_PAGE_SIZE") == 0
    larger = slots.hand_over(np.zeros(10**6))  # the first slot is too small, and given up
    assert registered.hold(larger)
    assert [said[0] for said in cudart.said] == ["register", "unregister", "register"]
    assert cudart.said[1] == ("unregister", address, True)


def test_arrays_that_outlive_their_pool_stay_pinned():
    cudart, slots = FakeCudart(), Slots()
    registered, array = RegisteredSlots(cudart), slots.hand_over(np.arange(10**5))
    assert registered.hold(array)
    del slots
    gc.collect()
    assert [said[0] for said in cudart.said] == ["register"]
    assert array[-1] == 10**5 - 1
    del array
    gc.collect()
    assert [said[0] for said in cudart.said] == ["register", "unregister"]


def test_arrays_of_this_process_lie_in_no_slot():
    cudart = FakeCudart()
    assert not RegisteredSlots(cudart).hold(np.zeros(10**5))
    assert not RegisteredSlots(cudart).hold(np.frombuffer(bytearray(80), np.float64))
    assert cudart.said == []


@pytest.mark.parametrize("cudart", [FakeCudart(code=2), FakeCudart(error=RuntimeError("no more"))])
def test_what_cannot_be_pinned_is_said_once_and_copied(cudart, caplog):
    slots, failures = Slots(), []
    registered = RegisteredSlots(cudart, lambda: failures.append(1))
    arrays = [slots.hand_over(np.full(10**5, n)) for n in range(3)]
    with caplog.at_level(logging.WARNING):
        for n, array in enumerate(arrays):
            tensor, itself = sendable(array, registered, pin=False)
            assert not itself
            assert tensor.min() == tensor.max() == n
            assert tensor.data_ptr() != array.ctypes.data
    (record,) = caplog.records
    assert "ulimit -l" in record.message
    assert "CUDA error 2" in record.message or "no more" in record.message
    assert failures == [1]
    assert [said[0] for said in cudart.said] == ["register"]
    del arrays, array
    gc.collect()
    assert [said[0] for said in cudart.said] == ["register"]  # nothing to undo


@pytest.mark.parametrize("dtype", ["u1", "i4", "f2", "f4", "i8", "?"])
def test_what_is_sent(dtype):
    slots, registered = Slots(), RegisteredSlots(FakeCudart())
    data = (np.random.default_rng(0).random((40, 50, 60)) * 100).astype(dtype)
    array = slots.hand_over(data)
    tensor, itself = sendable(array, registered, pin=False)
    assert itself
    assert tensor.data_ptr() == array.ctypes.data
    fixed = array.view()
    fixed.flags.writeable = False
    record = np.zeros((4, 5), [("flag", "u1"), ("voxel", dtype)])["voxel"]
    views = array[::-1], array[:, ::2], array.T, array[..., 5], fixed, data, data[::-1], record
    for view in views:
        tensor, itself = sendable(view, registered, pin=False)
        assert not itself
        assert tensor.is_contiguous()
        np.testing.assert_array_equal(tensor.numpy(), view)


class Event:
    """Done when it is told."""

    done = False

    def query(self):
        return self.done


def test_slots_go_back_when_the_device_has_read_them():
    slots, events, cpu = Slots(), [], torch.device("cpu")

    def record(device):
        assert device == cpu
        events.append(Event())
        return events[-1]

    sender = Sender(RegisteredSlots(FakeCudart()), record, pin=False)
    sent = [sender.send(slots.hand_over(np.full(10**5, n)), cpu) for n in range(2)]
    assert [tensor[0].item() for tensor in sent] == [0, 1]
    assert sender.send(np.zeros(3), cpu).tolist() == [0, 0, 0]
    del sent
    gc.collect()
    assert (len(events), len(sender.in_flight), slots.reader.leased) == (2, 2, 2)
    events[0].done = True
    sender.in_flight.release()
    gc.collect()
    assert (len(sender.in_flight), slots.reader.leased, slots.reader.idle) == (1, 1, 1)
    events[1].done = True
    sender.send(slots.hand_over(np.full(10**5, 2)), cpu)  # the next lets go of what was read
    gc.collect()
    assert (len(sender.in_flight), slots.reader.leased) == (1, 1)


def test_arrays_of_workers_are_known_as_such():
    registered = RegisteredSlots(cudart := FakeCudart())
    with WorkerPool(lambda n: np.full(10**5, n), 1, ahead=2, name="test") as pool:
        for n in range(6):
            pool.submit(n)
            array = pool.result()
            assert registered.hold(array)
            assert array[0] == n
            del array
    assert len({said[1] for said in cudart.said}) <= 4


def test_the_cpu_shares_memory():
    data = np.zeros((3, 4))
    upload(data, torch.device("cpu"))[0, 0] = 1
    assert data[0, 0] == 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_cuda_reads_slots():
    slots, device = Slots(), torch.device("cuda")
    for n in range(20):
        data = np.full((100, 10**4), n, np.float32)
        for array in (slots.hand_over(data), data, data[:, ::-3]):
            assert bool((upload(array, device) == n).all())
