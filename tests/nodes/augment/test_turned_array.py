"""Targets made upstream of a spatial node are those that are made downstream of it."""

import numpy as np
import pytest

import voxflow as gp
from tests.helpers import Nothing, asking, served, source
from voxflow.nodes.augment.spatial import SpatialAugment
from voxflow.ops.descriptors import descriptor_reach, local_shape_descriptors
from voxflow.ops.maps import Affine, ControlPointDisplacement, mirror_transpose, rotation
from voxflow.ops.maps.moves import Moves
from voxflow.ops.symmetries import symmetries
from voxflow.pipeline.data.kinds import Affinities, Descriptors, Vectors

LABELS, AFFS, VECTORS, LSDS = map(gp.ArrayKey, ("LABELS", "AFFS", "VECTORS", "LSDS"))
NEAREST = [[-1, 0, 0], [0, -1, 0], [0, 0, -1]]
FAR = [*NEAREST, [1, 0, 0], [0, 1, 0], [0, 0, 1], [-3, 0, 0], [0, -3, 0], [0, 0, -3]]


class Show(SpatialAugment):
    """Shows everything through a given map."""

    def __init__(self, warp, labels="nearest"):
        self.warp = warp
        self.labels = labels

    def draw(self, request, rng):
        return self.warp


def blobs(shape, seed=0):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 5, [n // 4 + 1 for n in shape]).astype(np.uint64)
    for axis, part in enumerate((4, 4, 4)[: len(shape)]):
        coarse = coarse.repeat(part, axis=axis)
    coarse[coarse > 0] += np.uint64(2**63)
    return coarse[tuple(slice(n) for n in shape)]


def volume(size, shape=(32, 32, 32), offset=None):
    return source(LABELS, blobs(shape), size, offset, False)


class AddDescriptors(gp.BatchFilter):
    def __init__(self, sigma, size):
        self.sigma, self.size = sigma, gp.Coordinate(size)

    def setup(self):
        self.around = gp.Coordinate(descriptor_reach(self.sigma, self.size)) * self.size
        spec = self.spec[LABELS].copy()
        spec.roi = spec.roi.grow(-self.around, -self.around)
        spec.dtype, spec.kind = np.float32, Descriptors(self.sigma)
        self.provides(LSDS, spec)
        self.enable_autoskip()

    def prepare(self, request):
        return gp.BatchRequest({LABELS: request[LSDS].roi.grow(self.around, self.around)})

    def process(self, batch, request):
        spec = self.spec[LSDS].copy()
        spec.roi = request[LSDS].roi
        region = [
            slice(int(a / v), -int(a / v)) for a, v in zip(self.around, self.size, strict=True)
        ]
        labels = batch[LABELS].crop(spec.roi.grow(self.around, self.around)).data
        data = local_shape_descriptors(labels, self.sigma, self.size)[(slice(None), *region)]
        made = gp.Batch()
        made[LSDS] = gp.Array(np.ascontiguousarray(data), spec)
        return made


def both_ways(source, make, add, key, roi, labels=LABELS):
    """A target made before and after the map, and the labels that go with the first."""
    name = str(key)
    before = served(source() + add() + make(), asking(**{name: roi, "LABELS": roi}))
    after = served(source() + make() + add(), asking(**{name: roi, "LABELS": roi}))
    np.testing.assert_array_equal(before[labels].data, after[labels].data)
    assert before[key].spec == after[key].spec
    return before[key], after[key]


@pytest.mark.parametrize("neighborhood", [NEAREST, FAR], ids=["one side", "far"])
def test_affinities_of_all_symmetries_of_the_cube(neighborhood):
    roi = gp.Roi((24, 32, 40), (40, 48, 40))
    for symmetry in symmetries(3):
        warp = mirror_transpose([64.0] * 3, symmetry.mirror, symmetry.order)
        before, after = both_ways(
            lambda: volume((4, 4, 4)),
            lambda warp=warp: Show(warp),
            lambda: gp.AddAffinities(neighborhood, LABELS, AFFS),
            AFFS,
            roi,
        )
        np.testing.assert_array_equal(before.data, after.data)
        assert 0.1 < before.data.mean() < 0.9
        assert before.attrs["affinity_neighborhood"] == neighborhood


def test_affinities_of_anisotropic_voxels():
    size, roi = (40, 4, 4), gp.Roi((400, 32, 40), (400, 48, 40))
    kept = [s for s in symmetries(3) if s.order[0] == 0]
    assert len(kept) == 16
    for symmetry in kept:
        warp = mirror_transpose([640.0, 64.0, 64.0], symmetry.mirror, symmetry.order)
        before, after = both_ways(
            lambda: volume(size),
            lambda warp=warp: Show(warp),
            lambda: gp.AddAffinities([[-1, 0, 0], [0, -2, 0], [0, 0, -2]], LABELS, AFFS),
            AFFS,
            roi,
        )
        np.testing.assert_array_equal(before.data, after.data)


@pytest.mark.parametrize("seed", range(12))
def test_random_nodes_in_a_row(seed):
    """Several mirrors and transpositions, of the square, with others in between."""
    roi = gp.Roi((40, 40), (40, 32))
    # All is mirrored about the centre of what is asked for, which context must not move.
    request = asking(AFFS=roi, LABELS=roi.grow(16, 16))

    def make():
        return gp.SimpleAugment() + Nothing() + gp.SimpleAugment() + gp.SimpleAugment(p=0.5)

    for neighborhood in ([[-1, 0], [0, -1]], [[1, 0], [0, -1], [-2, -1], [-1, 2], [2, -1], [1, 2]]):
        add = gp.AddAffinities(neighborhood, LABELS, AFFS)
        batches = [
            served(pipeline, request, seed)
            for pipeline in (
                volume((2, 2), (60, 60)) + gp.AddAffinities(neighborhood, LABELS, AFFS) + make(),
                volume((2, 2), (60, 60)) + make() + add,
            )
        ]
        np.testing.assert_array_equal(*(batch[LABELS].data for batch in batches))
        np.testing.assert_array_equal(*(batch[AFFS].data for batch in batches))


def test_descriptors_of_all_symmetries_of_the_cube():
    roi = gp.Roi((52, 56, 48), (20, 24, 24))
    for symmetry in symmetries(3):
        warp = mirror_transpose([64.0] * 3, symmetry.mirror, symmetry.order)
        before, after = both_ways(
            lambda: volume((4, 4, 4)),
            lambda warp=warp: Show(warp),
            lambda: AddDescriptors(8.0, (4, 4, 4)),
            LSDS,
            roi,
        )
        np.testing.assert_allclose(before.data, after.data, atol=2e-6)


# -- vectors --------------------------------------------------------------------------------------


def way_to(target, roi, size):
    """For each voxel the way to a place (world)."""
    size, begin = np.array(size, float), np.array(roi.begin, float)
    shape = np.array(roi.shape, int) // np.array(size, int)
    places = np.moveaxis(np.indices(shape), 0, -1)
    return np.moveaxis(np.array(target) - (begin + (places + 0.5) * size), -1, 0)


MAPS = {
    "rotation": rotation(0.7, [160.0, 70.0, 60.0]),
    "rotation about another axis": rotation(0.4, [160.0, 70.0, 60.0], (0, 2)),
    "zoom and shear": Affine([[1, 0.1, 0], [0, 0.8, 0.3], [0, 0, 1.2]], [160.0, 70.0, 60.0]),
    "elastic": ControlPointDisplacement(
        np.random.default_rng(0).normal(0, 4, (3, 4, 4, 4)), [0, 0, 0], [320, 128, 128]
    ),
}


@pytest.mark.parametrize("units", ["world", "voxels"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", [n for n in MAPS if n != "elastic"])
def test_vectors_point_where_they_did(name, units, dtype):
    """What pointed to a place points to where that is shown; exactly, as the map is affine."""
    size, warp = (8, 2, 2), MAPS[name]
    world, roi = gp.Roi((0, 0, 0), (320, 128, 128)), gp.Roi((120, 52, 40), (64, 24, 32))
    scale = np.array(size).reshape(3, 1, 1, 1) if units == "voxels" else 1.0
    ways = way_to([150.0, 61.0, 64.0], world, size) / scale
    spec = gp.ArraySpec(world, size, interpolatable=True, kind=Vectors(units))
    line = gp.ArraySource(VECTORS, gp.Array(ways.astype(dtype), spec)) + Show(warp)
    found = served(line, asking(VECTORS=roi))[VECTORS]
    assert found.spec.kind == Vectors(units)
    assert found.data.dtype == dtype
    target = warp.points([[150.0, 61.0, 64.0]])[0]
    np.testing.assert_allclose(found.data, way_to(target, roi, size) / scale, atol=1e-3)


def test_vectors_follow_the_local_turn_of_a_deformation():
    """Short ways from place to place, the ends of which are moved by themselves."""
    size, warp = (8, 2, 2), MAPS["elastic"]
    world, roi = gp.Roi((0, 0, 0), (320, 128, 128)), gp.Roi((80, 40, 40), (160, 48, 48))
    rng = np.random.default_rng(3)
    way = rng.normal(size=3)
    spec = gp.ArraySpec(world, size, interpolatable=True, kind=Vectors())
    ways = np.broadcast_to(way.reshape(3, 1, 1, 1), (3, 40, 64, 64))
    line = gp.ArraySource(VECTORS, gp.Array(ways, spec)) + Show(warp)
    found = served(line, asking(VECTORS=roi))[VECTORS].data.reshape(3, -1).T
    places = -way_to([0, 0, 0], roi, size).reshape(3, -1).T
    there = warp.pull(places)
    step = 1e-4
    wanted = (warp.points(there + step * way) - warp.points(there - step * way)) / (2 * step)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert np.abs(wanted - way).max() > 0.2


def test_vectors_in_two_dimensions_through_symmetries_of_the_square():
    world, roi = gp.Roi((0, 0), (120, 120)), gp.Roi((42, 60), (24, 36))
    target = [44.0, 75.0]
    spec = gp.ArraySpec(world, (6, 6), interpolatable=True, kind=Vectors())
    array = gp.Array(way_to(target, world, (6, 6)), spec)
    for symmetry in symmetries(2):
        warp = Moves([60.0, 60.0], symmetry.mirror, symmetry.order, [60.0, 60.0])
        found = served(gp.ArraySource(VECTORS, array) + Show(warp), asking(VECTORS=roi))
        wanted = way_to(warp.points([target])[0], roi, (6, 6))
        np.testing.assert_allclose(found[VECTORS].data, wanted)


def test_a_map_of_fewer_axes_leaves_the_others():
    world, roi = gp.Roi((0, 0, 0), (80, 120, 120)), gp.Roi((16, 48, 48), (24, 24, 24))
    target = [33.0, 61.0, 55.0]
    warp = rotation(0.5, [60.0, 60.0])
    spec = gp.ArraySpec(world, (8, 6, 6), interpolatable=True, kind=Vectors())
    line = gp.ArraySource(VECTORS, gp.Array(way_to(target, world, (8, 6, 6)), spec)) + Show(warp)
    found = served(line, asking(VECTORS=roi))[VECTORS].data
    wanted = way_to([33.0, *warp.points([target[1:]])[0]], roi, (8, 6, 6))
    np.testing.assert_allclose(found, wanted, atol=1e-9)


# -- what cannot be -------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [1, 0.5])
def test_mistakes_are_found_before_the_run(p):
    """Whatever is drawn: one of the symmetries that may be drawn is enough."""
    add = gp.AddAffinities([[-1, 0, 0], [0, -3, 0], [0, 0, -1]], LABELS, AFFS)
    pipeline = volume((4, 4, 4)) + add + gp.SimpleAugment(p=p)
    request = asking(AFFS=gp.Roi((40, 40, 40), (40, 40, 40)))
    with gp.build(pipeline, seed=1):
        for seed in range(20):
            request._set_seed(seed)
            with pytest.raises(ValueError, match="SimpleAugment cannot turn AFFS") as caught:
                pipeline.check(request)
            assert "(0, -3, 0)" in str(caught.value)
            assert "put AddAffinities downstream" in str(caught.value)
            assert "transpose_only" in str(caught.value)


def test_what_is_sure_to_be_mirrored_may_be_mirrored_only_together():
    add = gp.AddAffinities([[1, 2]], LABELS, AFFS)
    both = gp.SimpleAugment(mirror_probs=[1, 1], transpose_only=[])
    request = asking(AFFS=gp.Roi((40, 40), (40, 40)))
    served(volume((4, 4), (32, 32)) + add + both, request)
    one = gp.SimpleAugment(mirror_probs=[1, 0.5], transpose_only=[])
    add = gp.AddAffinities([[1, 2]], LABELS, AFFS)
    with pytest.raises(ValueError, match="would have to show those of"):
        served(volume((4, 4), (32, 32)) + add + one, request)


@pytest.mark.parametrize("transpose", [[0, 2], []])
def test_axes_that_do_not_matter_may_be_turned(transpose):
    add = gp.AddAffinities([[-1, 0, 0], [0, -3, 0], [0, 0, -1]], LABELS, AFFS)
    pipeline = volume((4, 4, 4)) + add + gp.SimpleAugment(transpose_only=transpose)
    request = asking(AFFS=gp.Roi((40, 40, 40), (40, 40, 40)))
    for seed in range(8):
        served(pipeline.copy(), request, seed)


def test_too_little_context_is_found_before_the_run():
    """Affinities that have to be read one voxel beyond, which are not there."""
    roi = gp.Roi((4, 4, 4), (124, 124, 124))
    add = gp.AddAffinities(NEAREST, LABELS, AFFS)
    pipeline = volume((4, 4, 4)) + add + gp.SimpleAugment()
    with gp.build(pipeline, seed=1):
        for seed in range(20):
            request = asking(AFFS=roi)
            request._set_seed(seed)
            with pytest.raises(gp.RequestRefused, match="misses 4 world units = 1 voxel"):
                pipeline.check(request)


@pytest.mark.parametrize(
    ("kind", "channels"), [(Affinities(NEAREST), 3), (Descriptors(8), 10)], ids=["affs", "lsds"]
)
def test_what_is_deformed_has_to_be_made_after_it(kind, channels):
    spec = gp.ArraySpec(gp.Roi((0, 0, 0), (80, 80, 80)), (4, 4, 4), kind=kind)
    line = gp.ArraySource(AFFS, gp.Array(np.zeros((channels, 20, 20, 20), np.float32), spec))
    pipeline = line + gp.ElasticAugment((4, 4, 4), (1, 1, 1), (0, 1))
    request = asking(AFFS=gp.Roi((32, 32, 32), (16, 16, 16)))
    with gp.build(pipeline, seed=1), pytest.raises(ValueError, match="cannot turn AFFS.*downst"):
        pipeline.check(request)


@pytest.mark.parametrize(
    ("dtype", "augment"),
    [
        (np.int32, lambda: gp.ElasticAugment((4, 4), (0, 0), (0.1, 1), spatial_dims=2)),
        (np.uint8, lambda: gp.SimpleAugment(mirror_probs=[0.01, 0.01])),
    ],
)
def test_vectors_that_would_be_rounded_are_found_before_the_run(dtype, augment):
    spec = gp.ArraySpec(voxel_size=(4, 4), kind=Vectors())
    line = gp.ArraySource(VECTORS, np.zeros((2, 20, 20), dtype), spec=spec) + augment()
    with gp.build(line, seed=1), pytest.raises(ValueError, match="cannot turn VECTORS.*AsType"):
        line.check(asking(VECTORS=gp.Roi((32, 32), (16, 16))))


RARELY = {
    "shift": lambda: gp.ShiftAugment(1e-9, 0, sigma=8),
    "slip": lambda: gp.ElasticAugment((9, 9, 9), (0, 0, 0), (0, 0), (1, 1), 1e-9, 0, 3),
    "deform": lambda: gp.DeformAugment((9, 9, 9), (1, 1, 1), p=1e-9),
    "rotation": lambda: gp.Warp(rotation=(0.1, 0.2), chance=1e-9),
    "elastic": lambda: gp.Warp(
        control_point_spacing=(9, 9, 9), jitter_sigma=(1, 1, 1), elastic_chance=1e-9
    ),
}


@pytest.mark.parametrize("name", RARELY)
def test_what_is_drawn_rarely_is_found_before_the_run(name):
    data = np.zeros((1, 20, 20, 20), np.uint8)
    spec = gp.ArraySpec(voxel_size=(4, 4, 4), kind=gp.Affinities([[-1, 0, 0]]))
    pipeline = gp.ArraySource(AFFS, data, spec=spec) + RARELY[name]()
    with (
        gp.build(pipeline, seed=1),
        pytest.raises(ValueError, match="affinities compare whole voxels"),
    ):
        pipeline.check(asking(AFFS=gp.Roi((20, 20, 20), (40, 40, 40))))


def test_nodes_that_never_do_more_than_a_quarter_turn_are_no_mistake():
    data = np.zeros((2, 20, 20, 20), np.uint8)
    kind = gp.Affinities([[0, -1, 0], [0, 0, -1]])
    spec = gp.ArraySpec(voxel_size=(4, 4, 4), kind=kind, interpolatable=False)
    for node in (
        gp.Warp(rotation=(np.pi / 2, np.pi / 2)),
        gp.Warp(mirror=(1, 2), transpose=(1, 2)),
        gp.ElasticAugment((9, 9, 9), (0, 0, 0), (np.pi / 2, np.pi / 2)),
        gp.ElasticAugment((9, 9, 9), (1, 1, 1), (0, 1), p=0),
    ):
        batch = served(
            gp.ArraySource(AFFS, data, spec=spec) + node,
            asking(AFFS=gp.Roi((20, 20, 20), (40, 40, 40))),
        )
        assert batch[AFFS].data.shape == (2, 10, 10, 10)


def test_channels_that_do_not_fit_are_named():
    spec = gp.ArraySpec(gp.Roi((0, 0), (80, 80)), (4, 4), kind=Vectors())
    array = gp.Array(np.zeros((3, 20, 20), np.float32), spec)
    for warp in (rotation(0.3, [40.0, 40.0]), rotation(np.pi, [40.0, 40.0])):
        with pytest.raises(ValueError, match=r"the array has the shape \(3, 4, 4\)"):
            line = gp.ArraySource(VECTORS, array) + Show(warp)
            served(line, asking(VECTORS=gp.Roi((32, 32), (16, 16))))


# -- as before ------------------------------------------------------------------------------------


def test_plain_arrays_stay_recipes():
    seen = []

    class Look(gp.BatchFilter):
        looks_at_nothing = True

        def process(self, batch, request):
            seen.append({str(k): a.deferred is not None for k, a in batch.arrays.items()})

    roi = gp.Roi((40, 40, 40), (40, 40, 40))
    add = gp.AddAffinities(NEAREST, LABELS, AFFS)
    pipeline = volume((4, 4, 4)) + add + gp.SimpleAugment() + Look()
    served(pipeline, asking(AFFS=roi, LABELS=roi))
    assert seen == [{"AFFS": False, "LABELS": True}]


class Declare(gp.BatchFilter):
    """Says anew what values are."""

    looks_at_nothing = True

    def __init__(self, kind):
        self.kind = kind

    def setup(self):
        spec = self.spec[VECTORS].copy()
        spec.kind = self.kind
        self.updates(VECTORS, spec)

    def process(self, batch, request):
        batch[VECTORS].spec.kind = self.kind


def test_each_node_heeds_what_is_declared_there():
    """Of several maps in a row, those that turn values have them made, whatever comes after."""
    world, roi = gp.Roi((0, 0), (240, 240)), gp.Roi((102, 96), (24, 36))
    spec = gp.ArraySpec(world, (6, 6), interpolatable=True)
    array = gp.Array(way_to([110.0, 121.0], world, (6, 6)), spec)
    first, second = rotation(0.4, [120.0, 120.0]), rotation(0.7, [120.0, 120.0])
    third = Moves([120.0, 120.0], [True, False], [1, 0], [120.0, 120.0])
    line = (
        gp.ArraySource(VECTORS, array)
        + Show(first)
        + Declare(Vectors())
        + Show(second)
        + Declare(None)
        + Show(third)
    )
    found = served(line, asking(VECTORS=roi))[VECTORS]
    assert found.spec.kind is None
    centers = -way_to([0, 0], roi, (6, 6)).reshape(2, -1).T
    there = first.pull(second.pull(third.pull(centers)))
    ways = (np.array([110.0, 121.0]) - there) @ np.asarray(second.matrix)
    np.testing.assert_allclose(found.data.reshape(2, -1).T, ways, atol=1e-9)
