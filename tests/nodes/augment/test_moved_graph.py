"""Points and skeletons through spatial nodes: exactly, and nothing is lost in silence."""

import numpy as np
import pytest

import voxflow as gp
from tests.helpers import asking, served, source
from voxflow.nodes.augment.moved_graph import moved_graph
from voxflow.nodes.augment.spatial import SpatialAugment
from voxflow.ops.maps import (
    Compose,
    ControlPointDisplacement,
    Elastic,
    Perspective,
    SectionShifts,
    draw_elastic,
    mirror_transpose,
    rotation,
)
from voxflow.ops.symmetries import symmetries

WORLD, SIZE = gp.Roi((0, 0, 0), (480, 160, 160)), gp.Coordinate(12, 4, 4)
INNER = gp.Roi((120, 40, 40), (240, 80, 80))
POINTS, DRAWN, BALLS = gp.GraphKey("points"), gp.ArrayKey("DRAWN"), gp.ArrayKey("BALLS")


def slips():
    offsets = np.random.default_rng(0).integers(-3, 4, (40, 3)) * np.array(SIZE, float)
    offsets[:, 0] = 0
    return SectionShifts(offsets, 0, 12)


def deformation():
    points = np.random.default_rng(1).normal(0, 5, (3, 4, 4, 4))
    return ControlPointDisplacement(points, [0, 0, 0], [480, 160, 160])


MAPS = {
    "rotation": lambda: rotation(0.6, [240.0, 80.0, 80.0]),
    "slips": slips,
    "elastic": deformation,
    "all": lambda: draw_elastic(
        np.random.default_rng(2),
        INNER,
        SIZE,
        Elastic((120, 40, 40), (2, 4, 4), (0.5, 0.5), (0.9, 0.9), 0.2, 0.1, 1),
    ),
    "two": lambda: Compose([rotation(0.3, [240.0, 80.0, 80.0]), deformation()]),
}
EVERY_MAP = pytest.mark.parametrize("name", MAPS)
EVERY_POLICY = pytest.mark.parametrize("edges", ["keep", "clip", "drop"])


class Show(SpatialAugment):
    """Shows everything through a given map."""

    def __init__(self, warp, edges="keep"):
        self.warp, self.edges = warp, edges

    def draw(self, request, rng):
        return self.warp


class Skeletons(gp.BatchProvider):
    """Offers a graph."""

    def __init__(self, graph):
        self.graph = graph

    def setup(self):
        self.provides(POINTS, self.graph.spec)

    def provide(self, request):
        batch = gp.Batch()
        batch[POINTS] = self.graph.crop(request[POINTS].roi)
        return batch


def centers(count, apart, seed=0):
    """Places in the centres of voxels, so far apart (in voxels)."""
    rng = np.random.default_rng(seed)
    shape = np.array(WORLD.shape / SIZE, int)
    found = np.empty((0, 3), int)
    for place in rng.integers(apart, shape - apart, (20 * count, 3)):
        if len(found) < count and (np.abs(found - place).max(axis=1) > apart).all():
            found = np.vstack([found, place])
    return found


def skeletons(places, edges=(), dtype=np.float64, directed=False):
    ids = np.arange(len(places)).astype(np.uint64) + np.uint64(2**63)
    spec = gp.GraphSpec(WORLD, directed=directed, dtype=dtype)
    pairs = np.array(edges, int).reshape(-1, 2)
    attrs = {"radius": np.arange(len(places)) * 0.5}
    return gp.Graph.from_arrays(ids, places, ids[pairs], spec, attrs, {"first": pairs[:, 0]})


def drawn(places, ids, radius):
    """Balls of a radius in voxels, as far as they do not touch."""
    volume = np.zeros(tuple(WORLD.shape / SIZE), np.uint64)
    around = np.stack(np.meshgrid(*[np.arange(-4, 5)] * 3, indexing="ij"), -1).reshape(-1, 3)
    around = around[(around**2).sum(axis=1) <= radius**2]
    for place, number in zip(places, ids, strict=True):
        volume[tuple((place + around).T)] = number
    return volume


def voxels_of(batch, key):
    """The voxels of each id, in voxels of the region."""
    data = batch[key].data
    index = np.argwhere(data)
    numbers = data[tuple(index.T)]
    return {number: index[numbers == number] for number in np.unique(numbers).tolist()}


@EVERY_MAP
def test_drawn_and_then_moved_is_moved_and_then_drawn(name):
    places = centers(250, 3)
    graph = skeletons((places + 0.5) * np.array(SIZE, float))
    pipeline = (
        source(DRAWN, drawn(places, graph.ids, 0), SIZE, WORLD.offset, False),
        Skeletons(graph),
    ) + gp.MergeProvider()
    batch = served(pipeline + Show(MAPS[name]()), asking(DRAWN=INNER, points=INNER))
    moved = batch[POINTS]
    begin, size = np.array(INNER.begin, float), np.array(SIZE, float)
    found = dict(zip(moved.ids.tolist(), (moved.locations - begin) / size, strict=True))
    for number, voxels in voxels_of(batch, DRAWN).items():
        if number in found:
            assert np.abs(voxels - np.floor(found[number])).max() <= 1
        else:  # a voxel whose centre, of which the point is, lies beyond a face
            at = voxels + 0.5
            assert np.minimum(at, np.array(INNER.shape / SIZE, float) - at).min() <= 1.5
    assert moved.num_vertices() > 20
    # All that are inside, with their attributes, where the map says.
    there = MAPS[name]().points(graph.locations)
    inside = INNER_holds(there)
    assert sorted(moved.ids.tolist()) == sorted(graph.ids[inside].tolist())
    order = np.argsort(moved.ids)
    np.testing.assert_allclose(moved.locations[order], there[inside], atol=1e-9)
    np.testing.assert_array_equal(moved.node_values("radius")[order], 0.5 * np.flatnonzero(inside))


def INNER_holds(places):
    begin, end = np.array(INNER.begin, float), np.array(INNER.end, float)
    return ((places >= begin) & (places < end)).all(axis=1)


@pytest.mark.parametrize("name", ["rotation", "elastic", "two"])
def test_balls_stay_around_their_points(name):
    places = centers(300, 5)
    graph = skeletons((places + 0.5) * np.array(SIZE, float))
    pipeline = (
        source(BALLS, drawn(places, graph.ids, 2), SIZE, WORLD.offset, False),
        Skeletons(graph),
    ) + gp.MergeProvider()
    batch = served(pipeline + Show(MAPS[name]()), asking(BALLS=INNER, points=INNER))
    moved, voxels = batch[POINTS], voxels_of(batch, BALLS)
    size, shape = np.array(SIZE, float), np.array(INNER.shape / SIZE, int)
    compared = 0
    for number, place in zip(moved.ids.tolist(), moved.locations, strict=True):
        own = voxels[number] + 0.5
        if (own.min(axis=0) > 1).all() and (own.max(axis=0) < shape - 1).all():
            compared += 1
            at = (place - np.array(INNER.begin, float)) / size
            assert np.abs(own.mean(axis=0) - at).max() < 1
    assert compared >= 5


# -- edges ----------------------------------------------------------------------------------------


def tangle(seed=0, count=400):
    """Edges between near and far, of which many leave the region or pass through it."""
    rng = np.random.default_rng(seed)
    places = rng.uniform((0, 0, 0), (480, 160, 160), (count, 3))
    ends = np.unique(np.sort(rng.integers(0, count, (2 * count, 2)), axis=1), axis=0)
    return skeletons(places, ends[ends[:, 0] < ends[:, 1]])


def counts(batch, node="Show"):
    assert {name for name, _ in batch.profiling_stats.get_counts()} <= {node}
    return {event: n for (_, event), n in batch.profiling_stats.get_counts().items()}


@EVERY_MAP
@EVERY_POLICY
def test_every_edge_is_kept_cut_or_counted(name, edges):
    graph, warp = tangle(), MAPS[name]()
    moved, counted = moved_graph(warp, graph, INNER, edges)
    there = warp.points(graph.locations)
    held = INNER_holds(there)[graph.edge_rows]
    whole, partly = int(held.all(axis=1).sum()), int((held[:, 0] != held[:, 1]).sum())
    begin, end = np.array(INNER.begin, float), np.array(INNER.end, float)
    lines = there[graph.edge_rows]
    part = np.linspace(0, 1, 500)[:, None, None]
    sampled = lines[:, 0] + part * (lines[:, 1] - lines[:, 0])
    some = ((sampled >= begin) & (sampled < end)).all(axis=2).any(axis=0)
    through = int((some & ~held.any(axis=1)).sum())
    assert min(whole, partly, through) > 10
    assert moved.spec.roi == INNER
    assert moved.stray(INNER) is None
    if edges == "clip":
        # The shortest passages fall between the samples.
        assert moved.num_edges() - whole - partly == pytest.approx(through, abs=3)
        assert counted == {"edges clipped": moved.num_edges() - whole}
        assert moved.inside(INNER).all()
        assert moved.temporary.sum() == 2 * counted["edges clipped"] - partly
    elif edges == "keep":
        assert moved.num_edges() == whole + partly
        assert counted["edges dropped"] == pytest.approx(through, abs=3)
        assert not moved.temporary.any()
    else:
        assert moved.num_edges() == whole
        assert counted["edges dropped"] == pytest.approx(through + partly, abs=3)
        assert moved.inside(INNER).all()
    real = ~moved.temporary & moved.inside(INNER)
    assert sorted(moved.ids[real]) == sorted(graph.ids[INNER_holds(there)])
    # Attributes stay with their nodes and edges.
    numbers = moved.ids - np.uint64(2**63)
    np.testing.assert_array_equal(moved.node_values("radius")[real], numbers[real] * 0.5)
    untouched = ~moved.temporary[moved.edge_rows[:, 0]]
    np.testing.assert_array_equal(
        moved.edge_values("first")[untouched], numbers[moved.edge_rows[untouched, 0]]
    )
    assert graph.num_vertices() == 400


def test_nothing_is_counted_where_nothing_leaves():
    graph = skeletons([[240.0, 80.0, 80.0], [246.0, 84.0, 84.0]], [(0, 1)])
    for edges in ("keep", "clip", "drop"):
        moved, counted = moved_graph(MAPS["rotation"](), graph, INNER, edges)
        assert counted == {}
        assert moved.edge_array.tolist() == graph.edge_array.tolist()


@EVERY_POLICY
@pytest.mark.parametrize("alone", [True, False])
def test_nodes_behind_the_horizon_go_and_their_edges_are_counted(edges, alone):
    tilt = Perspective([240.0, 80.0, 80.0], [0.0, 0.018, 0.0])
    warp = tilt if alone else Compose([deformation(), rotation(0.1, [240.0, 80.0, 80.0]), tilt])
    places = [[240.0, 80.0, 80.0], [246.0, 84.0, 84.0], [240.0, 150.0, 80.0]]
    moved, counted = moved_graph(warp, skeletons(places, [(0, 1), (1, 2)]), INNER, edges)
    assert moved.ids.tolist() == [2**63, 2**63 + 1]
    assert moved.edge_array.tolist() == [[2**63, 2**63 + 1]]
    assert counted == {"edges dropped": 1}


@EVERY_POLICY
def test_counts_come_with_the_batch(edges):
    def make():
        return Skeletons(tangle()) + gp.SimpleAugment(transpose_only=[1, 2], edges=edges)

    batch = served(make(), asking(points=INNER), seed=3)
    (event,) = counts(batch, "SimpleAugment")
    assert event == ("edges clipped" if edges == "clip" else "edges dropped")
    other = served(make() + gp.PreCache(num_workers=2), asking(points=INNER), seed=3)
    assert other.profiling_stats.get_counts()["SimpleAugment", event] > 0


@EVERY_POLICY
def test_several_nodes_in_a_row(edges):
    """The graph is that of all maps at once, however edges end on the way."""
    first, second = MAPS["rotation"](), MAPS["elastic"]()
    graph = tangle(1)
    batch = served(
        Skeletons(graph) + Show(first, edges) + Show(second, edges), asking(points=INNER)
    )
    moved, _ = moved_graph(Compose([second, first]), graph, INNER, edges)
    here = batch[POINTS]
    real = [g.ids[~g.temporary & g.inside(INNER)] for g in (moved, here)]
    assert sorted(real[0]) == sorted(real[1])
    places = [g.locations[np.isin(g.ids, real[0])] for g in (moved, here)]
    order = [np.argsort(g.ids[np.isin(g.ids, real[0])]) for g in (moved, here)]
    np.testing.assert_allclose(places[0][order[0]], places[1][order[1]], atol=1e-6)
    if edges != "clip":
        assert len(here.edge_array) == len(moved.edge_array)


@pytest.mark.parametrize("edges", ["clip", "drop"])
def test_edges_that_leave_are_treated_alike_where_nothing_is_moved(edges):
    graph = tangle()
    for axes in ([], [0, 1, 2]):
        node = gp.SimpleAugment(mirror_only=axes, transpose_only=[], edges=edges)
        batch = served(Skeletons(graph) + node, asking(points=INNER), seed=5)
        assert batch[POINTS].inside(INNER).all()
        ((event, number),) = counts(batch, "SimpleAugment").items()
        assert event == ("edges clipped" if edges == "clip" else "edges dropped")
        assert number > 0
    # nothing is moved, not by the least
    same = served(Skeletons(graph) + gp.SimpleAugment([], [], edges=edges), asking(points=INNER))[
        POINTS
    ]
    held = graph.locations[graph.inside(INNER)]
    np.testing.assert_array_equal(same.locations[~same.temporary], held)


def test_an_unbounded_region_is_refused():
    request = gp.BatchRequest({POINTS: gp.Roi((0, None, 0), (10, None, 10))})
    graph = tangle()
    graph.spec.roi = None
    with pytest.raises(gp.PipelineRequestError, match="cannot move the unbounded region"):
        served(Skeletons(graph) + gp.SimpleAugment(transpose_only=[]), request)


def test_an_unknown_policy_is_refused():
    for make in (
        lambda: gp.SimpleAugment(edges="cut"),
        lambda: gp.ElasticAugment((4, 4, 4), (1, 1, 1), (0, 1), edges="cut"),
    ):
        with pytest.raises(ValueError, match="'keep', to 'clip' or to 'drop'"):
            make()


SLIPS = {
    "shift": lambda: gp.ShiftAugment(0.5, 0.02, sigma=8),
    "elastic": lambda: gp.ElasticAugment((8, 8, 8), (0, 0, 0), (0, 0), (1, 1), 0.5, 0.02, 3),
    "warp": lambda: gp.Warp(prob_slip=0.5, prob_shift=0.02, max_misalign=3),
}


@pytest.mark.parametrize("name", SLIPS)
@pytest.mark.parametrize("begin", [109, 115])
def test_points_slip_with_their_voxels_wherever_a_graph_begins(name, begin):
    """Sections hold whole voxels, also where the region of the graph does not."""
    places = centers(400, 2)
    within = np.random.default_rng(1).uniform(0.05, 0.95, places.shape)
    graph = skeletons((places + within) * np.array(SIZE, float))
    line = (
        source(DRAWN, drawn(places, graph.ids, 0), SIZE, WORLD.offset, False),
        Skeletons(graph),
    ) + gp.MergeProvider()
    region = gp.Roi((begin, 40, 40), (230, 80, 80))
    compared = 0
    for seed in range(4):
        batch = served(line + SLIPS[name](), asking(DRAWN=INNER, points=region), seed)
        moved, data = batch[POINTS], batch[DRAWN].data
        index = np.floor((moved.locations - np.array(INNER.begin)) / np.array(SIZE, float))
        held = ((index >= 0) & (index < data.shape)).all(axis=1)
        np.testing.assert_array_equal(data[tuple(index[held].astype(int).T)], moved.ids[held])
        compared += held.sum()
    assert compared > 40


# -- symmetries -----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(4, 4, 4), (12, 4, 4)])
def test_points_of_voxels_stay_in_them_in_all_symmetries_of_the_cube(size):
    """Drawn and then moved is exactly what is moved and then drawn."""
    world, roi = gp.Roi((0, 0, 0), (144, 144, 144)), gp.Roi((24, 48, 60), (96, 60, 36))
    shape = np.array(world.shape, int) // size
    rng = np.random.default_rng(0)
    places = np.stack(np.unravel_index(rng.choice(shape.prod(), 500, replace=False), shape), 1)
    graph = skeletons((places + 0.5) * size, np.array([[0, 1], [2, 3], [4, 5]]))
    graph.spec.roi = world
    volume = np.zeros(shape, np.uint64)
    volume[tuple(places.T)] = graph.ids
    for symmetry in symmetries(3):
        if any(size[axis] != size[source] for axis, source in enumerate(symmetry.order)):
            continue
        warp = mirror_transpose([72.0] * 3, symmetry.mirror, symmetry.order)
        line = (source(DRAWN, volume, size, None, False), Skeletons(graph)) + gp.MergeProvider()
        batch = served(line + Show(warp, "drop"), asking(DRAWN=roi, points=roi))
        moved = batch[POINTS]
        drawn_after = np.zeros_like(batch[DRAWN].data)
        index = (moved.locations - np.array(roi.begin, float)) // size
        drawn_after[tuple(index.astype(int).T)] = moved.ids
        np.testing.assert_array_equal(batch[DRAWN].data, drawn_after)
        assert 10 < moved.num_vertices() == np.count_nonzero(drawn_after)
