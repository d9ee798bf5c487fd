"""What a request costs, told before the run."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import zarr

import voxflow as gp

RAW, LABELS, AFFINITIES = (gp.ArrayKey(name) for name in ("RAW", "LABELS", "AFFINITIES"))
POINTS = gp.GraphKey("POINTS")
IO = Path("/proc/self/io")


class Counted(gp.BatchProvider):
    """A source that counts the bytes it was asked for."""

    def __init__(self, key, shape, voxel_size, dtype):
        self.key, self.bytes = key, 0
        roi = gp.Roi((0,) * len(shape), gp.Coordinate(shape) * gp.Coordinate(voxel_size))
        self.given = gp.ArraySpec(roi, voxel_size, interpolatable=key == RAW, dtype=dtype)

    def setup(self):
        self.provides(self.key, self.given)

    def provide(self, request):
        spec = self.given.copy()
        spec.roi = request[self.key].roi
        data = np.ones(spec.roi.shape / spec.voxel_size, spec.dtype)
        self.bytes += data.nbytes
        batch = gp.Batch()
        batch[self.key] = gp.Array(data, spec)
        return batch


class Grow(gp.BatchFilter):
    def __init__(self, key, by):
        self.key, self.by = key, gp.Coordinate(by)

    def setup(self):
        spec = self.spec[self.key].copy()
        spec.roi = spec.roi.grow(-self.by, -self.by)
        self.updates(self.key, spec)

    def prepare(self, request):
        needed = gp.BatchRequest()
        needed[self.key] = request[self.key].copy()
        needed[self.key].roi = request[self.key].roi.grow(self.by, self.by)
        return needed

    def process(self, batch, request):
        batch[self.key] = batch[self.key].crop(request[self.key].roi)


@pytest.mark.parametrize("size", [(40, 4, 4), (3, 3)])
def test_predicted_bytes_are_the_counted_ones(size):
    dims = len(size)
    raw = Counted(RAW, (20,) * dims, size, np.uint8)
    labels = Counted(LABELS, (20,) * dims, size, np.uint64)
    neighborhood = -np.eye(dims, dtype=int)
    pipeline = (
        (raw + Grow(RAW, size), labels)
        + gp.MergeProvider()
        + gp.RandomLocation()
        + gp.AddAffinities(neighborhood, LABELS, AFFINITIES, dtype=np.float32)
        + gp.Stack(3)
    )
    request = gp.BatchRequest()
    request.add(RAW, gp.Coordinate(size) * 8)
    request.add(AFFINITIES, gp.Coordinate(size) * 6)
    with gp.build(pipeline, seed=1):
        told = pipeline.explain(request)
        batch = pipeline.request_batch(request)
    assert told.read == raw.bytes + labels.bytes
    assert told.delivered == batch[RAW].data.nbytes + batch[AFFINITIES].data.nbytes
    assert told.amplification == told.read / told.delivered
    assert told.memory.bytes > told.read


@pytest.mark.parametrize("cache", [0, 1 << 20, 100_000])
def test_kept_chunks_are_told(tmp_path, cache):
    dataset = gp.stores.create_dataset(
        tmp_path / "raw.zarr", "raw", (60, 64, 70), np.uint8, block=(8, 32, 32),
        geometry=gp.stores.Geometry(gp.Coordinate(40, 4, 4), gp.Coordinate(0, 0, 0)),
    )  # fmt: skip
    dataset.write((slice(None),) * 3, np.ones((60, 64, 70), np.uint8))
    dataset.flush()
    pipeline = gp.ZarrSource(str(tmp_path / "raw.zarr"), {RAW: "raw"}, cache=cache)
    pipeline = pipeline + gp.Normalize(RAW)
    with gp.build(pipeline):
        told = pipeline.explain(gp.BatchRequest({RAW: gp.Roi((280, 4, 0), (400, 128, 132))}))
    assert told.kept == min(3 * 2 * 2 * 8 * 32 * 32, cache)
    assert ("decoded chunks that are kept besides" in str(told)) == (cache > 0)


@pytest.mark.skipif(not IO.exists(), reason="the system does not count what is read")
@pytest.mark.parametrize("channels", [(), (2,)])
@pytest.mark.parametrize("size", [(40, 4, 4), (3, 3)])
@pytest.mark.parametrize("source", [gp.Hdf5Source, gp.ZarrSource])
def test_decoded_bytes_are_those_that_the_system_counts(tmp_path, source, size, channels):
    """Of files whose chunks are not compressed; the last ones are cut off by the volume's end."""
    dims = len(size)
    data = np.ones((*channels, *(60, 61, 70)[-dims:]), np.uint16)
    chunks = (*(1 for _ in channels), *(8, 32, 32)[-dims:])
    write(source, tmp_path / "file", data, chunks)
    spec = {RAW: gp.ArraySpec(voxel_size=size)}
    pipeline = source(str(tmp_path / "file"), {RAW: "raw"}, spec, cache=0) + gp.Normalize(RAW)
    begin, shape = gp.Coordinate((7, 1, 33)[-dims:]), gp.Coordinate((10, 40, 30)[-dims:])
    where = gp.Roi(begin * gp.Coordinate(size), shape * gp.Coordinate(size))
    with gp.build(pipeline):
        told = pipeline.explain(gp.BatchRequest({RAW: where}))
        first = gp.Roi((0,) * dims, size)
        pipeline.request_batch(gp.BatchRequest({RAW: first}))  # what the file says of itself
        before = bytes_read()
        besides = bytes_read() - before  # by counting
        batch = pipeline.request_batch(gp.BatchRequest({RAW: where}))
        counted = bytes_read() - before - 2 * besides
    assert told.read == batch[RAW].data.size * data.itemsize
    assert told.decoded == counted
    assert "decoded of files, in whole chunks: " in str(told)


def write(source, path, data, chunks):
    """Write a file that this process then knows nothing of."""
    if source is gp.Hdf5Source:
        with h5py.File(path, "w") as file:
            file.create_dataset("raw", data=data, chunks=chunks)
        return
    group = zarr.open_group(path, mode="w", zarr_format=2)
    group.create_array("raw", data=data, chunks=chunks, compressors=None)


def bytes_read():
    """How many bytes this process has read of files."""
    return int(IO.read_text().split()[1])


def test_context_is_told_at_the_node_that_is_asked_for_it():
    pipeline = Counted(RAW, (20, 30), (4, 2), np.uint8) + Grow(RAW, (4, 6)) + gp.Normalize(RAW)
    request = gp.BatchRequest({RAW: gp.Roi((20, 10), (8, 20))})
    with gp.build(pipeline):
        told = pipeline.explain(request)
    contexts = {node.label: node.asked[0].context for node in told.nodes}
    assert contexts == {"Normalize": None, "Grow": (0, 0), "Counted": (2, 6)}
    assert [node.asked[0].voxels for node in told.nodes] == [(2, 10), (2, 10), (4, 16)]
    assert [node.is_source for node in told.nodes] == [False, False, True]
    text = str(told).splitlines()
    assert text[0] == "Normalize"
    assert text[5] == "      · RAW: 4 x 16 voxels at [16:32, 4:36] (16, 32), 64 B, context +2 x +6"
    assert text[6] == "delivered: 80 B"
    assert text[7] == "asked of sources: 64 B, 0.8 times as much"


def test_what_is_not_known_is_left_out():
    class Source(gp.BatchProvider):
        def setup(self):
            self.provides(POINTS, gp.GraphSpec(gp.Roi((0, 0), (80, 60))))
            self.provides(RAW, gp.ArraySpec(nonspatial=True))

        def provide(self, request):
            raise AssertionError("nothing is read")

    pipeline = gp.Pipeline(Source())
    request = gp.BatchRequest({POINTS: gp.GraphSpec(gp.Roi((0, 0), (8, 6)))})
    request[RAW] = gp.ArraySpec(nonspatial=True)
    with gp.build(pipeline):
        told = pipeline.explain(request)
    assert (told.read, told.delivered, told.amplification) == (0, 0, 0)
    assert "POINTS: [0:8, 0:6] (8, 6)" in str(told)
    assert "RAW: no place" in str(told)


def test_what_cannot_be_served_is_refused():
    pipeline = Counted(RAW, (20, 30), (4, 2), np.uint8) + gp.Normalize(RAW)
    with gp.build(pipeline), pytest.raises(gp.RequestRefused, match="RAW"):
        pipeline.explain(gp.BatchRequest({RAW: gp.Roi((60, 10), (40, 20))}))
