"""The graphs of many blocks become one."""

import itertools

import numpy as np
import pytest

import voxflow as gp
from tests.helpers import asking
from voxflow.nodes.scanning.graphs import united

POINTS = gp.GraphKey("points")


def points(places, edges=(), attrs=None, roi=((0, 0), (20, 20))):
    class Points(gp.BatchProvider):
        def setup(self):
            self.graph_spec = gp.GraphSpec(gp.Roi(*roi), directed=False)
            self.provides(POINTS, self.graph_spec)

        def provide(self, request):
            nodes = [
                gp.Node(i, np.array(p), attrs=dict((attrs or {}).get(i, {})))
                for i, p in places.items()
            ]
            links = [gp.Edge(*edge[:2], attrs=dict(*edge[2:])) for edge in edges]
            batch = gp.Batch()
            batch[POINTS] = gp.Graph(nodes, links, self.graph_spec).crop(request[POINTS].roi)
            return batch

    return Points()


def scanned_points(provider, block=(7, 7), part=((0, 0), (20, 20)), **options):
    reference = asking(points=((0, 0), block))
    scan = gp.Scan(reference, progress_callback=gp.ScanCallback(), **options)
    with gp.build(provider + scan, seed=3) as pipeline:
        return pipeline.request_batch(asking(points=part))[POINTS]


def test_graphs_are_put_together():
    rng = np.random.default_rng(1)
    places = {int(i): rng.uniform(0, 20, 2) for i in rng.permutation(60)}
    edges = [
        (a, b) for a, b in itertools.pairwise(places) if np.abs(places[a] - places[b]).max() < 9
    ]
    graph = scanned_points(points(places, edges))
    assert graph.ids.tolist() == sorted(places)
    np.testing.assert_allclose(graph.locations, [places[i] for i in sorted(places)], rtol=1e-6)
    assert {frozenset(e) for e in graph.edge_array.tolist()} == {frozenset(e) for e in edges}
    assert len(graph.edge_array) == len(edges)
    part = scanned_points(points(places, edges), part=((3, 4), (9, 11)))
    expected = graph.select(graph.inside(part.spec.roi))
    np.testing.assert_array_equal(part.ids, expected.ids)
    np.testing.assert_array_equal(part.edge_array, expected.edge_array)
    assert part.spec.roi == gp.Roi((3, 4), (9, 11))


def test_large_ids_stay_exact():
    ids_ = [2**53 + 1, 2**62 + 1, 2**63 + 3, 2**64 - 1]
    places = dict(zip(ids_, [(1, 1), (2, 12), (12, 2), (15, 15)], strict=True))
    graph = scanned_points(points(places, [(ids_[0], ids_[1]), (ids_[2], ids_[3])]), (8, 8))
    assert graph.ids.tolist() == ids_
    # The edges are longer than a block, but both of their ends are there.
    assert sorted(map(sorted, graph.edge_array.tolist())) == [ids_[:2], ids_[2:]]


def test_blocks_may_differ_in_the_type_of_their_ids():
    def part(begin, ids, places):
        spec = gp.GraphSpec(gp.Roi((begin,), (10,)), directed=False)
        return gp.Graph.from_arrays(ids, np.array(places)[:, None], [ids], spec)

    small = part(0, [2**53 + 1, 2**53 + 2], [1, 12])
    large = part(10, [2**53 + 2, 2**64 - 1], [12, 13])
    graph = united([small, large], gp.Roi((0,), (20,)))
    assert graph.ids.tolist() == [2**53 + 1, 2**53 + 2, 2**64 - 1]
    assert sorted(map(sorted, graph.edge_array.tolist())) == [
        [2**53 + 1, 2**53 + 2],
        [2**53 + 2, 2**64 - 1],
    ]
    graph = united([small, large], gp.Roi((0,), (13,)))
    assert graph.ids.tolist() == [2**53 + 1, 2**53 + 2]
    assert len(graph.edge_array) == 1
    negative = part(0, [-1, 5], [1, 2])
    with pytest.raises(ValueError, match="do not fit into 64 bits together"):
        united([negative, large], gp.Roi((0,), (20,)))


def test_attributes_may_be_missing_in_some_blocks():
    places = {1: (1, 1), 2: (2, 2), 3: (12, 12), 4: (13, 13)}
    attrs = {1: {"radius": 2.5}, 3: {"radius": 3.5, "kind": "axon"}, 4: {"kind": "soma"}}
    edges = [(1, 2, {"weight": 7}), (3, 4), (2, 3, {"name": "long"})]
    graph = scanned_points(points(places, edges, attrs))
    found = {node.id: dict(node.attrs) for node in graph.nodes}
    assert {i: a.get("radius") for i, a in found.items()} == {1: 2.5, 2: None, 3: 3.5, 4: None}
    assert {i: a.get("kind") for i, a in found.items()} == {1: None, 2: None, 3: "axon", 4: "soma"}
    links = {frozenset(edge): dict(edge.attrs) for edge in graph.edges}
    assert links[frozenset((1, 2))].get("weight") == 7
    assert links[frozenset((2, 3))].get("name") == "long"
    assert links[frozenset((3, 4))].get("weight") is None


def test_attributes_of_blocks_may_differ_in_type():
    def part(begin, **attrs):
        spec = gp.GraphSpec(gp.Roi((begin,), (10,)), directed=False)
        places = [[begin + 1], [begin + 2]]
        return gp.Graph.from_arrays([begin, begin + 1], places, [], spec, node_attrs=attrs)

    parts = [part(0, size=[1, 2], color=[[1, 2], [3, 4]]), part(10, size=[0.5, 1.5]), part(20)]
    graph = united(parts, gp.Roi((0,), (30,)))
    found = {node.id: dict(node.attrs) for node in graph.nodes}
    assert [found[i].get("size") for i in sorted(found)] == [1, 2, 0.5, 1.5, None, None]
    assert type(found[0]["size"]) is int
    assert list(found[1]["color"]) == [3, 4]
    same = united([part(0, size=[1, 2]), part(10, size=[3, 4])], gp.Roi((0,), (30,)))
    assert same.node_values("size").dtype == np.int64


def test_graphs_without_nodes_stay_empty():
    graph = scanned_points(points({}))
    assert graph.num_vertices() == graph.num_edges() == 0


# -- workers ----------------------------------------------------------------------------------
