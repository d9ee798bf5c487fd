"""Every test with a pool must leave the house as it was."""

import gc
import os
import time
from pathlib import Path

import psutil
import pytest

SHM = Path("/dev/shm")


def descendants():
    return {p.pid for p in psutil.Process().children(recursive=True)}


def shm_names():
    return set(os.listdir(SHM)) if SHM.is_dir() else set()


def open_fds():
    fds = Path("/proc/self/fd")
    return len(os.listdir(fds)) if fds.is_dir() else 0


def eventually(condition, seconds=30.0):  # which a busy machine may need
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture
def clean_house():
    """Fail unless processes, shared memory names and descriptors are the same afterwards."""
    processes, names, fds = descendants(), shm_names(), open_fds()

    def closed():
        if open_fds() > fds:
            gc.collect()  # again: a pool whose thread took longer than the test has let go of it
        return open_fds() <= fds

    yield
    gc.collect()
    assert eventually(lambda: descendants() <= processes), "a process was left"
    assert eventually(lambda: shm_names() <= names), "a shared memory segment was left"
    assert eventually(closed), "a descriptor was left"
