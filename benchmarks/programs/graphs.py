"""A graph, drawn into an array by gunpowder's node and voxflow's."""

import contextlib

import numpy as np
from labels import Clock
from serve import serve

VOXELS = (40, 4, 4)
SETTINGS = {
    "skeleton": {"radius": 40},
    "hollow": {"radius": 40, "inner_radius_fraction": 0.5},
    "colors": {"radius": 40, "color_attr": "part"},
    "points": {"radius": 40},
    "large": {"radius": 160},
    "masked": {"radius": 40},
    "peaks": {"radius": (40, 8, 8), "mode": "peak"},
}


class Graphs:
    """Points and a skeleton, and the node; only `process` is timed."""

    def __init__(self, gp):
        self.gp = gp

    def make(self, name, size):
        gp = self.gp
        points, drawn, mask = gp.GraphKey("POINTS"), gp.ArrayKey("DRAWN"), gp.ArrayKey("MASK")
        roi = gp.Roi((0, 0, 0), gp.Coordinate((size,) * 3) * gp.Coordinate(VOXELS))
        data = {points: graph(gp, name, size, roi)}
        settings = dict(SETTINGS[name])
        if name == "masked":
            labels = (np.indices((size,) * 3).sum(axis=0) // 24 % 16 + 1).astype(np.uint8)
            # Without a dtype in its spec, which gunpowder compares with that of one label's mask.
            spec = gp.ArraySpec(roi, gp.Coordinate(VOXELS), interpolatable=False)
            data[mask] = gp.Array(labels, spec)
            settings["mask"] = mask
        node = gp.RasterizeGraph(
            points,
            drawn,
            gp.ArraySpec(voxel_size=gp.Coordinate(VOXELS)),
            gp.RasterizationSettings(**settings),
        )
        request = gp.BatchRequest()
        request[drawn] = gp.ArraySpec(roi)
        return source(gp, data) + node, node, request, drawn

    def run(self, name, size, count):
        """Wall and processor seconds of the node."""
        pipeline, node, request, _ = self.make(name, size)
        clock = Clock([node])
        with self.gp.build(pipeline), clock:
            for _ in range(count):
                pipeline.request_batch(request)
        return {"wall": clock.wall, "cpu": clock.cpu}

    def outcome(self, name, size, to):
        """Write down what comes out."""
        pipeline, _, request, drawn = self.make(name, size)
        with self.gp.build(pipeline):
            np.save(to, pipeline.request_batch(request)[drawn].data)


def graph(gp, name, size, roi):
    """Points all over the volume, or a path of ten parts that wanders about in its middle."""
    rng = np.random.default_rng(1)
    if name in ("points", "large", "masked", "peaks"):
        places, edges = rng.uniform(0, size, (300, 3)), []
    else:
        steps = rng.normal(0, size / 32, (200, 3)).cumsum(axis=0)
        places = np.clip(steps + size / 2, 1, size - 2)
        edges = [gp.Edge(i, i + 1, {"part": i // 20 + 2}) for i in range(199)]
    places = np.minimum(places, size - 0.01) * VOXELS
    nodes = [
        gp.Node(i, place.astype(np.float32), attrs={"part": i // 20 + 2})
        for i, place in enumerate(places)
    ]
    return gp.Graph(nodes, edges, gp.GraphSpec(roi))


def source(gp, data):
    """Arrays and graphs from memory."""

    class Memory(gp.BatchProvider):
        def setup(self):
            for key, value in data.items():
                self.provides(key, value.spec)

        def provide(self, request):
            batch = gp.Batch()
            for key, value in data.items():
                if key in request:
                    batch[key] = value.crop(request[key].roi)
            return batch

    return Memory()


@contextlib.contextmanager
def open_work(gp):
    yield Graphs(gp)


if __name__ == "__main__":
    serve(open_work)
