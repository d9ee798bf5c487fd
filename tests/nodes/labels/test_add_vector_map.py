import numpy as np
import pytest

import voxflow as gp
from tests.helpers import asking, served, source, specs
from voxflow.contrib import AddVectorMap

PRE, POST = gp.GraphKey("pre"), gp.GraphKey("post")
VECTORS, MASK = gp.ArrayKey("VECTORS"), gp.ArrayKey("MASK")
WHOLE = gp.Roi((0, 0, 0), (40, 40, 40))


class Points(gp.BatchProvider):
    def __init__(self, key, points, roi=WHOLE):
        self.key = key
        nodes = [gp.Node(i, place, attrs=attrs) for i, (place, attrs) in points.items()]
        self.graph = gp.Graph(nodes, [], gp.GraphSpec(roi))

    def setup(self):
        self.provides(self.key, self.graph.spec)

    def provide(self, request):
        batch = gp.Batch()
        batch[self.key] = self.graph.crop(request[self.key].roi)
        return batch


LARGE = 2**64 - 1
SOURCES = {
    LARGE: ((10, 10, 10), {"partner_ids": [1, LARGE]}),
    2: ((31, 30, 30), {"partner_ids": [LARGE]}),
    3: ((20, 20, 20), {"partner_ids": []}),
    4: ((20, 4, 20), {}),
}
TARGETS = {1: ((14, 10, 10), {}), LARGE: ((10, 20, 15), {})}


def upstream(labels=None, sources=SOURCES, targets=TARGETS, roi=WHOLE, offset=None):
    labels = np.ones((20, 20, 20), np.uint64) if labels is None else labels
    mask = source(MASK, labels, (2, 2, 2), offset)
    return (Points(PRE, sources, roi), Points(POST, targets, roi), mask) + gp.MergeProvider()


def node(criterion="min_distance", radius=4, mask=None, pad=(0, 0, 0), voxel_size=(2, 2, 2)):
    masks = {VECTORS: MASK} if mask else None
    return AddVectorMap(
        {VECTORS: (PRE, POST)}, {VECTORS: voxel_size}, radius, criterion, masks, pad
    )


def test_spec():
    with specs(upstream() + node(pad=(4, 3, 8))) as spec:
        assert spec[VECTORS].roi == gp.Roi((4, 4, 8), (32, 32, 24))
        assert spec[VECTORS].dtype == np.float32
        assert spec[VECTORS].interpolatable is False
        assert spec[VECTORS].voxel_size == (2, 2, 2)


def test_the_nearest_partner():
    data = served(upstream() + node(), asking(VECTORS=WHOLE))[VECTORS].data
    assert data.shape == (3, 20, 20, 20)
    assert data[:, 5, 5, 5].tolist() == [4, 0, 0]
    assert data[:, 3, 5, 5].tolist() == [8, 0, 0]  # on the sphere
    assert data[:, 5, 7, 5].tolist() == [4, -4, 0]  # on the other side, too
    assert data[:, 4, 6, 4].tolist() == [6, -2, 2]
    assert data[:, 15, 15, 15].tolist() == [10 - 30, 20 - 30, 15 - 30]
    drawn = (data != 0).any(axis=0)
    assert drawn.sum() == 33 + 33 - 1  # one vector is 0: from the partner's own corner
    assert not drawn[10, 10, 10]


def test_all_partners_share_the_voxels():
    data = served(upstream() + node("all"), asking(VECTORS=WHOLE))[VECTORS].data
    positions = np.indices((20, 20, 20)) * 2
    near = [np.array(place)[:, None, None, None] - positions for place, _ in TARGETS.values()]
    drawn = [(np.abs(data - vectors).max(axis=0) == 0).sum() for vectors in near]
    assert drawn == [17, 16 + 33]  # the farthest takes a half, the last one the rest
    assert data[:, 5, 7, 5].tolist() == [0, 6, 5]


def test_vectors_stay_inside():
    labels = np.ones((20, 20, 20), np.uint64)
    labels[:, :, 6:] = 2**63
    free = served(upstream() + node(), asking(VECTORS=WHOLE))[VECTORS].data
    held = served(upstream(labels) + node(mask=True), asking(VECTORS=WHOLE))[VECTORS].data
    np.testing.assert_array_equal(held[:, :10, :, :6], free[:, :10, :, :6])
    assert not held[:, :10, :, 6:].any()
    np.testing.assert_array_equal(held[:, 10:], free[:, 10:])


def test_a_mask_that_ends():
    labels = np.ones((6, 20, 20), np.uint8)
    held = served(upstream(labels) + node(mask=True), asking(VECTORS=WHOLE))[VECTORS].data
    assert held[:, 5].any()
    assert not held[:, 6:10].any()


@pytest.mark.parametrize("criterion", ["min_distance", "all"])
@pytest.mark.parametrize("mask", [True, False])
def test_a_part_is_the_part_of_the_whole(criterion, mask):
    rng = np.random.default_rng(3)
    places = rng.uniform(0, 40, (12, 3))
    sources = {i: (p, {"partner_ids": [i, i + 20]}) for i, p in enumerate(places)}
    shifts = rng.uniform(-7, 7, (2, 12, 3))
    targets = {i + 20 * k: (places[i] + shifts[k, i], {}) for i in range(12) for k in range(2)}
    roi = WHOLE.grow(20, 20)
    labels = rng.integers(0, 2, (40, 40, 40)).astype(np.uint8)
    pipeline = upstream(labels, sources, targets, roi, (-20, -20, -20))
    pipeline = pipeline + node(criterion, mask=mask, pad=(8, 8, 8))
    whole = served(pipeline, asking(VECTORS=WHOLE))[VECTORS].data
    assert (whole != 0).any(axis=0).sum() > 100
    for begin in ((0, 10, 4), (12, 8, 20), (26, 0, 30)):
        part = gp.Roi(begin, (14, 16, 10))
        data = served(pipeline, asking(VECTORS=part))[VECTORS].data
        where = (slice(None), *(part / 2).to_slices())
        np.testing.assert_array_equal(data, whole[where])


def test_partners_beyond_the_padding_count_for_nothing():
    part = gp.Roi((4, 4, 4), (10, 10, 10))
    assert not served(upstream() + node(radius=1.9), asking(VECTORS=part))[VECTORS].data.any()
    # a region ends before 14, where the partner lies
    padded = node(radius=1.9, pad=(4, 4, 4))
    assert served(upstream() + padded, asking(VECTORS=part))[VECTORS].data[:, 3, 3, 3].tolist() == [
        4,
        0,
        0,
    ]


def test_two_dimensions_and_voxels_that_are_not_whole():
    roi = gp.Roi((0, 0), (98, 98))
    sources = Points(PRE, {1: ((29.4, 19.6), {"partner_ids": [5]})}, roi)
    targets = Points(POST, {5: ((49, 49), {})}, roi)
    pipeline = (sources, targets) + gp.MergeProvider() + node(voxel_size=(9.8, 9.8))
    data = served(pipeline, asking(VECTORS=roi))[VECTORS].data
    assert np.argwhere(data.any(axis=0)).tolist() == [[3, 2]]
    np.testing.assert_allclose(data[:, 3, 2], [49 - 29.4, 49 - 19.6], rtol=1e-6)


def test_sources_without_partners():
    alone = upstream(sources={1: ((10, 10, 10), {})})
    assert not served(alone + node(), asking(VECTORS=WHOLE))[VECTORS].data.any()


def test_mistakes():
    with pytest.raises(ValueError, match="'min_distance' or 'all', got 'nearest'"):
        node("nearest")
    with pytest.raises(ValueError, match="above zero"):
        node(radius=0)
    with pytest.raises(ValueError, match="voxel_sizes needs an entry for VECTORS"):
        AddVectorMap({VECTORS: (PRE, POST)}, {}, 4, "all")
    with pytest.raises(ValueError, match="2 dimensions"), gp.build(upstream() + node(pad=(1, 1))):
        pass
    coarse = AddVectorMap({VECTORS: (PRE, POST)}, {VECTORS: (1, 1, 1)}, 4, "all", {VECTORS: MASK})
    with (
        pytest.raises(ValueError, match="needs a mask for each voxel"),
        gp.build(upstream() + coarse),
    ):
        pass
