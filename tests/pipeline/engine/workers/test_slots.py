"""Slots: places, use and reuse, without processes."""

import gc
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxflow.pipeline.engine.workers import slots
from voxflow.pipeline.engine.workers.packing import pack_result


@given(st.lists(st.integers(1, 10**6), max_size=10))
def test_places_are_aligned_and_apart(sizes):
    parts, total = slots.arrange(sizes)
    assert [size for _, size in parts] == sizes
    ends = [0, *(start + size for start, size in parts)]
    for (start, _), end in zip(parts, ends, strict=False):
        assert start % slots.ALIGN == 0
        assert start >= end
    assert total >= ends[-1]


def pair():
    writer = slots.SlotWriter()
    freed = []
    reader = slots.SlotReader(lambda _, slot: freed.append(slot))
    return writer, reader, freed


def hand_over(writer, reader, value, **kwargs):
    placed, fds = writer.place(pack_result(value))
    reader.learn(placed, [os.dup(fd) for fd in fds])
    for fd in fds:
        os.close(fd)
    return placed, reader.open(placed, **kwargs)


def test_a_slot_is_free_when_the_last_array_has_died():
    writer, reader, freed = pair()
    _, got = hand_over(writer, reader, [np.zeros(10**5), np.ones(10**5)])
    view = got[1][5:][::2].reshape(-1)
    assert reader.leased == 1
    del got
    gc.collect()
    assert freed == []
    assert view.all()
    del view
    assert freed == [0]
    assert reader.leased == 0


def test_a_free_slot_is_taken_again_and_a_small_one_makes_room():
    writer, reader, freed = pair()
    first, got = hand_over(writer, reader, np.full(10**5, 1))
    second, other = hand_over(writer, reader, np.full(10**5, 2))
    assert (first.slot, second.slot) == (0, 1)
    del got
    writer.free(freed.pop())
    reader.idle += 1
    third, got = hand_over(writer, reader, np.full(10**5, 3))
    assert (third.slot, third.capacity) == (0, 0)
    assert other.min() == other.max() == 2
    del got
    writer.free(freed.pop())
    reader.idle += 1
    fourth, got = hand_over(writer, reader, np.full(10**7, 4))
    assert (fourth.slot, fourth.dropped) == (2, (0,))
    assert got.min() == got.max() == 4
    assert reader.idle == 0


def test_a_copy_frees_the_slot_at_once():
    writer, reader, freed = pair()
    _, got = hand_over(writer, reader, np.arange(10**5), copy=True)
    assert freed == [0]
    assert got.ctypes.data % slots.ALIGN == 0
    assert got.flags.writeable
    np.testing.assert_array_equal(got, np.arange(10**5))


def test_a_failed_write_loses_no_slot():
    writer, reader, freed = pair()
    _, got = hand_over(writer, reader, np.zeros(10**5))
    del got
    writer.free(freed.pop())
    packed = pack_result(np.zeros(10**5))
    packed.writers = [lambda view: 1 / 0]
    with pytest.raises(ZeroDivisionError):
        writer.place(packed)
    placed, _ = hand_over(writer, reader, np.zeros(10**5))
    assert placed.slot == 0


def test_what_a_failed_write_made_room_for_is_told_with_the_next_result():
    writer, reader, freed = pair()
    _, got = hand_over(writer, reader, np.zeros(10**5))
    del got
    writer.free(freed.pop())
    reader.idle += 1
    packed = pack_result(np.zeros(10**7))
    packed.writers = [lambda view: 1 / 0]
    with pytest.raises(ZeroDivisionError):
        writer.place(packed)
    placed, _ = hand_over(writer, reader, np.zeros(10**5))
    assert placed.dropped == (0,)
    assert reader.idle == 0


def test_slots_of_a_burst_are_given_up_later():
    writer, reader, freed = pair()

    def give_back():
        while freed:
            writer.free(freed.pop())
            reader.idle += 1

    kept = [hand_over(writer, reader, np.full(10**5, i))[1] for i in range(20)]
    del kept
    give_back()
    assert reader.idle == 20
    held, dropped = [], 0
    for i in range(2 * slots._TRIM_EVERY):
        placed, got = hand_over(writer, reader, np.full(10**5, i))
        dropped += len(placed.dropped)
        held.append(got)
        assert [int(array[0]) for array in held] == list(range(i + 1))[-len(held) :]
        del got
        held = held[-4:]
        give_back()
    assert dropped == 15  # five are in use at once
    assert reader.idle + reader.leased == 5


def test_memory_without_memfd_has_no_name_either(monkeypatch, tmp_path):
    monkeypatch.delattr(os, "memfd_create", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    writer, reader, _ = pair()
    _, got = hand_over(writer, reader, np.arange(10**6))
    assert list(tmp_path.iterdir()) == []
    np.testing.assert_array_equal(got, np.arange(10**6))


@pytest.mark.parametrize("broken", ["no more files", "cannot be mapped"])
def test_without_memory_to_share_results_travel_in_the_message(monkeypatch, broken):
    def refuse(*_):
        raise OSError(24, "too many open files")

    writer, reader, freed = pair()
    if broken == "no more files":
        monkeypatch.setattr(slots, "anonymous_memory", refuse)
    else:
        monkeypatch.setattr(slots.mmap, "mmap", refuse)
    open_before = len(os.listdir("/proc/self/fd"))
    value = {"a": np.arange(10**5), "b": np.ones((300, 400), np.float32)[:, ::2]}
    placed, got = hand_over(writer, reader, value)
    assert placed.slot is None
    for name, array in value.items():
        np.testing.assert_array_equal(got[name], array)
        got[name][:] = 0  # it may be written to
    assert len(os.listdir("/proc/self/fd")) == open_before
    assert (reader.leased, freed) == (0, [])
    monkeypatch.undo()
    placed, _ = hand_over(writer, reader, value)
    assert placed.slot is not None


def test_more_memory_than_there_is(monkeypatch):
    writer, _, _ = pair()
    monkeypatch.setattr(slots, "free_memory", lambda: 10**5)
    with pytest.raises(MemoryError, match=r"takes 8 MB .* 0 MB are free.*cache_size"):
        writer.place(pack_result(np.zeros(10**6)))
    monkeypatch.undo()
    assert writer.place(pack_result(np.zeros(10**6)))[0].slot == 0


def test_the_slot_of_an_array_is_found_and_says_when_it_goes():
    writer, reader, _ = pair()
    _, (one, two) = hand_over(writer, reader, [np.zeros((10, 10**4)), np.ones(10**5, "u1")])
    memory = slots.slot_of(one)
    assert memory is slots.slot_of(two[5:][::-2].reshape(2, -1)[0])
    assert memory.address <= one.ctypes.data < memory.address + len(memory)
    assert slots.slot_of(one.copy()) is None
    _, copied = hand_over(writer, reader, np.zeros(10**5), copy=True)
    assert slots.slot_of(copied) is None
    heard, address = [], memory.address
    memory.before_unmapping(lambda: 1 / 0)  # nobody else suffers
    memory.before_unmapping(lambda: heard.append(address))
    del memory, one, reader
    gc.collect()
    assert heard == []
    assert two.all()
    del two
    gc.collect()
    assert heard == [address]
