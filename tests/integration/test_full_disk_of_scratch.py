"""What a scan and a join keep for themselves is not lost on a disk without room, however small."""

import os

import numpy as np
import pytest

from voxflow.nodes.scanning.record import Record
from voxflow.segmentation.scratch import Scratch
from voxflow.segmentation.spill import Stack
from voxflow.stores import DiskFull

PAGE = 4096


@pytest.fixture
def full(small_disk):
    """Fill the disk; give what makes room."""
    ballast = small_disk / "ballast"

    def fill():
        ballast.write_bytes(bytes(os.statvfs(small_disk).f_bavail * PAGE))
        return ballast.unlink

    return fill


@pytest.mark.parametrize("count", [3, 300, 3000])
def test_a_record_is_kept_until_there_is_room_to_put_its_parts_into_one(small_disk, full, count):
    folder = small_disk / "record"
    for numbers in (range(count), range(count, 2 * count)):
        record = Record(folder, 3 * count)
        for number in numbers:
            record.mark_done(number)
        record.close()
    make_room = full()
    record = Record(folder, 3 * count)
    with pytest.raises(DiskFull, match="record cannot be written: the disk is full"):
        record.compact()
    assert Record(folder, 3 * count).count == 2 * count
    make_room()
    record.compact()
    assert Record(folder, 3 * count).count == 2 * count
    assert len(list(folder.glob("done-*.log"))) == 1


@pytest.mark.parametrize("size", [400, 10**6])
def test_an_array_that_is_put_aside_finds_no_room(small_disk, full, size):
    stack, small = Stack(small_disk), np.arange(10)
    stack.push(small)
    full()
    with pytest.raises(DiskFull, match="disk cannot be written: the disk is full"):
        for _ in range(20):
            stack.push(np.arange(size))


@pytest.mark.parametrize("size", [400, 10**6])
def test_arrays_that_are_collected_find_no_room(small_disk, full, size):
    full()
    with pytest.raises(DiskFull, match="disk cannot be written: the disk is full"):
        Scratch(small_disk).collected([np.arange(size)], np.int64)
