import os
import subprocess
import sys

import numpy as np
import pytest

from voxflow.stores import set_cache_size
from voxflow.stores.cache import Arena, default_arena
from voxflow.stores.cache.arena import PAGE
from voxflow.testing.stores import run_forked


def test_ranges_are_apart_and_empty():
    arena = Arena(0)
    begins = [arena.allocate(n) for n in (1, PAGE, PAGE + 1, 5)]
    assert np.diff(begins).tolist() == [PAGE, PAGE, 2 * PAGE]
    ranges = [arena.map(begin, 5) for begin in begins]
    for number, part in enumerate(ranges, 1):
        assert not part.bytes.any()
        part.bytes[:] = number
    assert [int(part.bytes[0]) for part in ranges] == [1, 2, 3, 4]


def test_a_range_is_filled_from_some_byte_on():
    arena = Arena(0)
    begins = [arena.allocate(2 * PAGE) for _ in range(2)]
    first, second = (arena.map(begin, 2 * PAGE) for begin in begins)
    data = np.arange(PAGE // 4, dtype=np.uint32).reshape(-1, 8)
    second.fill(PAGE - 4, data)
    assert not first.bytes.any()
    got = second.bytes[PAGE - 4 : PAGE - 4 + data.nbytes].view(np.uint32)
    np.testing.assert_array_equal(got, data.ravel())
    assert not second.bytes[: PAGE - 4].any()


def test_far_ranges_cost_nothing():
    arena = Arena(0)
    begin = arena.allocate(1 << 40)
    part = arena.map(begin, 1 << 40)
    part.bytes[1 << 39] = 7
    assert os.fstat(arena._memory.fd).st_blocks * 512 < 10 * PAGE
    part.release(1 << 39, PAGE)
    assert part.bytes[1 << 39] == 0


def test_bytes_are_counted():
    arena = Arena(100)
    arena.account(70)
    arena.account(-20)
    assert arena.used == 50
    arena.account(-80)
    assert arena.used == 0


def test_locks_hold_off_other_processes():
    arena = Arena(0)
    place = arena.allocate(10)

    def can_lock():
        return arena.try_lock(place)

    assert run_forked(can_lock)
    with arena.locked(place):
        assert not run_forked(can_lock)
        assert run_forked(lambda: arena.try_lock(place + 1))
    assert run_forked(can_lock)
    arena.lock(place, 5, shared=True)
    assert not run_forked(lambda: arena.try_lock(place + 4))
    arena.unlock(place, 5)
    assert run_forked(lambda: arena.try_lock(place + 4))


def handles():
    """How many files this process has open (Linux)."""
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(sys.platform != "linux", reason="counts the open files that Linux lists")
def test_what_nobody_has_is_closed_but_not_while_a_lock_is_held():
    arena = Arena(0)
    place, before = arena.allocate(PAGE), handles()
    with arena.locked(place):
        for _ in range(20):
            arena.map(arena.allocate(PAGE), PAGE)
        assert handles() == before + 20
        assert not run_forked(lambda: arena.try_lock(place))
    assert handles() == before


@pytest.mark.skipif(sys.platform != "linux", reason="counts the open files that Linux lists")
def test_what_is_looked_at_stays_open():
    arena = Arena(0)
    place, before = arena.allocate(PAGE), handles()
    seen = arena.map(place, PAGE).bytes
    assert arena.try_lock(place)
    arena.unlock(place)
    seen[:] = 3
    assert (seen == 3).all()
    assert handles() == before + 1
    del seen
    arena.account(0)
    assert handles() == before


def test_members_that_have_nothing_are_asked_no_further():
    class Poor:
        asked = 0

        def evict(self):
            self.asked += 1
            return 0

    arena, member = Arena(0), Poor()
    arena.join(member)
    arena.account(100)
    arena.keep_to_budget()
    assert member.asked == 2
    assert arena.used == 100


@pytest.mark.parametrize("nbytes", [-1, -(2**40)])
def test_no_negative_sizes(nbytes):
    with pytest.raises(ValueError, match="cannot have"):
        Arena(nbytes)
    with pytest.raises(ValueError, match="cannot have"):
        set_cache_size(nbytes)


def test_the_size_can_be_set():
    before = default_arena().budget
    assert 0 < before <= 4 << 30
    try:
        set_cache_size(12345)
        assert default_arena().budget == 12345
    finally:
        set_cache_size(before)


def test_the_environment_says_the_size():
    code = "from voxflow.stores.cache import default_arena; print(default_arena().budget)"

    def run(value):
        environment = {**os.environ, "VOXFLOW_CACHE_BYTES": value}
        return subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True
        )

    assert run("4096").stdout == "4096\n"
    assert "VOXFLOW_CACHE_BYTES has to be a number of bytes, got '4 GiB'" in run("4 GiB").stderr


def test_processes_that_do_the_same_share_the_budget_and_not_what_each_needs():
    arena = Arena(1000)
    with arena.limited(300):
        assert [arena.share(count) for count in (1, 2, 3, 4)] == [300, 300, 300, 250]
