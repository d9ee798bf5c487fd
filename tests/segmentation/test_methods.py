"""Segments by mutex watershed and by components, of a whole volume and of its blocks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.segmentation.volumes import NEIGHBORHOODS, blocks_of, cells, noise, same_partition
from voxflow.segmentation import Components, Lookup, MutexWatershed, Watershed, segment
from voxflow.segmentation.segment_numbers import SegmentNumbers
from voxflow.segmentation.volume_graph import Graphs

SHAPES = {1: (40,), 2: (13, 17), 3: (7, 9, 10)}


def by_definition(weights, neighborhood, alive):
    """The mutex watershed as it is defined, edge by edge, with sets."""
    shape = weights.shape[1:]
    edges = sorted(np.argwhere(weights != 0).tolist(), key=lambda at: -abs(weights[tuple(at)]))
    members = {index: {index} for index in np.ndindex(*shape) if alive[index]}
    apart = {index: set() for index in members}  # of whole voxels
    for channel, *place in edges:
        one = tuple(place)
        two = tuple(np.add(place, neighborhood[channel]).tolist())
        if one not in members or two not in members or members[one] is members[two]:
            continue
        if weights[(channel, *place)] < 0:
            apart[one].add(two)
            apart[two].add(one)
        elif not any(apart[voxel] & members[two] for voxel in members[one]):
            members[one] |= members[two]
            for voxel in members[two]:
                members[voxel] = members[one]
    out = np.zeros(shape, np.uint64)
    for index in members:
        out[index] = 1 + min(np.ravel_multi_index(voxel, shape) for voxel in members[index])
    return out


def blockwise(affinities, neighborhood, size, method, mask=None, min_size=0):
    fragments = np.zeros(affinities.shape[1:], np.uint64)
    blocks = list(blocks_of(affinities, neighborhood, size, method, mask))
    for block, _, place in blocks:
        fragments[place] = method.fragments(block)
    counts = [-(-n // side) for n, side in zip(fragments.shape, size, strict=True)]
    graphs = dict(
        zip(
            np.ndindex(*counts),
            (method.graph(block, fragments[region]) for block, region, _ in blocks),
            strict=True,
        )
    )
    joined = method.join(
        Graphs(tuple(size), fragments.shape, lambda at, name: getattr(graphs[at], name))
    )
    numbers = SegmentNumbers(joined.segments, min_size)
    segments = [(graphs[at].fragments, numbers(names)) for at, names in joined.blocks]
    ids, values = map(np.concatenate, zip(*segments, strict=True))
    return Lookup(ids, values)(fragments)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 3), st.sampled_from([np.float32, np.uint8]), st.booleans(), st.integers(0, 2**32)
)
def test_mutex_watershed_is_what_its_definition_says(dims, kind, masked, seed):
    rng = np.random.default_rng(seed)
    shape, neighborhood = SHAPES[dims], NEIGHBORHOODS[dims]
    affinities = noise(rng, shape, neighborhood, kind)
    mask = rng.random(shape) < 0.8 if masked else np.ones(shape, bool)
    found = segment(affinities, MutexWatershed(), neighborhood=neighborhood, mask=mask)
    unit = affinities / np.float32(255 if kind == np.uint8 else 1)
    weights = unit.astype(np.float32) - np.float32(0.5)
    wanted = by_definition(weights, neighborhood, mask)
    assert same_partition(found, wanted)
    assert ((found == 0) == ~mask).all()
    # Ids count the segments in the order of their first voxels.
    ids, first = np.unique(found[found > 0], return_index=True)
    assert ids.tolist() == list(range(1, len(ids) + 1))
    assert (np.diff(first) > 0).all()


def test_as_mwatershed():
    mwatershed = pytest.importorskip("mwatershed")
    neighborhood = NEIGHBORHOODS[3]
    affinities = noise(np.random.default_rng(3), (9, 20, 21), neighborhood)
    found = segment(affinities, neighborhood=neighborhood)
    theirs = mwatershed.agglom(affinities.astype(float) - 0.5, neighborhood)
    alone = theirs == 0  # voxels of no edge that joins
    theirs[alone] = theirs.max() + 1 + np.arange(alone.sum(), dtype=np.uint64)
    assert same_partition(found, theirs)


METHODS = {
    "mutex": MutexWatershed(),
    "mutex, biased": MutexWatershed(bias=0.4, long_bias=0.8, stride=2, foreground=0.3),
    "components": Components(threshold=0.7),
    "components, foreground": Components(threshold=0.6, foreground=0.4),
}


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())
@settings(max_examples=15, deadline=None)
@given(
    st.integers(1, 3),
    st.sampled_from([np.float32, np.uint8]),
    st.integers(0, 2**32),
    st.tuples(*[st.integers(1, 12)] * 3),
)
def test_blocks_give_what_the_whole_gives(method, dims, kind, seed, size):
    rng = np.random.default_rng(seed)
    shape, neighborhood = SHAPES[dims], NEIGHBORHOODS[dims]
    affinities = noise(rng, shape, neighborhood, kind)
    mask = rng.random(shape) < 0.9
    size = [max(n // 3, s) for n, s in zip(shape, size[:dims], strict=True)]
    whole = segment(affinities, method, neighborhood=neighborhood, mask=mask, min_size=2)
    assert (blockwise(affinities, neighborhood, size, method, mask, 2) == whole).all()


def test_fragments_are_fewer_than_voxels():
    # Else the graph of a volume would be as large as the volume.
    _, affinities = cells((32, 32, 32), NEIGHBORHOODS[3])
    method = MutexWatershed()
    ((block, _, _),) = blocks_of(affinities, NEIGHBORHOODS[3], (32,) * 3, method)
    parts = list(blocks_of(affinities, NEIGHBORHOODS[3], (16,) * 3, method))
    count = sum(len(np.unique(method.fragments(block))) for block, _, _ in parts)
    assert count < 0.2 * block.alive.size


def test_cells_are_found_again():
    labels, affinities = cells((24, 40, 40), NEIGHBORHOODS[3])
    found = segment(affinities, neighborhood=NEIGHBORHOODS[3], min_size=100)
    pairs, counts = np.unique(np.stack([labels.ravel(), found.ravel()]), axis=1, return_counts=True)
    best = [counts[pairs[0] == cell].max() / (labels == cell).sum() for cell in np.unique(labels)]
    assert np.mean(best) > 0.8
    assert np.mean(found == 0) < 0.1


def test_components_are_those_of_the_thresholded_affinities():
    rng = np.random.default_rng(0)
    affinities = rng.random((2, 9, 11), np.float32)
    found = segment(affinities, Components(threshold=0.6), neighborhood=[[-1, 0], [0, 1]])
    import networkx

    graph = networkx.Graph()
    graph.add_nodes_from(np.ndindex(9, 11))
    for y, x in np.ndindex(9, 11):
        if y and affinities[0, y, x] > 0.6:
            graph.add_edge((y, x), (y - 1, x))
        if x < 10 and affinities[1, y, x] > 0.6:
            graph.add_edge((y, x), (y, x + 1))
    wanted = np.zeros((9, 11), int)
    for number, members in enumerate(networkx.connected_components(graph)):
        wanted[tuple(zip(*members, strict=True))] = number
    assert same_partition(found, wanted)


def test_where_the_mean_affinity_is_low_there_is_no_object():
    affinities = np.float32([[[0.9, 0.2, 0.9]], [[0.1, 0.2, 0.9]], [[1, 1, 1]]])
    found = segment(
        affinities, MutexWatershed(foreground=0.5), neighborhood=[[-1, 0], [0, -1], [0, -2]]
    )
    assert found.tolist() == [[1, 0, 1]]


def test_stride_leaves_out_edges_between_far_neighbours():
    # Two voxels further is another object, but that is only looked at at every fourth voxel.
    affinities = np.stack([np.full(8, 0.8), np.full(8, 0.1)]).astype(np.float32)
    found = segment(affinities, MutexWatershed(stride=4), neighborhood=[[-1], [-2]])
    assert found.tolist() == [1, 1, 1, 1, 2, 2, 2, 2]


@pytest.mark.parametrize("empty", [(0, 5), (5, 0)])
def test_empty_volumes_and_masks_give_nothing(empty):
    nothing = np.zeros((2, *empty), np.float32)
    assert segment(nothing, neighborhood=[[-1, 0], [0, -1]]).shape == empty
    some = np.ones((1, 5), np.float32)
    assert segment(some, neighborhood=[[-1]], mask=np.zeros(5)).tolist() == [0] * 5
    for method in (Components(), Watershed()):
        flat = np.ones((1, 1, 5), np.float32)
        found = segment(flat, method, neighborhood=[[0, -1]], mask=np.zeros((1, 5)))
        assert found.tolist() == [[0] * 5]


def test_bad_input_is_refused():
    ones = np.ones((1, 6), np.float32)
    with pytest.raises(ValueError, match="does not say which voxels"):
        segment(ones)
    with pytest.raises(ValueError, match="have 2 channels and 1 axes"):
        segment(ones, neighborhood=[[-1], [-2]])
    with pytest.raises(ValueError, match="mask has shape"):
        segment(ones, neighborhood=[[-1]], mask=np.ones(5))
    with pytest.raises(ValueError, match="infinite or not a number"):
        segment(np.float32([[0, np.nan]]), neighborhood=[[-1]])
    with pytest.raises(TypeError, match="what stands for 1"):
        segment(np.ones((1, 6), np.int16), neighborhood=[[-1]])
    with pytest.raises(ValueError, match="full=1"):
        segment(np.ones((1, 6), np.uint8), neighborhood=[[-1]])
    with pytest.raises(ValueError, match="foreground is told"):
        segment(ones, MutexWatershed(foreground=0.5), neighborhood=[[-2]])
    with pytest.raises(ValueError, match="stride is 1 or more"):
        MutexWatershed(stride=(1, 0))
    with pytest.raises(ValueError, match="stride has 2 entries"):
        segment(np.ones((1, 6), np.float32), MutexWatershed(stride=(2, 2)), neighborhood=[[-2]])


def test_zeros_and_ones_are_segmented_where_that_is_said():
    ones = np.uint8([[1, 1, 0, 1]])
    assert segment(ones, MutexWatershed(full=1), neighborhood=[[-1]]).tolist() == [1, 1, 2, 2]
