"""Fragments by a seeded watershed, and their agglomeration."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.segmentation.test_methods import blockwise
from tests.segmentation.volumes import NEIGHBORHOODS, cells, same_partition
from voxflow.segmentation import Watershed, agglomerate, seeded_watershed, segment


def by_definition(nodes, ends, totals, counts, threshold):
    """Join the two clusters of the highest mean, again and again."""
    cluster = list(range(nodes))
    while True:
        sums = {}
        for (a, b), total, count in zip(ends, totals, counts, strict=True):
            pair = tuple(sorted((cluster[a], cluster[b])))
            if pair[0] != pair[1]:
                old = sums.get(pair, (0, 0))
                sums[pair] = (old[0] + total, old[1] + count)
        if not sums:
            return cluster
        (a, b), (total, count) = max(sums.items(), key=lambda item: item[1][0] / item[1][1])
        if total / count <= threshold:
            return cluster
        cluster = [a if c == b else c for c in cluster]


def roots(parent):
    out = []
    for node in range(len(parent)):
        while parent[node] != node:
            node = parent[node]
        out.append(node)
    return np.array(out)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 14), st.integers(0, 40), st.integers(0, 2**32))
def test_agglomeration_joins_the_highest_mean_first(nodes, edges, seed):
    rng = np.random.default_rng(seed)
    ends = np.unique(np.sort(rng.integers(nodes, size=(edges, 2)), axis=1), axis=0)
    ends = ends[ends[:, 0] != ends[:, 1]]
    counts = rng.integers(1, 50, len(ends))
    totals = np.array([int(rng.integers(1, 2**40)) for _ in ends], np.int64) * counts
    threshold = 2.0**39
    found = roots(agglomerate(nodes, ends, totals, counts, threshold))
    wanted = by_definition(nodes, ends.tolist(), totals.tolist(), counts.tolist(), threshold)
    assert same_partition(found, np.array(wanted))


def test_agglomeration_of_a_large_graph_ends():
    # So many that the table of pairs is made anew, and one cluster takes in all.
    rng = np.random.default_rng(0)
    nodes = 3000
    pairs = np.concatenate([np.sort(rng.integers(nodes, size=(20000, 2)), axis=1)])
    pairs = np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0)
    totals, counts = rng.integers(1, 1000, len(pairs)), np.ones(len(pairs), np.int64)
    found = roots(agglomerate(nodes, pairs, totals, counts, 0))
    assert len(np.unique(found)) == 1
    assert len(np.unique(roots(agglomerate(nodes, pairs, totals, counts, 1000)))) == nodes


CUT = [[-1, 0, 0], [0, -1, 0], [0, 0, -1], [0, -4, 0]]


@pytest.mark.parametrize(
    "method",
    [
        Watershed(tile=8, context=(1, 5, 3), threshold=0.7),
        Watershed(tile=(4, 16, 8), context=4, in_sections=True, foreground=0.2, threshold=0.6),
        Watershed(tile=8, context=0, seed_threshold=0.7, seed_distance=2, threshold=0.9),
    ],
    ids=["3d", "sections", "seeds"],
)
def test_blocks_give_what_the_whole_gives(method):
    _, affinities = cells((18, 30, 27), CUT, dtype=np.float32)
    rng = np.random.default_rng(0)
    mask = rng.random((18, 30, 27)) < 0.97
    whole = segment(affinities, method, neighborhood=CUT, mask=mask, min_size=3)
    assert len(np.unique(whole)) > 3
    for size in [(8, 16, 8), (16, 32, 16), (18, 16, 24)]:
        assert (blockwise(affinities, CUT, size, method, mask, 3) == whole).all()
    if method.in_sections:
        fragments = method.fragments(whole_block_of(affinities, mask))
        where = [set(np.unique(section)) - {0} for section in fragments]
        assert sum(map(len, where)) == len(set().union(*where))


def whole_block_of(affinities, mask):
    from voxflow.segmentation.block import whole_block

    return whole_block(affinities, CUT, mask)


def test_cells_are_found_again():
    labels, affinities = cells((24, 40, 40), NEIGHBORHOODS[3])
    found = segment(affinities, Watershed(threshold=0.7), neighborhood=NEIGHBORHOODS[3])
    pairs, counts = np.unique(np.stack([labels.ravel(), found.ravel()]), axis=1, return_counts=True)
    best = [counts[pairs[0] == cell].max() / (labels == cell).sum() for cell in np.unique(labels)]
    assert np.mean(best) > 0.8
    assert len(np.unique(found)) > 6


def test_seeds_can_be_given_and_voxels_be_anisotropic():
    height = np.float32([[0, 1, 5, 1, 0, 0, 0]])
    seeds = np.array([[4, 0, 0, 0, 0, 9, 0]])
    assert seeded_watershed(height, seeds=seeds).tolist() == [[4, 4, 4, 9, 9, 9, 9]]
    stacked = np.concatenate([height, height])
    both = seeded_watershed(
        stacked, seeds=np.concatenate([seeds, seeds]), in_sections=True, mask=stacked < 5
    )
    assert both.tolist() == [[4, 4, 0, 9, 9, 9, 9]] * 2
    # The lower of two maxima is no seed if it lies too near to the other.
    wide = np.float32([[0.9, 0, 0, 0, 0.6, 0, 0.9]])
    assert len(np.unique(seeded_watershed(wide))) == 2
    assert len(np.unique(seeded_watershed(wide, distance=20, voxel_size=(10, 10)))) == 2
    assert len(np.unique(seeded_watershed(wide, distance=20, voxel_size=(1, 1)))) == 1


def test_bad_sizes_are_refused():
    with pytest.raises(ValueError, match="not made of whole tiles"):
        Watershed(tile=8).check_block((8, 12), (8, 100))
    Watershed(tile=8).check_block((8, 100), (8, 100))
    with pytest.raises(ValueError, match="tile has a size for each of the 2 axes"):
        Watershed(tile=(8, 8, 8)).check_block((8, 8), (8, 8))
    with pytest.raises(ValueError, match="needs affinities of direct neighbours"):
        segment(np.ones((1, 4, 4), np.float32), Watershed(), neighborhood=[[0, 2]])


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.segmentation", None)
    with pytest.raises(ImportError, match=r'pip install "voxflow\[segmentation\]"'):
        seeded_watershed(np.ones((2, 2)))
