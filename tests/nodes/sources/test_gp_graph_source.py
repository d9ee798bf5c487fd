import dill
import numpy as np
import pytest

import voxflow as gp
from tests.helpers import asking, served, specs

POINTS = gp.GraphKey("points")
LARGE = 2**63 + 5


def graph(roi=None):
    nodes = [
        gp.Node(1, (2, 2), attrs={"kind": "soma"}),
        gp.Node(LARGE, (8, 2)),
        gp.Node(7, (8, 8)),
        gp.Node(8, (-4, -4)),
    ]
    return gp.Graph(nodes, [(1, LARGE), (LARGE, 7)], gp.GraphSpec(roi))


@pytest.mark.parametrize("roi", [None, gp.Roi((-10, -10), (20, 20))])
def test_edges_end_at_the_faces(roi):
    source = gp.GPGraphSource(POINTS, graph(roi))
    with specs(source) as spec:
        assert spec[POINTS].roi == roi
    part = served(source, asking(points=((0, 0), (4, 4))))[POINTS]
    assert part.ids.tolist() == [1, LARGE + 1]
    assert part.temporary.tolist() == [False, True]
    np.testing.assert_allclose(part.locations, [[2, 2], [4, 2]], rtol=1e-6)
    assert part.locations[1, 0] < 4
    assert part.edge_array.tolist() == [[1, LARGE + 1]]
    assert part.node(1).kind == "soma"
    assert part.spec.roi == gp.Roi((0, 0), (4, 4))


def test_below_zero():
    # where gunpowder fails
    own = gp.Graph([gp.Node(1, (-5, -5)), gp.Node(2, (5, -5))], [(1, 2)], gp.GraphSpec())
    part = served(gp.GPGraphSource(POINTS, own), asking(points=((-10, -10), (8, 10))))[POINTS]
    assert part.num_edges() == 1
    np.testing.assert_allclose(part.locations, [[-5, -5], [-2, -5]], rtol=1e-6)
    assert part.locations[1, 0] < -2


def test_what_is_served_is_not_the_graph():
    own = graph()
    part = served(gp.GPGraphSource(POINTS, own), asking(points=((-10, -10), (20, 20))))[POINTS]
    part.shift((1, 1))
    part.node(1).kind = "axon"
    part.remove_node(7)
    assert own.locations.tolist() == graph().locations.tolist()
    assert own.node(1).kind == "soma"
    assert own.num_vertices() == 4


def test_travels():
    source = dill.loads(dill.dumps(gp.GPGraphSource(POINTS, graph())))
    assert served(source, asking(points=((0, 0), (9, 9))))[POINTS].num_edges() == 2


def test_mistakes():
    with pytest.raises(TypeError, match="GraphKey"):
        gp.GPGraphSource(gp.ArrayKey("RAW"), graph())
    with pytest.raises(TypeError, match="offers a Graph, got list"):
        gp.GPGraphSource(POINTS, [])
