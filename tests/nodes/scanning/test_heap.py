"""A scan has malloc keep little of what was freed."""

import platform
import sys

import numpy as np
import pytest

from voxflow.nodes.scanning import heap
from voxflow.nodes.scanning.heap import Ceiling, share_heap
from voxflow.pipeline.engine.memory import Memory, MemoryBound

MIB = 1 << 20
on_glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another malloc")


def bound(mib):
    return MemoryBound(Memory(mib * MIB, "Source"), in_flight=2)


@pytest.fixture
def calls(monkeypatch):
    """What is asked of the C library, which does nothing."""
    found = []
    monkeypatch.setattr(heap, "_glibc", lambda *call: found.append(call))
    return found


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({}, [("mallopt", -8, 1)]),
        ({"GLIBC_TUNABLES": "glibc.malloc.tcache_count=0"}, [("mallopt", -8, 1)]),
        ({"GLIBC_TUNABLES": "glibc.malloc.arena_max=3"}, []),
        ({"MALLOC_ARENA_MAX": "3"}, []),
    ],
)
def test_what_the_environment_says_of_heaps_counts(monkeypatch, calls, environment, told):
    for name in ("GLIBC_TUNABLES", "MALLOC_ARENA_MAX"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    share_heap()
    assert calls == told


def test_it_is_trimmed_when_it_is_too_large(monkeypatch, calls):
    sizes = iter(size * MIB for size in (100, 240, 241, 220, 241, 250, 270, 271, 255))
    monkeypatch.setattr(heap, "_resident", lambda: next(sizes))
    monkeypatch.setattr(heap, "_peak", lambda: 1000 * MIB)
    ceiling = Ceiling(bound(160))  # 320 MiB more than 100, less one block and 20: 240 at a look
    trimmed = []
    for _ in range(5):
        ceiling.look()
        trimmed.append(len(calls))
    # It falls to 220, and then to no less than 250: 270 is the limit from there.
    assert trimmed == [0, 1, 2, 2, 3]


@pytest.mark.skipif(sys.platform != "linux", reason="it is not known")
def test_the_peak_is_no_less_than_what_there_is():
    held = np.ones(64 * MIB, np.uint8)
    assert heap._peak() + MIB >= heap._resident() > held.nbytes


def test_it_is_not_looked_at_before_there_was_as_much(monkeypatch, calls):
    looked = []
    monkeypatch.setattr(heap, "_resident", lambda: looked.append(1) or 100 * MIB)
    ceiling = Ceiling(bound(160))
    for peak in (100, 240, 241):
        monkeypatch.setattr(heap, "_peak", lambda peak=peak: peak * MIB)
        ceiling.look()
    assert len(looked) == 2  # at the begin, and at last
    assert calls == []


def test_it_is_not_looked_at_while_so_few_blocks_cannot_make_it_too_large(monkeypatch, calls):
    monkeypatch.setattr(heap, "_resident", lambda: 100 * MIB)
    ceiling = Ceiling(MemoryBound(Memory(16 * MIB, "Source"), in_flight=8))  # 204 MiB at a look
    looked = []
    for peak in (100, *range(116, 212, 16), 205):
        monkeypatch.setattr(heap, "_peak", lambda peak=peak: looked.append(peak) or peak * MIB)
        ceiling.look()
    assert looked == [100, 205]


@on_glibc
def test_what_is_free_is_given_back():
    ceiling = Ceiling(bound(16))
    # Pieces that lie in a heap, of which the last one keeps it from shrinking; so many that not
    # all of them find room where others were before.
    pieces = [np.ones(100 << 10, np.uint8) for _ in range(4000)]
    most = heap._resident()
    del pieces[:-1]
    ceiling.look()
    assert most - heap._resident() > 350 * MIB


def test_other_systems_are_left_alone(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.delenv("MALLOC_ARENA_MAX", raising=False)
    monkeypatch.setattr("ctypes.CDLL", None)
    share_heap()
    Ceiling(bound(1)).look()
