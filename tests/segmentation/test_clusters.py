"""Clusters that grow together, many of which must not."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.segmentation.volumes import same_partition
from voxflow.pipeline.compiled import kernel
from voxflow.segmentation.clusters import is_full, new_clusters, root_of, take, with_room


@kernel
def cluster(clusters, ends, attractive):
    for edge in range(len(ends)):
        if is_full(clusters):
            clusters = with_room(clusters)
        take(clusters, ends[edge, 0], ends[edge, 1], attractive[edge])
    return clusters


def found(nodes, ends, attractive):
    clusters = new_clusters(np.zeros(nodes, bool), np.count_nonzero(~attractive))
    clusters = cluster(clusters, ends, attractive)
    roots = np.array([root_of(clusters, node) for node in range(nodes)])
    return roots, clusters


def by_definition(nodes, ends, attractive):
    members = [{node} for node in range(nodes)]
    apart = [set() for _ in range(nodes)]
    for (one, two), joins in zip(ends.tolist(), attractive, strict=True):
        if members[one] is members[two]:
            continue
        if not joins:
            apart[one].add(two)
            apart[two].add(one)
        elif not any(apart[node] & members[two] for node in members[one]):
            members[one] |= members[two]
            for node in members[two]:
                members[node] = members[one]
    return np.array([min(which) for which in members]), members, apart


@settings(max_examples=20, deadline=None)
@given(st.floats(0.02, 0.6), st.integers(0, 2**32))
def test_joined_and_kept_apart_as_by_definition(share, seed):
    # More pairs than the table has room for at first; those of two that join become one.
    rng = np.random.default_rng(seed)
    nodes, edges = 150, 4000
    ends = rng.integers(nodes, size=(edges, 2))
    attractive = rng.random(edges) < share * np.linspace(0, 1, edges)
    roots, clusters = found(nodes, ends, attractive)
    wanted, members, apart = by_definition(nodes, ends, attractive)
    assert same_partition(roots, wanted)
    pairs = {
        frozenset((roots[one], roots[two]))
        for one in range(nodes)
        for two in apart[one]
        if members[one] is not members[two]
    }
    kept = clusters.pairs[clusters.pairs > 0]
    table = {frozenset((int(key) >> 32, int(key) & 0xFFFFFFFF)) for key in kept}
    assert table == pairs
    assert clusters.counters[1] == len(kept) == len(table)


def test_an_open_cluster_is_not_joined_with_what_may_be_kept_apart_from_it():
    def joined(*edges):
        outside = np.array([False, False, False, True])
        ends = np.array([edge[:2] for edge in edges])
        clusters = new_clusters(outside, len(edges))
        clusters = cluster(clusters, ends, np.array([edge[2] for edge in edges]))
        return root_of(clusters, 0) == root_of(clusters, 1)

    assert joined((0, 1, True))
    assert joined((0, 3, True), (0, 1, True))
    assert joined((0, 3, True), (1, 2, False), (0, 1, True))
    # Both may hold more; one excludes what is not seen, or what may become part of the other.
    assert not joined((0, 3, True), (1, 3, True), (0, 1, True))
    assert not joined((0, 3, True), (1, 3, False), (0, 1, True))
    assert not joined((0, 3, True), (1, 2, False), (2, 3, True), (0, 1, True))
    assert not joined((0, 3, True), (2, 3, True), (1, 2, False), (0, 1, True))
    for pair in ((1, 2), (2, 1)):  # what is excluded by a part is excluded by the whole
        assert not joined((2, 3, False), (*pair, True), (0, 3, True), (0, 1, True))


def test_as_many_pairs_as_there_are_take_room():
    nodes = 2000
    ends = np.stack([np.zeros(nodes - 1, int), np.arange(1, nodes)], axis=1)
    ends = np.concatenate([ends, ends[::-1]])
    roots, clusters = found(nodes, ends, np.arange(len(ends)) >= nodes - 1)
    assert (roots == np.arange(nodes)).all()
    assert clusters.counters[1] == nodes - 1
    assert clusters.pairs.size >= 1.5 * (nodes - 1)
    assert clusters.partner.size == 2 * (nodes - 1)
