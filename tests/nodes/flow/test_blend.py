"""Blend: the same voxels whatever is asked for, and what all tiles agree on as it is."""

import threading

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import voxflow as gp
from voxflow.torch import Predict

RAW, OTHER = gp.ArrayKey("RAW"), gp.ArrayKey("OTHER")
SIZES = ("1", "4", "9.8", "1/3")


class Place(gp.BatchFilter):
    """Makes of each tile what depends on where it lies: noise, for each seed another."""

    def __init__(self):
        self.asked, self.made = [], []

    def setup(self):
        self.updates(RAW, self.spec[RAW])
        self.enable_autoskip()

    def draw(self, request, rng):
        return rng.integers(2**31)

    def process(self, batch, request):
        self.asked.append(request[RAW].roi)
        noise = np.random.default_rng(self.plan(request)).normal(size=batch[RAW].data.shape)
        batch[RAW].data = noise.astype(np.float32)
        self.made.append(batch[RAW].data)


def volume(shape, size, lead=(), dtype=np.float32, values=None, begin=None):
    rng = np.random.default_rng(0)
    data = rng.random((*lead, *shape)).astype(dtype) if values is None else values
    voxel_size = gp.Coordinate(size)
    offset = voxel_size * (gp.Coordinate((0,) * len(shape)) if begin is None else begin)
    spec = gp.ArraySpec(gp.Roi(offset, voxel_size * gp.Coordinate(shape)), voxel_size)
    return gp.ArraySource(RAW, gp.Array(data, spec)), data


def blending(shape, size, tile, overlap, **options):
    voxel_size = gp.Coordinate(size)
    reference = gp.BatchRequest({RAW: gp.Roi((3,) * len(shape), voxel_size * gp.Coordinate(tile))})
    return gp.Blend(reference, voxel_size * gp.Coordinate(overlap), **options)


def all_of(built, key=RAW):
    return built.request_batch(gp.BatchRequest({key: built.spec[key].roi}, random_seed=7))[key]


@st.composite
def worlds(draw):
    ndim = draw(st.integers(1, 3))
    tile = [draw(st.integers(1, 8)) for _ in range(ndim)]
    overlap = [draw(st.integers(0, n // 2)) for n in tile]
    shape = [draw(st.integers(n, 2 * n + 7)) for n in tile]
    size = [gp.Coordinate((draw(st.sampled_from([1, 4, 9.8])),))[0] for _ in range(ndim)]
    begin = gp.Coordinate([draw(st.integers(-9, 9)) for _ in range(ndim)])
    lead = draw(st.sampled_from([(), (2,), (1, 3)]))
    return {"shape": shape, "size": size, "lead": lead, "begin": begin}, tile, overlap


@settings(deadline=None, max_examples=30)
@given(worlds(), st.sampled_from([np.float32, np.float16]))
def test_what_all_tiles_agree_on_stays_bit_for_bit(world, dtype):
    options, tile, overlap = world
    source, data = volume(**options, dtype=dtype)
    with gp.build(source + blending(options["shape"], options["size"], tile, overlap)) as built:
        there = source.array.spec.roi
        assert built.spec[RAW].roi == there
        found = all_of(built)
        np.testing.assert_array_equal(found.data, data)
        assert found.data.dtype == dtype
        assert found.spec.roi == there


@settings(deadline=None, max_examples=30)
@given(worlds(), st.data())
def test_a_part_is_that_part_of_the_whole(world, data):
    options, tile, overlap = world
    source, _ = volume(**options)
    node = blending(options["shape"], options["size"], tile, overlap)
    with gp.build(source + Place() + node, seed=3) as built:
        whole = all_of(built)
        size = whole.spec.voxel_size
        low = [data.draw(st.integers(0, n - 1)) for n in options["shape"]]
        high = [
            data.draw(st.integers(b + 1, n)) for b, n in zip(low, options["shape"], strict=True)
        ]
        begin, end = gp.Coordinate(low), gp.Coordinate(high)
        part = gp.Roi(whole.spec.roi.begin + begin * size, (end - begin) * size)
        request = gp.BatchRequest({RAW: part}, random_seed=7)
        array = built.request_batch(request)[RAW]
    assert array.spec.roi == part
    np.testing.assert_array_equal(array.data, whole.crop(part).data)


def test_the_weighted_mean_of_two_tiles_by_hand():
    place = Place()
    source, _ = volume((8,), (2,))
    with gp.build(source + place + blending((8,), (2,), (5,), (2,)), seed=1) as built:
        found = all_of(built).data
    assert place.asked == [gp.Roi((0,), (10,)), gp.Roi((6,), (10,))]
    low, high = (tile.astype(np.float64) for tile in place.made)
    mixed = [low[3] * 0.75 + high[0] * 0.25, low[4] * 0.25 + high[1] * 0.75]
    np.testing.assert_array_equal(found, np.float32([*low[:3], *mixed, *high[2:]]))


def test_tiles_have_the_size_of_the_reference_and_lie_where_the_data_begin():
    place = Place()
    source, _ = volume((11,), (2,), begin=gp.Coordinate((5,)))
    with gp.build(source + place + blending((11,), (2,), (4,), (1,))) as built:
        built.request_batch(gp.BatchRequest({RAW: gp.Roi((20,), (2,))}))
        assert place.asked == [gp.Roi((16,), (8,))]
        place.asked.clear()
        all_of(built)
    assert [roi.begin[0] for roi in place.asked] == [10, 16, 22, 24]
    assert {roi.shape for roi in place.asked} == {gp.Coordinate((8,))}


def noisy(**options):
    source, _ = volume((20, 17), (4, 9.8))
    return source + Place() + blending((20, 17), (4, 9.8), (6, 5), (2, 2), **options)


@pytest.mark.parametrize(
    ("block", "cache_size", "options"),
    [
        ((7, 5), 0, {}),
        ((20, 3), 5, {}),
        pytest.param((7, 5), 5, {"num_workers": 2}, marks=pytest.mark.slow),
        ((7, 5), 5, {"num_workers": 2, "method": "thread"}),
    ],
)
def test_a_scan_gives_the_same_voxels_for_any_blocks_and_workers(block, cache_size, options):
    with gp.build(noisy(), seed=5) as built:
        request = gp.BatchRequest({RAW: built.spec[RAW].roi})
        whole = built.request_batch(request)[RAW]
    size = whole.spec.voxel_size
    reference = gp.BatchRequest({RAW: gp.Roi((0, 0), gp.Coordinate(block) * size)})
    scan = gp.Scan(reference, progress_callback=gp.ScanCallback(), **options)
    with gp.build(noisy(cache_size=cache_size) + scan, seed=5) as built:
        found = built.request_batch(request)[RAW]
    np.testing.assert_array_equal(found.data, whole.data)


def test_tiles_are_kept_for_one_batch_and_not_for_the_next():
    pipeline = noisy(cache_size=40)
    with gp.build(pipeline, seed=1) as built:
        request = gp.BatchRequest({RAW: built.spec[RAW].roi})
        one, two = (built.request_batch(request)[RAW].data for _ in range(2))
    assert not np.array_equal(one, two)
    with gp.build(noisy(cache_size=1), seed=1) as built:
        np.testing.assert_array_equal(built.request_batch(request)[RAW].data, one)


def test_kept_tiles_are_not_asked_for_again():
    place, (source, _) = Place(), volume((40,), (1,))
    node = blending((40,), (1,), (8,), (4,), cache_size=3)
    reference = gp.BatchRequest({RAW: gp.Roi((0,), (4,))})
    scan = gp.Scan(reference, progress_callback=gp.ScanCallback())
    with gp.build(source + place + node + scan, seed=1) as built:
        built.request_batch(gp.BatchRequest({RAW: built.spec[RAW].roi}))
    assert len(place.asked) == 9
    assert len(node._cache._tiles) == 0


def test_threads_may_ask_at_once():
    with gp.build(noisy(cache_size=3), seed=1) as built:
        request = gp.BatchRequest({RAW: built.spec[RAW].roi}, random_seed=9)
        expected, found = built.request_batch(request)[RAW].data, []
        threads = [
            threading.Thread(target=lambda: found.append(built.request_batch(request)[RAW].data))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(found) == 4
    for data in found:
        np.testing.assert_array_equal(data, expected)


def test_other_arrays_pass():
    source, data = volume((9, 8), (1, 1))
    other = gp.ArraySource(OTHER, gp.Array(np.arange(72).reshape(9, 8), gp.ArraySpec(
        gp.Roi((0, 0), (9, 8)), (1, 1)
    )))  # fmt: skip
    pipeline = (source, other) + gp.MergeProvider() + blending((9, 8), (1, 1), (4, 4), (2, 1))
    with gp.build(pipeline) as built:
        request = gp.BatchRequest({RAW: gp.Roi((1, 1), (6, 6)), OTHER: gp.Roi((7, 0), (2, 8))})
        batch = built.request_batch(request)
        np.testing.assert_array_equal(batch[RAW].data, data[1:7, 1:7])
        np.testing.assert_array_equal(batch[OTHER].data, np.arange(56, 72).reshape(2, 8))
        del request[RAW]
        assert built.request_batch(request)[OTHER].data.shape == (2, 8)
        request[RAW] = gp.ArraySpec(gp.Roi((0, 0), (2, 2)), placeholder=True)
        assert RAW not in built.request_batch(request)


@pytest.mark.parametrize(
    ("dtype", "tile", "overlap", "text"),
    [
        (np.uint64, (4, 4), (2, 2), "RAW holds uint64: labels and other integers"),
        (np.bool_, (4, 4), (2, 2), "RAW holds bool"),
        (np.float32, (4, 4), (3, 2), r"overlap=\(12, 8\) is to lie between 0 and half a tile"),
        (np.float32, (4, 4), (-1, 2), "between 0 and half a tile"),
        (np.float32, (4, 4), (2,), r"has 1 numbers, the reference 2 axes"),
        (np.float32, (4, 4), (0.5, 1), "whole numbers of voxels"),
        (np.float32, (4, 9), (0, 0), "fits nowhere into what is provided"),
    ],
)
def test_what_cannot_be_is_said_at_setup(dtype, tile, overlap, text):
    source, _ = volume((8, 8), (4, 4), dtype=dtype)
    reference = gp.BatchRequest({RAW: gp.Roi((0, 0), gp.Coordinate(tile) * 4)})
    node = gp.Blend(reference, gp.Coordinate(overlap) * 4)
    with pytest.raises(gp.PipelineSetupError, match=text), gp.build(source + node):
        pass


def test_arrays_of_other_regions_are_refused():
    source, _ = volume((8, 8), (4, 4))
    other = gp.ArraySource(OTHER, np.zeros((8, 8)), spec=gp.ArraySpec(voxel_size=(4, 4)))
    reference = gp.BatchRequest({RAW: gp.Roi((0, 0), (16, 16)), OTHER: gp.Roi((4, 4), (8, 8))})
    pipeline = (source, other) + gp.MergeProvider() + gp.Blend(reference, 4)
    with (
        pytest.raises(gp.PipelineSetupError, match=r"one region of all arrays.*Predict\(context"),
        gp.build(pipeline),
    ):
        pass
    reference[OTHER].placeholder = True
    with gp.build((source, other) + gp.MergeProvider() + gp.Blend(reference, 4)) as built:
        assert built.spec[RAW].roi == gp.Roi((0, 0), (32, 32))


def test_integers_that_turn_up_later_are_refused():
    class Ids(torch.nn.Module):
        def forward(self, x):
            return x.long()

    source, _ = volume((8, 8), (1, 1))
    predict = Predict(Ids(), {0: RAW}, {0: OTHER}, device="cpu", context=(0, 0))
    node = gp.Blend(gp.BatchRequest({OTHER: gp.Roi((0, 0), (4, 4))}), 2)
    with (
        gp.build(source + predict + node) as built,
        pytest.raises(TypeError, match="OTHER holds int64: labels"),
    ):
        all_of(built, OTHER)


# -- networks ---------------------------------------------------------------------------------


class Same(torch.nn.Module):
    """Convolutions that put zeros around what they see."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        layers = [torch.nn.Conv2d(1, 6, 5, padding=2), torch.nn.Tanh()]
        self.net = torch.nn.Sequential(*layers, torch.nn.Conv2d(6, 1, 5, padding=2))

    def forward(self, x):
        return self.net(x[None, None])[0, 0]


def test_a_placeholder_says_where_the_input_of_a_tile_is():
    class Valid(torch.nn.Module):
        def forward(self, x):
            return x[3:-3, 2:-2] * 2

    source, data = volume((30, 25), (4, 9.8))
    size = gp.Coordinate((4, 9.8))
    inside = gp.Roi(size * gp.Coordinate((3, 2)), size * gp.Coordinate((24, 21)))
    predict = Predict(Valid(), {0: RAW}, {0: OTHER}, {OTHER: gp.ArraySpec(inside)}, device="cpu")
    tile = gp.Roi((1, 1), size * gp.Coordinate((8, 9)))
    around = tile.grow(size * gp.Coordinate((3, 2)), size * gp.Coordinate((3, 2)))
    reference = gp.BatchRequest({OTHER: tile})
    reference[RAW] = gp.ArraySpec(around, placeholder=True)
    with gp.build(source + predict + gp.Blend(reference, size * 2)) as built:
        assert built.spec[OTHER].roi == inside
        found = all_of(built, OTHER).data
    np.testing.assert_array_equal(found, 2 * data[3:-3, 2:-2])


def seams(node, stride):
    """Steps of the prediction's error where tiles meet, relative to the steps elsewhere."""
    source, data = volume((96, 80), (1, 1))
    predict = Predict(Same(), {0: RAW}, {0: OTHER}, device="cpu", context=(0, 0))
    with gp.build(source + predict + node) as built:
        found = all_of(built, OTHER).data
    with torch.no_grad():
        error = np.abs(found - Same()(torch.from_numpy(data)).numpy())
    lines = np.arange(stride, 96, stride)
    return np.abs(np.diff(error, axis=0))[lines - 1].mean()


def test_blending_makes_seams_of_a_network_with_zero_padding_smaller():
    reference = gp.BatchRequest({OTHER: gp.Roi((0, 0), (24, 24))})
    scan = gp.Scan(reference, progress_callback=gp.ScanCallback())
    hard, soft = seams(scan, 24), seams(gp.Blend(reference, 8), 16)
    assert soft < 0.25 * hard, (hard, soft)
