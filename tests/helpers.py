"""Volumes and graphs that say themselves where each of their values comes from."""

import time
from contextlib import contextmanager, suppress

import numpy as np
import psutil

import voxflow as gp
from voxflow.testing import ramp

__all__ = ["Clock", "GraphSource", "Nothing", "asking", "ids", "ramp", "served", "source", "specs"]


def ids(roi, voxel_size, dtype=np.uint64):
    """A number of its own for each voxel, from 1."""
    shape = tuple(int(n) for n in roi.shape / gp.Coordinate(voxel_size))
    return (1 + np.arange(np.prod(shape))).reshape(shape).astype(dtype)


def source(key, data, voxel_size, offset=None, interpolatable=None):
    """A memory source; its spatial axes are as many as the voxel size has entries."""
    size = gp.Coordinate(voxel_size)
    begin = (0,) * len(size) if offset is None else offset
    roi = gp.Roi(begin, gp.Coordinate(data.shape[data.ndim - len(size) :]) * size)
    spec = gp.ArraySpec(roi, size, interpolatable=interpolatable, dtype=data.dtype)
    return gp.ArraySource(key, gp.Array(data, spec))


class Clock:
    """A clock that goes on where one sleeps, and a little where one looks: others take no time."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        monkeypatch.setattr(time, "time", self.look)
        monkeypatch.setattr(time, "sleep", self.sleep)

    def look(self):
        self.now += 1e-5
        return self.now

    def sleep(self, seconds):
        self.now += seconds


class GraphSource(gp.BatchProvider):
    """Offers the points of a graph: ids and places (world units)."""

    def __init__(self, key, points, roi, edges=()):
        self.key, self.points, self.edges = key, points, edges
        self.graph_spec = gp.GraphSpec(roi, directed=False)

    def setup(self):
        self.provides(self.key, self.graph_spec)

    def provide(self, request):
        batch = gp.Batch()
        places = np.array(list(self.points.values()), np.float64)
        edges = np.array(self.edges, np.int64).reshape(-1, 2)
        graph = gp.Graph.from_arrays(list(self.points), places, edges, self.graph_spec)
        batch[self.key] = graph.crop(request[self.key].roi)
        return batch


class Nothing(gp.BatchFilter):
    """A node that does nothing."""

    def process(self, batch, request):
        pass


class OneBuffer(gp.BatchProvider):
    """Counts its batches in voxels of one buffer, one array and one batch, again and again."""

    def __init__(self, key, step=1):
        self.key, self.step = key, step

    def setup(self):
        self.spec_of = gp.ArraySpec(gp.Roi((0,), (4,)), (1,), interpolatable=True, dtype=np.uint8)
        self.provides(self.key, self.spec_of)
        self.batch = gp.Batch()
        self.batch[self.key] = gp.Array(np.zeros(4, np.uint8), self.spec_of)

    def provide(self, request):
        self.batch[self.key].data += self.step
        return self.batch


def asking(**rois):
    """A request for the regions of keys, given by their names (lower case: graphs)."""
    request = gp.BatchRequest()
    for name, roi in rois.items():
        key = gp.GraphKey(name) if name.islower() else gp.ArrayKey(name)
        request[key] = gp.Roi(*roi) if isinstance(roi, tuple) else roi
    return request


def served(pipeline, request, seed=1):
    """One batch."""
    with gp.build(pipeline, seed=seed):
        return pipeline.request_batch(request)


@contextmanager
def specs(pipeline):
    """What a pipeline provides, while it is built."""
    with gp.build(pipeline, seed=1):
        yield pipeline.spec


KEPT = (
    "voxflow.testing.elsewhere",
    "multiprocessing.forkserver",
    "multiprocessing.resource_tracker",
)
"""What the test kit and Python itself start once and keep; what they start in turn is seen."""

EARLIER = set()
"""Processes that were there when the tests of a file began."""


def children():
    """Processes below this one, but for those that are kept, and what other files have left."""
    this, found = psutil.Process(), []
    for child in set(this.children(recursive=True)) - EARLIER:
        with suppress(psutil.NoSuchProcess):
            command = " ".join(child.cmdline())
            kept = any(name in command for name in KEPT) and child.ppid() == this.pid
            if not kept:
                found.append(child)
    return found


def left_behind():
    """Processes that are still there after the seconds that a busy machine may need."""
    deadline = time.monotonic() + 30
    while children() and time.monotonic() < deadline:
        time.sleep(0.05)
    return children()
