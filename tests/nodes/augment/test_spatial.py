"""Spatial nodes in a row, and changes of values among them: one pass."""

import numpy as np
import pytest

import voxflow as gp
from tests.helpers import Nothing, asking, ids, ramp, served, source
from voxflow.ops.resampling import kernels
from voxflow.ops.resampling import resample as resampling
from voxflow.pipeline.data import Array

RAW, IDS = gp.ArrayKey("RAW"), gp.ArrayKey("IDS")
SIZE = gp.Coordinate(8, 2, 2)
WORLD = gp.Roi((-160, -120, -120), (480, 320, 320))
INNER = gp.Roi((0, -16, -16), (40, 32, 32))
SMALL = gp.Roi((0, -8, -8), (24, 16, 16))
ELASTIC = {"control_point_spacing": (2, 8, 8), "jitter_sigma": (0.2, 0.5, 0.5)}


class Looks(Nothing):
    """A node that reads all voxels, as one from outside may."""

    def process(self, batch, request):
        for array in batch.arrays.values():
            array.data.sum()


def volume():
    image = (ramp(WORLD, SIZE)[1] / 400 + 0.5).astype(np.float32)
    return (
        source(RAW, image, SIZE, WORLD.offset, True),
        source(IDS, ids(WORLD, SIZE), SIZE, WORLD.offset, False),
    ) + gp.MergeProvider()


def chain(*between):
    """Some of each, with other nodes in between."""
    nodes = [
        gp.IntensityScaleShift(RAW, 0.5, 0.2),
        gp.ElasticAugment(**ELASTIC, rotation_interval=(0.3, 0.9)),
        gp.SimpleAugment(transpose_only=[1, 2]),
        gp.ElasticAugment(**ELASTIC, rotation_interval=(-0.5, 0.5), scale_interval=(0.9, 1.1)),
        gp.IntensityAugment(RAW, 0.8, 1.2, -0.1, 0.1, z_section_wise=True, clip=False),
        gp.IntensityScaleShift(RAW, 2, -1),
    ]
    pipeline = volume()
    for node in nodes:
        pipeline = pipeline + node
        for make in between:
            pipeline = pipeline + make()
    return pipeline


@pytest.mark.parametrize("seed", range(6))
def test_the_same_as_one_after_the_other(seed):
    together = served(chain(), asking(RAW=INNER, IDS=INNER), seed)
    apart = served(chain(Looks), asking(RAW=INNER, IDS=INNER), seed)
    # Interpolating a smooth image several times loses little.
    np.testing.assert_allclose(together[RAW].data, apart[RAW].data, atol=1e-3)
    same = together[IDS].data == apart[IDS].data
    assert 0.3 < same.mean() < 1  # rounded to voxels three times, or once
    assert together[IDS].data.dtype == np.uint64


FLAT = {"spatial_dims": 2, "on_failure": "error"}
MIXED = {
    "flat and deep": lambda: [
        gp.ElasticAugment((8, 8), (0.5, 0.5), (0.3, 0.6), **FLAT),
        gp.ElasticAugment(**ELASTIC, rotation_interval=(-0.5, 0.5)),
    ],
    "deep and flat": lambda: [
        gp.ElasticAugment(**ELASTIC, rotation_interval=(-0.5, 0.5)),
        gp.Warp(rotation=(0.3, 0.6), scale=(0.9, 1.1), **FLAT),
    ],
    "mirrored and flat": lambda: [
        gp.SimpleAugment(transpose_only=[1, 2]),
        gp.DeformAugment((16, 16), (1, 1), **FLAT),
    ],
    "flat, located, flat": lambda: [
        gp.Warp(rotation=(0.3, 0.6), **FLAT),
        gp.RandomLocation(),
        gp.Warp(rotation=(-0.6, -0.3), **FLAT),
    ],
    "flat, located, deep": lambda: [
        gp.Warp(rotation=(0.3, 0.6), **FLAT),
        gp.RandomLocation(),
        gp.ElasticAugment(**ELASTIC, rotation_interval=(-0.5, 0.5)),
    ],
}


@pytest.mark.parametrize("name", MIXED)
def test_nodes_that_move_two_axes_beside_those_that_move_three(name, monkeypatch):
    """Also these are one map, and read no more than it shows."""
    for seed in range(3):
        batches = []
        for between in ([], [Looks]):
            pipeline = volume()
            for node in MIXED[name]():
                for one in (node, *(make() for make in between)):
                    pipeline = pipeline + one
            batches.append(served(pipeline, asking(RAW=INNER, IDS=INNER), seed))
        together, apart = batches
        np.testing.assert_allclose(together[RAW].data, apart[RAW].data, atol=2e-3)
        same = together[IDS].data == apart[IDS].data
        assert same.mean() > 0.3
    calls = []
    kernel = kernels.nearest
    monkeypatch.setattr(kernels, "nearest", lambda *a: (calls.append(1), kernel(*a))[1])
    pipeline = volume()
    for node in MIXED[name]():
        pipeline = pipeline + node
    served(pipeline, asking(IDS=INNER))
    assert len(calls) == 1


def test_time_is_left_alone_beside_four_axes_that_are_mirrored():
    size, roi = gp.Coordinate(1, 2, 2, 2), gp.Roi((0, 0, 0, 0), (4, 40, 40, 40))
    inner = gp.Roi((1, 10, 10, 10), (2, 20, 20, 20))
    nodes = [
        lambda: gp.SimpleAugment(transpose_only=[1, 2, 3]),
        lambda: gp.ElasticAugment((4, 4, 4), (0.5, 0.5, 0.5), (0, 0.2)),
    ]
    for order in (nodes, nodes[::-1]):
        batches = []
        for between in ([], [Looks]):
            pipeline = source(RAW, ramp(roi, size), size, roi.offset, True)
            for node in (make() for make in order):
                for one in (node, *(make() for make in between)):
                    pipeline = pipeline + one
            batches.append(served(pipeline, asking(RAW=inner), 3)[RAW].data)
        np.testing.assert_allclose(*batches, atol=1e-6)


def test_every_array_is_resampled_once(monkeypatch):
    calls = []
    for name in ("linear_volume", "linear_sections", "nearest"):
        kernel = getattr(kernels, name)
        monkeypatch.setattr(
            kernels, name, lambda *a, _k=kernel, _n=name: (calls.append(_n), _k(*a))[1]
        )
    served(chain(), asking(RAW=INNER, IDS=INNER))
    assert sorted(calls) == ["linear_volume", "nearest"]
    calls.clear()
    served(chain(Looks), asking(RAW=INNER, IDS=INNER))
    assert len(calls) == 4
    calls.clear()
    served(chain(Nothing), asking(RAW=INNER, IDS=INNER))
    assert len(calls) == 2


SHRINK = {**ELASTIC, "rotation_interval": (0.3, 0.9), "scale_interval": (0.4, 0.7)}


def shrinking(*nodes):
    cells = np.random.default_rng(5).integers(1, 4, (60, 80, 80)).astype(np.uint64)
    labels = cells.repeat(2, 1).repeat(2, 2)
    pipeline = source(IDS, labels, SIZE, WORLD.offset, False)
    for node in nodes:
        pipeline = pipeline + node
    return pipeline


@pytest.mark.parametrize("seed", range(3))
def test_the_majority_is_the_same_beside_nodes_that_mirror(seed):
    """Whichever of the two is upstream, and whether or not somebody looks in between."""

    def shown(*between, upstream, labels="majority"):
        nodes = gp.ElasticAugment(**SHRINK, labels=labels), gp.SimpleAugment(transpose_only=[1, 2])
        first, second = nodes[::-1] if upstream else nodes
        pipeline = shrinking(first, *between, second)
        return served(pipeline, asking(IDS=SMALL), seed)[IDS].data

    for upstream in (False, True):
        got = shown(upstream=upstream)
        np.testing.assert_array_equal(got, shown(Looks(), upstream=upstream))
        assert 0.05 < (got != shown(upstream=upstream, labels="nearest")).mean() < 0.9


def test_one_node_that_takes_the_majority_is_enough(monkeypatch):
    calls = []
    vote = resampling.vote
    monkeypatch.setattr(resampling, "vote", lambda *a: (calls.append(a), vote(*a)))

    def shown(*orders):
        first, second = (gp.ElasticAugment(**SHRINK, labels=order) for order in orders)
        pipeline = shrinking(first, gp.SimpleAugment(transpose_only=[1, 2]), second)
        return served(pipeline, asking(IDS=SMALL))[IDS].data

    both, later = shown("majority", "majority"), shown("nearest", "majority")
    np.testing.assert_array_equal(later, both)
    earlier, none = shown("majority", "nearest"), shown("nearest", "nearest")
    assert len(calls) == 3
    assert 0.05 < (earlier != none).mean() < 0.9
    for labels in (both, earlier):
        assert labels.min() >= 1, "something outside of what was read"


WHITE = np.random.default_rng(3).normal(size=(60, 160, 160)).astype(np.float32)


def moving(*between):
    """Every kind of node that moves voxels, in one row."""
    pipeline = (
        source(RAW, WHITE, SIZE, WORLD.offset, True),
        source(IDS, ids(WORLD, SIZE), SIZE, WORLD.offset, False),
    ) + gp.MergeProvider()
    for node in (
        gp.SimpleAugment(transpose_only=[1, 2]),
        gp.DeformAugment((24, 16, 16), (0, 1, 1), rotation_axes=(1, 2)),
        gp.ShiftAugment(0.3, 0.3, 4),
        gp.Warp.elektronn1(scale=(1, 1)),
    ):
        pipeline = pipeline + node
        for make in between:
            pipeline = pipeline + make()
    return pipeline


def test_four_kinds_in_a_row_read_and_resample_once(monkeypatch):
    resampled, read = [], []
    for name in ("linear_volume", "linear_sections", "nearest"):
        kernel = getattr(kernels, name)
        monkeypatch.setattr(
            kernels, name, lambda *a, _k=kernel, _n=name: (resampled.append(_n), _k(*a))[1]
        )
    provide = gp.ArraySource.provide
    monkeypatch.setattr(
        gp.ArraySource,
        "provide",
        lambda self, request: (read.append(request.keys()), provide(self, request))[1],
    )
    served(moving(), asking(RAW=INNER, IDS=INNER))
    assert sorted(str(key) for keys in read for key in keys) == ["IDS", "RAW"]
    assert len(resampled) == 2
    assert resampled.count("nearest") == 1
    resampled.clear()
    served(moving(Looks), asking(RAW=INNER, IDS=INNER))
    assert len(resampled) > 4


def test_one_interpolation_keeps_what_several_would_blur():
    request = asking(RAW=INNER)
    once = [served(moving(), request, seed)[RAW].data.std() for seed in range(4)]
    often = [served(moving(Looks), request, seed)[RAW].data.std() for seed in range(4)]
    one = [
        served(volume_of_noise() + gp.Warp(rotation=(0.4, 0.5)), request, seed)[RAW].data.std()
        for seed in range(4)
    ]
    # Bilinear interpolation at any place keeps 4/9 of the variance of white noise.
    assert np.mean(once) == pytest.approx(2 / 3, abs=0.04)
    assert np.mean(once) > np.mean(one) - 0.04
    assert np.mean(often) < 0.8 * np.mean(once)


def volume_of_noise():
    return source(RAW, WHITE, SIZE, WORLD.offset, True)


def test_nodes_that_do_nothing_change_nothing():
    plain = served(chain(), asking(RAW=INNER, IDS=INNER))
    for between in ([Nothing], [Nothing, Nothing]):
        other = served(chain(*between), asking(RAW=INNER, IDS=INNER))
        for key in (RAW, IDS):
            np.testing.assert_array_equal(other[key].data, plain[key].data)


def test_labels_once_resampled_are_nearer_to_the_truth():
    """Where each voxel says that it comes from, against where the image says so."""
    volumes = (
        source(RAW, ramp(WORLD, SIZE), SIZE, WORLD.offset, True),
        source(IDS, ids(WORLD, SIZE), SIZE, WORLD.offset, False),
    ) + gp.MergeProvider()
    pipeline = volumes
    for _ in range(3):
        pipeline = pipeline + gp.ElasticAugment(**ELASTIC, rotation_interval=(0.2, 0.8))
    batch = served(pipeline, asking(RAW=INNER, IDS=INNER))
    shape = tuple(int(n) for n in WORLD.shape / SIZE)
    index = np.stack(np.unravel_index(batch[IDS].data.astype(np.int64) - 1, shape))
    size = np.array([float(v) for v in SIZE]).reshape(3, 1, 1, 1)
    begin = np.array([float(v) for v in WORLD.begin]).reshape(3, 1, 1, 1)
    came_from = begin + (index + 0.5) * size
    assert (np.abs(came_from - batch[RAW].data) <= size / 2 + 1e-6).all()


@pytest.mark.parametrize("method", ["forkserver", "thread"])
def test_workers_make_the_same(method):
    request = asking(RAW=INNER, IDS=INNER)
    cached = chain() + gp.PreCache(3, num_workers=2, method=method)
    with gp.build(chain(), seed=4) as plain, gp.build(cached, seed=4):
        for _ in range(4):
            one, other = plain.request_batch(request), cached.request_batch(request)
            for key in (RAW, IDS):
                np.testing.assert_array_equal(one[key].data, other[key].data)
                assert other[key].deferred is None


def test_threads_make_voxels_while_others_wait():
    made = []

    class Remembers(gp.BatchFilter):
        def process(self, batch, request):
            import threading

            original = batch[RAW].deferred

            class Noted(type(original).__mro__[1]):
                shape, dtype = original.shape, original.dtype

                def make(self, out=None):
                    made.append(threading.current_thread().name)
                    return original.make(out)

            batch[RAW] = Array(Noted(), batch[RAW].spec)

    Remembers.__module__ = "voxflow.tests"  # as if it was one of ours: such may run in threads
    pipeline = chain() + Remembers() + gp.PreCache(2, num_workers=1, method="thread")
    with gp.build(pipeline, seed=4):
        pipeline.request_batch(asking(RAW=INNER))
    assert made
    assert all(name.startswith("voxflow-PreCache") for name in made)


class Asked(gp.BatchFilter):
    """Notes what is asked of it."""

    looks_at_nothing = True

    def __init__(self):
        self.rois = []

    def prepare(self, request):
        self.rois.append(request[RAW].roi)

    def process(self, batch, request):
        pass


class Rejecting(gp.BatchProvider):
    """A provider of its own kind that looks at what it hands on."""

    def setup(self):
        for key, spec in self.get_upstream_providers()[0].spec.items():
            self.provides(key, spec)

    def provide(self, request):
        batch = self.get_upstream_providers()[0].request_batch(request)
        batch[RAW].data.sum()
        return batch


@pytest.mark.parametrize(
    "between",
    [
        lambda: gp.IntensityScaleShift(RAW, 2, 0),
        lambda: gp.Normalize(RAW, 2),
        lambda: gp.Unsqueeze([RAW]),
        lambda: gp.Normalize(RAW),
        lambda: gp.Stack(1),
        lambda: gp.PreCache(2, num_workers=1),
        Nothing,
        Looks,
        Rejecting,
    ],
    ids=[
        "values",
        "factor",
        "unsqueeze",
        "normalize",
        "stack",
        "precache",
        "nothing",
        "looks",
        "provider",
    ],
)
def test_only_what_is_looked_at_is_read(between, request):
    """Turned there and back, a region is what it was; the box of its box is twice as large."""
    name = request.node.callspec.id
    still = {"control_point_spacing": (2, 8, 8), "jitter_sigma": (0, 0, 0)}
    asked = Asked()
    pipeline = (
        volume()
        + asked
        + gp.ElasticAugment(**still, rotation_interval=(-0.7, -0.7))
        + between()
        + gp.ElasticAugment(**still, rotation_interval=(0.7, 0.7))
    )
    got = served(pipeline, asking(RAW=INNER))[RAW]
    plain = served(volume(), asking(RAW=INNER))[RAW]
    values = got.data[0] if got.data.ndim == 4 else got.data
    tight = name in ("values", "factor", "unsqueeze")
    factor = 2 if name in ("values", "factor") else 1
    np.testing.assert_allclose(values, plain.data * factor, atol=2e-3)
    if name != "precache":  # whose worker is asked
        assert (asked.rois[-1].size < 1.3 * INNER.size) is tight
