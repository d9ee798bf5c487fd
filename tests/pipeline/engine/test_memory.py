"""How much memory a request takes: told before the run, and not less than it takes."""

import tracemalloc

import numpy as np
import pytest
from scipy import ndimage

import voxflow as gp
from voxflow.pipeline.engine.memory import Memory, MemoryBound, scan_memory

RAW, OTHER, OUT = (gp.ArrayKey(name) for name in ("RAW", "OTHER", "OUT"))


class Convolve(gp.BatchFilter):
    """Stands for a network: it needs voxels around, and makes a new array of floats."""

    def __init__(self, context, channels=1):
        self.context, self.channels = context, channels

    def setup(self):
        self.enable_autoskip()
        spec = self.spec[RAW].copy()
        spec.dtype = np.float32
        spec.roi = spec.roi.grow(-self.context, -self.context)
        self.provides(OUT, spec)

    def values_per_voxel(self, key, upstream):
        return self.channels if key == OUT else None

    def prepare(self, request):
        needed = gp.BatchRequest()
        needed[RAW] = gp.ArraySpec(request[OUT].roi.grow(self.context, self.context))
        return needed

    def process(self, batch, request):
        made = gp.Batch()
        image = batch[RAW].data
        spec = self.spec[OUT].copy()
        spec.roi = request[OUT].roi
        steps = self.context / spec.voxel_size
        inside = tuple(slice(step, -step) for step in steps)
        image = image.reshape(-1, *image.shape[-len(steps) :])[0]
        maps = [ndimage.uniform_filter(image, 3)[inside].copy() for _ in range(self.channels)]
        made[OUT] = gp.Array(np.stack(maps) if self.channels > 1 else maps[0], spec)
        return made


def volume(tmp_path, voxel_size, shape, lead, file):
    spec = gp.ArraySpec(
        gp.Roi((0,) * len(shape), gp.Coordinate(shape) * gp.Coordinate(voxel_size)), voxel_size
    )
    image = np.random.default_rng(0).integers(0, 255, (*lead, *shape)).astype(np.uint8)
    if not file:
        return gp.ArraySource(RAW, gp.Array(image, spec))
    dataset = gp.stores.create_dataset(
        tmp_path / "raw.zarr", "raw", image.shape, image.dtype, block=(*lead, *[64] * len(shape)),
        geometry=gp.stores.Geometry(gp.Coordinate(voxel_size), spec.roi.offset),
    )  # fmt: skip
    dataset.write(tuple(slice(0, n) for n in image.shape), image)
    dataset.flush()
    return gp.ZarrSource(str(tmp_path / "raw.zarr"), {RAW: "raw"}, cache=0)


def told(voxels):
    """What is said of so many bytes of voxels."""
    return voxels + voxels // 8 + 2**20


def measured(pipeline, request):
    pipeline.request_batch(request)  # what is loaded once
    tracemalloc.start()
    try:
        batch = pipeline.request_batch(request)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        del batch


WORLDS = {
    "2-D": ((4, 4), (2000, 1501), ()),
    "2-D with channels": ((4, 9.8), (801, 900), (3,)),
    "3-D": ((40, 4, 9.8), (60, 200, 201), ()),
    "3-D with channels": ((40, 4, 4), (40, 150, 151), (2, 2)),
}


@pytest.mark.parametrize("file", [False, True], ids=["memory", "file"])
@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("channels", [1, 3])
def test_what_a_prediction_takes(tmp_path, world, file, channels):
    voxel_size, shape, lead = WORLDS[world]
    size = gp.Coordinate(voxel_size)
    pipeline = (
        volume(tmp_path, voxel_size, shape, lead, file)
        + gp.Pad(RAW, size * 8)
        + gp.Normalize(RAW)
        + Convolve(size * 4, channels)
    )
    with gp.build(pipeline, seed=1):
        inner = gp.Roi((0,) * len(shape), gp.Coordinate(shape)).grow(-9, -9)
        for request in (
            gp.BatchRequest({OUT: inner * size}),
            gp.BatchRequest({OUT: inner * size, RAW: inner * size}),
            gp.BatchRequest({RAW: inner.grow(9, 9) * size}),
        ):
            bound = pipeline.plan(request).memory()
            taken = measured(pipeline, request)
            assert taken <= bound.bytes, request
            assert bound.bytes <= 3 * taken, request
            assert bound.assumed == ()


@pytest.mark.parametrize(
    "nodes",
    [
        lambda: (
            gp.ElasticAugment((40, 40), (2, 2), (0, 1), spatial_dims=2)
            + gp.IntensityAugment(RAW, 0.9, 1.1, -0.1, 0.1)
        ),
        lambda: gp.SimpleAugment() + gp.AsType(RAW, "float64", OUT),
        lambda: gp.AsType(RAW, "float32", OUT) + gp.StackChannels([OUT, RAW], OTHER),
        lambda: gp.DownSample(RAW, 2, OUT),
    ],
)
def test_what_other_nodes_take(tmp_path, nodes):
    pipeline = volume(tmp_path, (4, 4), (1500, 1400), (), False) + gp.Normalize(RAW)
    pipeline = pipeline + gp.Pad(RAW, None) + nodes()
    with gp.build(pipeline, seed=1):
        request = gp.BatchRequest()
        for key in pipeline.spec:
            request[key] = gp.ArraySpec(gp.Roi((400, 400), (4800, 4800)))
        bound = pipeline.plan(request).memory().bytes
        assert measured(pipeline, request) <= bound <= 3.5 * measured(pipeline, request)


@pytest.mark.parametrize(
    "nodes",
    [
        lambda: gp.Normalize(RAW) + gp.IntensityAugment(RAW, 0.9, 1.1, -0.1, 0.1),
        lambda: gp.Normalize(RAW) + gp.Blur(RAW, (2.0, 2.0)),
        lambda: gp.ElasticAugment((40, 40), (2, 2), (0, 1), spatial_dims=2) + gp.SimpleAugment(),
        lambda: gp.Pad(RAW, None) + gp.AsType(RAW, "float64", OUT),
        lambda: gp.AddAffinities([(0, 1), (1, 0), (9, 9)], RAW, OUT, dtype=np.float32),
        lambda: gp.Normalize(RAW) + gp.Unsqueeze([RAW]) + gp.Stack(3),
        lambda: gp.Crop(RAW, fraction_negative=(0.1, 0.1)) + gp.RandomLocation(),
    ],
)
def test_what_is_expected_is_what_is_taken(tmp_path, nodes):
    pipeline = volume(tmp_path, (4, 4), (1500, 1400), (), False) + nodes()
    with gp.build(pipeline, seed=1):
        roi = gp.Roi((1000, 1000), (3600, 3600))
        request = gp.BatchRequest({key: gp.ArraySpec(roi) for key in pipeline.spec})
        expected = pipeline.plan(request).memory().expected
        # Tables for the rows and columns of a map weigh little beside larger images.
        assert expected == pytest.approx(measured(pipeline, request), rel=0.2, abs=3e5)


def test_the_node_is_named_that_has_voxels_made(tmp_path):
    pipeline = (
        volume(tmp_path, (4, 4), (1500, 1400), (), True)
        + gp.ElasticAugment((40, 40), (2, 2), (0, 0), spatial_dims=2)
        + gp.AddAffinities([(0, 1)], RAW, OUT)
    )
    with gp.build(pipeline, seed=1):
        told = pipeline.explain(gp.BatchRequest({OUT: gp.Roi((1000, 1000), (3600, 3600))}))
    assert told.memory.node == "AddAffinities"  # which has what was deformed beside what it is of
    assert told.nodes[0].held == told.memory.expected
    assert told.nodes[1].held == told.nodes[2].held < told.memory.expected


def test_several_inputs_and_repetitions(tmp_path):
    image = np.zeros((800, 900), np.float32)
    spec = gp.ArraySpec(voxel_size=(4, 4))
    sources = tuple(gp.ArraySource(key, image, spec=spec) for key in (RAW, OTHER))
    roi = gp.Roi((0, 0), (2400, 3600))
    pipeline = sources + gp.MergeProvider() + gp.Stack(4)
    with gp.build(pipeline, seed=1):
        request = gp.BatchRequest({RAW: roi, OTHER: roi})
        bound = pipeline.plan(request).memory().bytes
        taken = measured(pipeline, request)
        assert taken <= bound <= 1.5 * taken
        channels = pipeline.plan(request).memory()
        assert channels.node == "Stack"


def test_what_is_not_known_is_said():
    class Unknown(gp.BatchFilter):
        def setup(self):
            spec = self.spec[RAW].copy()
            spec.dtype = None
            self.provides(OUT, spec)
            self.provides(OTHER, gp.ArraySpec(nonspatial=True))

        def prepare(self, request):
            return gp.BatchRequest({RAW: request[OUT].roi})

    image = gp.Array(np.zeros((10, 10), np.uint8), gp.ArraySpec(voxel_size=(1, 1)))
    pipeline = gp.ArraySource(RAW, image.data, spec=image.spec) + Unknown()
    with gp.build(pipeline):
        request = gp.BatchRequest({OUT: gp.Roi((0, 0), (10, 10))})
        request[OTHER] = gp.ArraySpec(nonspatial=True)
        memory = pipeline.plan(request).memory()
    assert memory == Memory(
        told(100 + 2 * 800),
        "Unknown",
        (
            "OUT of Unknown is counted as one channel",
            "OUT of Unknown is counted as values of 8 bytes",
            "OTHER of Unknown is counted as one channel",
            "OTHER of Unknown, which has no place, is not counted",
        ),
        100 + 2 * 800,
    )
    assert str(memory).splitlines()[:2] == [
        "about 1.002 MiB at most, in Unknown",
        "  (OUT of Unknown is counted as one channel)",
    ]


@pytest.mark.parametrize(
    ("shape", "kind", "channels"),
    [
        ((8, 8), gp.Affinities([(0, 1), (1, 0), (2, 0)]), 3),
        ((8, 8, 8), gp.Vectors(), 3),
        ((8, 8), gp.Descriptors(2), 6),
        ((8, 8, 8), gp.Descriptors(2), 10),
    ],
)
def test_kinds_say_how_many_channels(shape, kind, channels):
    class Makes(gp.BatchFilter):
        def setup(self):
            spec = self.spec[RAW].copy()
            spec.kind = kind
            self.provides(OUT, spec)

        def process(self, batch, request):
            pass

    image = np.zeros(shape, np.uint8)
    voxels = gp.ArraySpec(voxel_size=(1,) * len(shape))
    pipeline = gp.ArraySource(RAW, image, spec=voxels) + Makes()
    roi = gp.Roi((0,) * len(shape), shape)
    with gp.build(pipeline):
        memory = pipeline.plan(gp.BatchRequest({RAW: roi, OUT: roi})).memory()
    assert memory.assumed == ()
    assert memory.bytes == told(image.size * (1 + 2 * (1 + channels)))


def test_a_scan_is_told_for_people():
    image = np.zeros((512, 512), np.uint8)
    pipeline = gp.ArraySource(RAW, image, spec=gp.ArraySpec(voxel_size=(1, 1)))
    pipeline = pipeline + gp.Scan(gp.BatchRequest({RAW: gp.Roi((0, 0), (256, 256))}))
    with gp.build(pipeline):
        plan = pipeline.plan(gp.BatchRequest())
    bound = scan_memory(plan, in_flight=4, cache_bytes=2**20)
    assert bound.bytes == 4 * bound.block.bytes + 2**20 + 2**18
    assert bound.block.bytes == told(256 * 256)  # a copy of what lies in memory
    assert str(bound) == (
        "at most about 5.531 MiB in this process: 4 blocks at once of 1.07 MiB each, "
        "1 MiB of decoded chunks and a quarter more"
    )
    assert str(MemoryBound(bound.block)) == (
        "at most about 1.07 MiB in this process: 1 block of 1.07 MiB"
    )
    with pytest.raises(ValueError, match="in_flight has to be at least 1"):
        scan_memory(plan, in_flight=0)


@pytest.mark.parametrize("file", [True, False])
def test_what_is_read_ahead_is_counted(tmp_path, file):
    source = volume(tmp_path, (1, 1, 1), (20, 80, 80), (), file)
    block = gp.BatchRequest({OUT: gp.Roi((3, 3, 3), (8, 16, 16))})
    with gp.build(source + Convolve(gp.Coordinate(1, 2, 2))) as pipeline:
        plan = pipeline.plan(block)
        bound, none = scan_memory(plan, reads_ahead=True), scan_memory(plan)
    read = 10 * 20 * 20 if file else 0  # what lies in memory is only looked at
    assert (bound.ahead_bytes, none.ahead_bytes) == (read, 0)
    assert bound.bytes == bound.block.bytes + read
    assert (", 3.906 KiB read ahead" in str(bound)) == file


def test_where_it_is_not_known_what_is_read_a_node_reads_what_it_gives():
    image = np.zeros((20, 80), np.float32)
    source = gp.ArraySource(RAW, image, spec=gp.ArraySpec(voxel_size=(1, 1)))
    with gp.build(source + Convolve(gp.Coordinate(1, 2))) as pipeline:
        plan = pipeline.plan(gp.BatchRequest({OUT: gp.Roi((3, 3), (8, 10))}))
        plan.upstream = None
    assert scan_memory(plan, reads_ahead=True).ahead_bytes == 8 * 10 * 4
