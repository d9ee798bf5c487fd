"""Arrays in files, and what is joined with them."""

import errno
import gc
import os
import tracemalloc

import numpy as np
import pytest

from tests.segmentation.volumes import NEIGHBORHOODS, blocks_of, noise
from voxflow.segmentation import MutexWatershed, Watershed, part, scratch, segment, volume_graph
from voxflow.segmentation.scratch import Scratch
from voxflow.segmentation.segment_numbers import SegmentNumbers
from voxflow.segmentation.spill import Stack
from voxflow.segmentation.volume_graph import Graphs
from voxflow.stores import DiskFull


def is_in_a_file(values):
    while isinstance(values, np.ndarray):
        values = values.base
    return values is not None


def test_what_is_large_is_in_a_file_that_goes_with_the_array(tmp_path):
    made = Scratch(tmp_path)
    large, small = made.full((300, 300), np.int32, 7), made.full(10, bool, True)
    assert large.shape == (300, 300)
    assert (large == 7).all()
    assert small.all()
    assert [is_in_a_file(large), is_in_a_file(small)] == [True, False]
    assert not list(tmp_path.iterdir()), "files have no names"
    gc.collect()  # whatever others have left open
    files = len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0
    del large
    gc.collect()
    assert not files or len(os.listdir("/proc/self/fd")) == files - 1


def test_a_full_disk_is_said(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(DiskFull, match="the disk is full"):
        Scratch(tmp_path).empty(10**6, np.int64)


def test_a_stack_that_is_cut_off_is_said():
    stack = Stack()
    stack.push(np.arange(100))
    stack._file.truncate(300)
    with pytest.raises(OSError, match="put aside, in .* is cut off"):
        stack.pop(1)


def test_where_room_cannot_be_reserved_files_are_as_large(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "posix_fallocate", raising=False)
    values = Scratch(tmp_path).full(10**5, np.int64, 3)
    assert values.sum() == 3 * 10**5


def test_what_comes_back_from_a_stack_is_in_a_file(tmp_path):
    stack, large = Stack(tmp_path), np.arange(10**5).reshape(-1, 2)
    stack.push(large, np.empty((0, 2)))
    found, none = stack.pop(2)
    assert (found == large).all()
    assert none.shape == (0, 2)
    assert is_in_a_file(found)


def test_arrays_of_any_layout_come_back_from_a_stack(tmp_path):
    stack, values = Stack(tmp_path), np.arange(6).reshape(2, 3)
    stack.push(np.asfortranarray(values), values.T)
    np.testing.assert_array_equal(stack.pop(1)[0], values.T)
    np.testing.assert_array_equal(stack.pop(1)[0], values)


def test_more_clusters_than_can_be_numbered_are_refused(monkeypatch):
    monkeypatch.setattr(part, "_MOST", 3)
    one, two = (
        part.Part(
            np.uint64(ids), np.ones(2, np.int64), np.empty(0, np.uint64),
            np.empty((0, 2), np.int32), np.empty(0, np.float32), np.empty(0, np.uint64),
        )
        for ids in ([1, 2], [3, 4])
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"more than 2\^31 clusters"):
        part.merged(one, two, lambda ids: np.zeros(len(ids), bool))


def graphs_of(shape, size, method, folder):
    """Graphs of a volume of noise, each voxel a fragment."""
    affinities = noise(np.random.default_rng(0), shape, NEIGHBORHOODS[3])
    voxels = 1 + np.arange(affinities[0].size, dtype=np.uint64).reshape(shape)
    blocks = blocks_of(affinities, NEIGHBORHOODS[3], (size,) * 3, method)
    graphs = [method.graph(block, voxels[region]) for block, region, _ in blocks]
    counts = tuple(-(-n // size) for n in shape)
    return Graphs(
        (size,) * 3,
        shape,
        lambda at, name: getattr(graphs[np.ravel_multi_index(at, counts)], name),
        folder,
    ), affinities


@pytest.mark.parametrize("method", [MutexWatershed(), Watershed(threshold=0.6)])
def test_a_join_takes_no_more_memory_for_a_larger_volume(method, tmp_path, monkeypatch):
    monkeypatch.setattr(scratch, "_SMALL", 1 << 10)
    monkeypatch.setattr(volume_graph, "_RUN", 1 << 10)
    peaks = []
    for shape in [(24, 24, 24), (24, 24, 24), (48, 48, 48)]:
        # Of three blocks along each axis, one has others on all sides.
        graphs, _ = graphs_of(shape, 8, method, tmp_path)
        tracemalloc.start()
        found = method.join(graphs)
        numbers, count = SegmentNumbers(found.segments, 0, tmp_path), 0
        for _, names in found.blocks:
            count += len(numbers(names))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert count == np.prod(shape)
    # Of eight times the fragments. What is left is of blocks, and Python's, which is twice as much;
    # with all arrays in memory it is 6 times as much.
    assert peaks[2] < 3 * peaks[1]


def test_arrays_in_files_change_nothing(tmp_path, monkeypatch):
    graphs, affinities = graphs_of((14, 17, 15), 6, MutexWatershed(), tmp_path)
    monkeypatch.setattr(scratch, "_SMALL", 1)
    found = MutexWatershed().join(graphs)
    names = np.sort(np.concatenate([names for names, _ in found.segments]))
    out = np.empty(affinities.shape[1:], np.uint64)
    for at, segments in found.blocks:
        place = tuple(slice(6 * i, 6 * i + 6) for i in at)
        out[place] = (np.searchsorted(names, segments) + 1).reshape(out[place].shape)
    whole = segment(affinities, MutexWatershed(), neighborhood=NEIGHBORHOODS[3])
    assert (out == whole).all()
