import networkx as nx
import numpy as np
import pytest

import voxflow as gp
from tests.helpers import asking, served, specs

POINTS = gp.GraphKey("points")
LARGE = 2**63 + 5


class Provider:
    """Gives all nodes near a region, as funlib.persistence does."""

    def __init__(self, position_attribute, directed=True):
        self.position_attribute, self.directed = position_attribute, directed
        self.asked = []

    def __getitem__(self, roi):
        self.asked.append(roi)
        graph = nx.DiGraph() if self.directed else nx.Graph()
        places = {1: (1.5, 2), LARGE: (5, 6), 9: (50, 6), 10: (60, 60)}
        for key, place in places.items():
            if isinstance(self.position_attribute, str):
                graph.add_node(key, **{self.position_attribute: place}, radius=key % 7)
            else:
                graph.add_node(key, **dict(zip(self.position_attribute, place, strict=True)))
        graph.add_edge(1, LARGE, weight=0.5)
        graph.add_edge(LARGE, 9)
        graph.add_edge(1, 33)  # which has no attributes at all
        graph.add_node(34, z=3)
        return graph


@pytest.mark.parametrize("names", ["position", ["z", "y"], ("z", "y")])
@pytest.mark.parametrize("directed", [True, False])
def test_what_lies_in_the_region_and_what_hangs_on_it(names, directed):
    source = gp.GraphSource(Provider(names, directed), POINTS)
    with specs(source) as spec:
        assert spec[POINTS] == gp.GraphSpec(directed=directed)
    found = served(source, asking(points=((0, 0), (10, 10))))[POINTS]
    assert found.ids.tolist() == [1, LARGE, 9]
    assert found.locations.tolist() == [[1.5, 2], [5, 6], [50, 6]]
    assert found.locations.dtype == np.float32
    assert found.edge_array.tolist() == [[1, LARGE], [LARGE, 9]]
    assert found.edge((1, LARGE)).attrs["weight"] == 0.5
    assert found.directed is directed
    if isinstance(names, str):
        assert found.node(LARGE).radius == LARGE % 7
        assert found.node(1).position == (1.5, 2)
    else:
        assert (found.node(1).z, found.node(1).y) == (1.5, 2)


def test_the_spec_says_where_and_in_what_dtype():
    spec = gp.GraphSpec(gp.Roi((0, 0), (20, 20)), dtype=np.float64)
    provider = Provider("position")
    source = gp.GraphSource(provider, POINTS, spec)
    with specs(source) as provided:
        assert provided[POINTS].roi == gp.Roi((0, 0), (20, 20))
    found = served(source, asking(points=((0, 0), (4, 4))))[POINTS]
    assert found.locations.dtype == np.float64
    assert provider.asked == [gp.Roi((0, 0), (4, 4))]
    assert spec.directed is None  # it is not changed
    with pytest.raises(gp.PipelineRequestError):
        served(source, asking(points=((0, 0), (40, 4))))


def test_all_that_a_provider_gives():
    found = gp.GraphSource.create_gp_graph_from_daisy(Provider("position"), gp.Roi((0, 0), (4, 4)))
    assert found.ids.tolist() == [1, LARGE, 9, 10]
    assert found.spec == gp.GraphSpec(gp.Roi((0, 0), (4, 4)), directed=True)


def test_mistakes():
    with pytest.raises(TypeError, match="GraphKey"):
        gp.GraphSource(Provider("position"), gp.ArrayKey("RAW"))
    source = gp.GraphSource(Provider("position"), POINTS, gp.GraphSpec(directed=False))
    with pytest.raises(ValueError, match="spec says directed=False"), gp.build(source):
        pass
