"""Fragments of the blocks of a volume, joined part by part."""

import numpy as np
import pytest

from voxflow.segmentation import MutexWatershed, Watershed
from voxflow.segmentation.region_graph import RegionGraph
from voxflow.segmentation.volume_graph import Graphs


def graph(fragments, outside, ends, weights, places):
    """Of a block whose fragments have two voxels each."""
    count = np.ones(len(weights), np.int64)
    return RegionGraph(
        np.uint64(fragments),
        np.full(len(fragments), 2),
        np.uint64(outside),
        np.int32(ends).reshape(-1, 2),
        np.float32(weights),
        np.uint64(places),
        count,
        count,
    )


def joined(blocks, method=None):
    """The segments of blocks of four voxels in a row: names and sizes; and those of fragments."""
    volume = 4 * len(blocks)
    graphs = Graphs((4,), (volume,), lambda at, name: getattr(blocks[at[0]], name))
    found = (method or MutexWatershed()).join(graphs)
    sizes = {
        int(name): int(size)
        for names, sizes in found.segments
        for name, size in zip(names, sizes, strict=True)
    }
    return sizes, {at: names.tolist() for (at,), names in found.blocks}


def test_what_is_joined_and_how_large_it_is():
    # 1-3 | 5-7 | 9-11: 1 and 3 are kept apart, more than 3 is joined with 5, and 5 with 1.
    blocks = [
        graph([1, 3], [5], [[0, 1], [1, 2], [0, 2]], [-0.4, 0.3, 0.2], [0, 1, 2]),
        graph(
            [5, 7], [1, 3, 9],
            [[3, 0], [0, 1], [2, 0], [1, 4]], [0.3, 0.25, 0.2, 0.1], [1, 3, 2, 4],
        ),
        graph([9, 11], [7], [[0, 1], [2, 0]], [-0.2, 0.1], [5, 4]),
    ]  # fmt: skip
    sizes, names = joined(blocks)
    assert sizes == {1: 2, 3: 8, 11: 2}
    assert names == {0: [1, 3], 1: [3, 3], 2: [3, 11]}


def test_blocks_without_fragments():
    empty = graph([], [], [], [], [])
    assert joined([empty]) == ({}, {0: []})
    alone = graph([5], [], [], [], [])
    assert joined([empty, alone, empty]) == ({5: 2}, {0: [], 1: [5], 2: []})


def test_an_edge_that_only_one_block_has_is_said():
    there = graph([1], [5], [[0, 1]], [0.5], [7])
    lost = graph([5], [], [], [], [])
    with pytest.raises(ValueError, match="do not fit together"):
        joined([there, lost])
    with pytest.raises(ValueError, match="do not fit together"):
        joined([graph([1], [3], [[0, 1]], [0.5], [7])])
    there = graph([5], [1], [[1, 0]], [0.5], [7])
    assert joined([graph([1], [5], [[0, 1]], [0.5], [7]), there])[0] == {1: 4}
    with pytest.raises(ValueError, match="has no voxels in any block"):
        joined([lost, graph([], [], [], [], [])._replace(outside=np.uint64([9]))], Watershed())
