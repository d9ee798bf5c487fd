"""Sources of points and values, sampling by weights and epochs."""

import numpy as np

import voxflow as gp
from tests.nodes.cases.flow import NUMBERS, two_inputs
from tests.nodes.cases.world import FOLDER, LOCAL, MASK, NEW, RAW, Case


def points_of(world):
    spec = gp.GraphSpec(world.roi, directed=False)
    return gp.Graph.from_arrays(world.point_ids, world.point_places, world.point_edges, spec)


def csv_file(world):
    path = FOLDER / f"points-{next(NUMBERS)}.csv"
    np.savetxt(path, world.point_places, delimiter=",")
    return path


class Persisted:
    """A graph as funlib.persistence hands it out."""

    directed = False
    position_attribute = "position"

    def __init__(self, world):
        self.ids, self.places = world.point_ids.tolist(), world.point_places

    def __getitem__(self, roi):
        import networkx

        graph = networkx.Graph()
        for n, place in zip(self.ids, self.places, strict=True):
            if gp.Roi(roi.offset, roi.shape).contains(place.tolist()):
                graph.add_node(n, position=place)
        return graph


def values_of_sections(world):
    sections = world.roi.shape[0] // world.voxel_size[0]
    return gp.ItemValues(world.new, np.arange(sections), world.raw)


CASES = {
    "GPArraySource": Case(lambda w: gp.GPArraySource(w.raw, w.arrays[w.raw]), promises=LOCAL),
    "GPGraphSource": Case(lambda w: gp.GPGraphSource(w.points, points_of(w))),
    "GraphSource": Case(
        lambda w: gp.GraphSource(Persisted(w), w.points, gp.GraphSpec(w.roi, directed=False))
    ),
    "CsvPointsSource": Case(lambda w: gp.CsvPointsSource(csv_file(w), w.points, range(w.ndim))),
    "EpochProvider": Case(lambda w: two_inputs(w) + gp.EpochProvider()),
    "WeightedLocation": Case(lambda w: gp.WeightedLocation(w.mask), (MASK, RAW)),
    "ItemValues": Case(values_of_sections, (NEW, RAW), promises=LOCAL),
}
