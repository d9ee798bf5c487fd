"""Which pairs of voxels hang on which edge."""

import itertools

import networkx
import numpy as np
import pytest

from voxflow.ops.maximin import malis_weights, maximin_pairs


def brute_force(affinities, neighborhood, labels):
    """The smallest edge on the way between each pair in the maximum spanning tree."""
    graph = networkx.Graph()
    for channel, *place in np.argwhere(np.ones(affinities.shape)).tolist():
        other = tuple(np.add(place, neighborhood[channel]).tolist())
        if all(0 <= at < n for at, n in zip(other, labels.shape, strict=True)):
            value = affinities[(channel, *place)]
            if value > graph.get_edge_data(tuple(place), other, {"weight": -1})["weight"]:
                graph.add_edge(tuple(place), other, weight=value, at=(channel, *place))
    tree = networkx.maximum_spanning_tree(graph)
    counts = np.zeros((2, *affinities.shape), int)
    for one, two in itertools.combinations(np.ndindex(labels.shape), 2):
        if labels[one] and labels[two] and networkx.has_path(tree, one, two):
            way = networkx.shortest_path(tree, one, two)
            edges = [tree.edges[pair] for pair in itertools.pairwise(way)]
            decides = min(edges, key=lambda edge: edge["weight"])["at"]
            counts[(int(labels[one] != labels[two]), *decides)] += 1
    return counts


@pytest.mark.parametrize(
    ("shape", "neighborhood"),
    [
        ((4, 4), [[-1, 0], [0, -1]]),
        ((4, 4), [[-1, 0], [0, 1], [2, -1]]),
        ((2, 3, 3), [[-1, 0, 0], [0, -1, 0], [0, 0, -1]]),
        ((9,), [[-1], [-3]]),
    ],
)
def test_pairs_are_those_of_brute_force(shape, neighborhood):
    for seed in range(4):
        rng = np.random.default_rng(seed)
        affinities = rng.permutation(len(neighborhood) * np.prod(shape)) / 100
        affinities = affinities.reshape(len(neighborhood), *shape)
        labels = np.array([0, 3, 2**40, 2**63], np.uint64)[rng.integers(4, size=shape)]
        found = maximin_pairs(affinities, neighborhood, labels)
        assert (np.array(found) == brute_force(affinities, neighborhood, labels)).all()


def test_golden_numbers():
    # 1 1 | 2 2
    # 1 0 | 2 2, an object of 3 and one of 4 voxels
    labels = np.array([[1, 1, 2, 2], [1, 0, 2, 2]])
    neighborhood = [[-1, 0], [0, -1]]
    target = np.zeros((2, 2, 4))
    target[0, 1, [0, 2, 3]] = 1
    target[1, 0, [1, 3]] = target[1, 1, 3] = 1
    affinities = np.where(target == 1, 0.9, 0.1)
    affinities[0, 1, 0] = 0.2  # cuts the first object into one and two voxels
    affinities[1, 0, 2] = 0.7  # merges the two
    positive, negative = malis_weights(affinities, target, neighborhood, labels)
    assert positive[0, 1, 0] == 2
    assert positive.sum() == 3 + 6  # all pairs within objects
    assert negative[1, 0, 2] == 12  # all pairs between them
    assert negative.sum() == 12


def test_every_pair_that_is_connected_counts_once():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 5, (12, 13))
    same, different = maximin_pairs(rng.random((2, 12, 13)), [[-1, 0], [0, -1]], labels)
    sizes = np.bincount(labels.ravel())[1:]
    assert same.sum() == sum(n * (n - 1) // 2 for n in sizes)
    assert same.sum() + different.sum() == sizes.sum() * (sizes.sum() - 1) // 2


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="got \\(2, 3\\)"):
        maximin_pairs(np.ones((2, 3)), [[-1]], np.ones(3, int))
    with pytest.raises(ValueError, match="the target has shape"):
        malis_weights(np.ones((1, 3)), np.ones((1, 4)), [[-1]], np.ones(3, int))
    with pytest.raises(TypeError, match="integer"):
        maximin_pairs(np.ones((1, 3)), [[-1]], np.ones(3))
