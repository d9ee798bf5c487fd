"""Memory that is in one place for this process and its workers."""

import mmap
import os
import pickle

import numpy as np
import pytest

from voxflow.pipeline.engine.workers import NotPicklable, WorkerPool
from voxflow.pipeline.engine.workers.shared import SharedMemory, is_shipping, receiving, shipping


def numbers(memory):
    return np.frombuffer(mmap.mmap(memory.fd, memory.nbytes), np.int64)


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_workers_write_where_this_process_reads(clean_house, method):
    memories = [SharedMemory(4096) for _ in range(40)]

    def serve(i):
        numbers(memories[i])[i] = 1000 + i
        return len({os.fstat(m.fd).st_ino for m in memories})

    with WorkerPool(serve, 2, ahead=4, name="shared", method=method) as pool:
        for i in range(40):
            pool.submit(i)
        assert {pool.result() for _ in range(40)} == {40}
    assert [int(numbers(memory)[i]) for i, memory in enumerate(memories)] == list(range(1000, 1040))


def test_the_same_memory_is_sent_once():
    memory = SharedMemory(4096)
    with shipping() as sent:
        assert is_shipping()
        there = pickle.dumps([memory, memory])
    assert sent == [memory.fd]
    assert not is_shipping()
    with receiving([os.dup(memory.fd)]):
        one, other = pickle.loads(there)
    numbers(memory)[3] = 7
    assert numbers(one)[3] == numbers(other)[3] == 7


def test_it_goes_nowhere_else():
    with pytest.raises(TypeError, match="only travels to workers"):
        pickle.dumps(SharedMemory(10))
    with WorkerPool(lambda _: None, 1, ahead=1, name="shared") as pool:
        with pytest.raises(NotPicklable, match="only travels to workers"):
            pool.submit(SharedMemory(10))


def test_it_grows_for_all():
    memory = SharedMemory(100)
    with receiving([os.dup(memory.fd)]), shipping():
        other = pickle.loads(pickle.dumps(memory))
    memory.grow(10_000)
    memory.grow(50)
    assert memory.nbytes == other.nbytes == 10_000


def test_descriptors_are_closed(clean_house):
    memory = SharedMemory(100)
    fd = memory.fd
    del memory
    with pytest.raises(OSError, match="descriptor"):
        os.fstat(fd)
