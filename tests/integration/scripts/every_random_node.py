"""Every node that rolls dice, many times; what comes out in numbers. Written for gunpowder 1.4.

usage: every_random_node.py OUT.npz
"""

import logging
import random
import sys
import traceback

import gunpowder as gp
import numpy as np

logging.disable(logging.WARNING)
CASES = {}
A, B, C = (gp.ArrayKey(name) for name in "ABC")
G = gp.GraphKey("G")
SIZE = gp.Coordinate(4, 2, 2)
SHAPE = (24, 60, 60)


def case(draws):
    def mark(function):
        CASES[function.__name__] = (function, draws)
        return function

    return mark


class Source(gp.BatchProvider):
    def __init__(self, key, data, size=SIZE, interpolatable=None):
        self.key, self.data = key, data
        roi = gp.Roi((0,) * len(size), gp.Coordinate(data.shape[-len(size) :]) * size)
        self.its = gp.ArraySpec(roi, size, interpolatable, dtype=data.dtype)

    def setup(self):
        self.provides(self.key, self.its)

    def provide(self, request):
        batch = gp.Batch()
        spec = self.its.copy()
        roi = request[self.key].roi
        begin = roi.offset / spec.voxel_size
        where = tuple(slice(int(b), int(b + n)) for b, n in zip(begin, roi.shape / spec.voxel_size))
        spec.roi = roi
        batch[self.key] = gp.Array(self.data[(Ellipsis, *where)].copy(), spec)
        return batch


def places():
    """Each voxel's own index."""
    return np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij")).astype(np.float32)


def asked(**rois):
    request = gp.BatchRequest()
    for name, roi in rois.items():
        request[gp.ArrayKey(name)] = gp.Roi(*roi)
    return request


def draws(pipeline, request, look, count):
    found = []
    with gp.build(pipeline):
        for n in range(count):
            again = gp.BatchRequest(random_seed=1000 + n)
            for key, spec in request.items():
                again[key] = spec
            found.append(look(pipeline.request_batch(again)))
    return np.array(found)


def index_of(batch):
    """Where the first voxel comes from."""
    return batch[A].data[:, 0, 0, 0]


PATCH = ((0, 0, 0), (80, 100, 100))  # 20, 50, 50 voxels: 5 * 11 * 11 places


@case(3000)
def random_location(count):
    pipeline = Source(A, places()) + gp.RandomLocation()
    return {"index": draws(pipeline, asked(A=PATCH), index_of, count)}


@case(1500)
def random_location_in_a_mask(count):
    mask = np.zeros(SHAPE, np.uint8)
    mask[4:, :30, 20:] = 1
    pipeline = (Source(A, places()), Source(B, mask)) + gp.MergeProvider()
    pipeline += gp.RandomLocation(min_masked=0.6, mask=B)
    request = asked(A=((0, 0, 0), (40, 40, 40)), B=((0, 0, 0), (40, 40, 40)))
    return {"index": draws(pipeline, request, index_of, count)}


@case(1500)
def random_location_near_points(count):
    spots = [(20, 40, 40), (22, 42, 42), (60, 70, 30), (80, 100, 110)]
    nodes = [gp.Node(n, np.array(spot)) for n, spot in enumerate(spots)]
    graph = gp.Graph(nodes, [], gp.GraphSpec(gp.Roi((0, 0, 0), (96, 120, 120))))
    pipeline = (Source(A, places()), gp.GPGraphSource(G, graph)) + gp.MergeProvider()
    pipeline += gp.RandomLocation(ensure_nonempty=G, point_balance_radius=5)
    request = asked(A=((0, 0, 0), (20, 20, 20)))
    request[G] = gp.GraphSpec(gp.Roi((0, 0, 0), (20, 20, 20)))

    def look(batch):
        return [*index_of(batch), batch[G].num_vertices()]

    found = draws(pipeline, request, look, count)
    return {"index": found[:, :3], "points": found[:, 3:]}


@case(2000)
def random_provider(count):
    sources = tuple(Source(A, np.full(SHAPE, n, np.uint8)) for n in range(3))
    pipeline = sources + gp.RandomProvider([1, 2, 5])
    return {"which": draws(pipeline, asked(A=PATCH), lambda b: [b[A].data[0, 0, 0]], count)}


@case(400)
def reject(count):
    mask = np.zeros(SHAPE, np.uint8)
    mask[:, 20:40, 20:40] = 1
    pipeline = (Source(A, places()), Source(B, mask)) + gp.MergeProvider() + gp.RandomLocation()
    pipeline += gp.Reject(B, 0.5)
    box = ((0, 0, 0), (40, 40, 40))
    request = asked(A=box, B=box)
    found = []
    with gp.build(pipeline):
        for _ in range(count):
            found.append(index_of(pipeline.request_batch(request)))
    return {"index": np.array(found)}


@case(2000)
def simple_augment(count):
    pipeline = Source(A, places()) + gp.SimpleAugment(transpose_only=[1, 2])

    def look(batch):
        data = batch[A].data
        steps = [np.diff(data, axis=1 + axis).mean(axis=(1, 2, 3)).round() for axis in range(3)]
        return np.stack(steps).ravel()

    return {"steps": draws(pipeline, asked(A=((8, 20, 20), (40, 40, 40))), look, count)}


@case(2000)
def simple_augment_with_chances(count):
    z, y, x = places()
    pipeline = Source(A, z * 10000 + y * 100 + x) + gp.SimpleAugment(
        mirror_only=[0, 2],
        mirror_probs=[0.2, 0, 0.9],
        transpose_only=[1, 2],
        p=0.7,
    )

    def look(batch):
        return [np.diff(batch[A].data, axis=axis).mean().round() for axis in range(3)]

    return {"steps": draws(pipeline, asked(A=((8, 20, 20), (40, 40, 40))), look, count)}


def some_places(batch):
    """Where some of the voxels come from."""
    data = batch[A].data
    z, y, x = data.shape[1:]
    return np.concatenate([data[:, z // 2, y // 2, x // 2], data[:, z // 4, y // 4, x // 3]])


BOX = ((32, 40, 40), (32, 40, 40))


@case(800)
def elastic_augment_points(count):
    pipeline = Source(A, places(), interpolatable=True)
    pipeline += gp.ElasticAugment((4, 10, 10), (0, 1, 1), (0, 0))
    return {"place": draws(pipeline, asked(A=BOX), some_places, count)}


@case(800)
def elastic_augment_rotation(count):
    pipeline = Source(A, places(), interpolatable=True)
    pipeline += gp.ElasticAugment((4, 10, 10), (0, 0, 0), (0, np.pi / 2))
    return {"place": draws(pipeline, asked(A=BOX), some_places, count)}


@case(800)
def elastic_augment_scale(count):
    pipeline = Source(A, places(), interpolatable=True)
    pipeline += gp.ElasticAugment((4, 10, 10), (0, 0, 0), (0, 0), (0.8, 1.2))
    return {"place": draws(pipeline, asked(A=BOX), some_places, count)}


@case(800)
def elastic_augment_sections(count):
    pipeline = Source(A, places(), interpolatable=True)
    pipeline += gp.ElasticAugment(
        (4, 10, 10), (0, 0, 0), (0, 0), prob_slip=0.2, prob_shift=0.2, max_misalign=4
    )

    def misaligned(batch):
        return np.diff(batch[A].data[1, :, 5, 5]).round()

    return {"step": draws(pipeline, asked(A=BOX), misaligned, count)}


@case(500)
def deform_augment_points(count):
    pipeline = Source(A, places(), interpolatable=True)
    pipeline += gp.DeformAugment((16, 20, 20), (0, 2, 2), rotate=False)
    return {"place": draws(pipeline, asked(A=BOX), some_places, count)}


@case(500)
def deform_augment_scale(count):
    pipeline = Source(A, places(), interpolatable=True)
    pipeline += gp.DeformAugment((16, 20, 20), (0, 0, 0), (0.8, 1.2), rotate=False)
    return {"place": draws(pipeline, asked(A=BOX), some_places, count)}


@case(500)
def deform_augment_rotation(count):
    cube = np.stack(np.meshgrid(*[np.arange(60)] * 3, indexing="ij")).astype(np.float32)
    pipeline = Source(A, cube, gp.Coordinate(2, 2, 2), interpolatable=True)
    pipeline += gp.DeformAugment((10, 10, 10), (0, 0, 0), rotate=True, spatial_dims=3)
    return {"place": draws(pipeline, asked(A=((44, 44, 44), (32, 32, 32))), some_places, count)}


@case(1000)
def shift_augment(count):
    image = places()[1] * 100 + places()[2]
    pipeline = Source(A, image) + gp.ShiftAugment(prob_slip=0.3, prob_shift=0.1, sigma=3)

    def look(batch):
        data = batch[A].data[:, 0, 0]
        return np.concatenate([np.diff(data // 100), np.diff(data % 100)])

    return {"step": draws(pipeline, asked(A=((16, 50, 50), (32, 20, 20))), look, count)}


@case(1500)
def intensity_augment(count):
    data = np.random.default_rng(0).uniform(0.4, 0.6, SHAPE).astype(np.float32)
    pipeline = Source(A, data) + gp.IntensityAugment(A, 0.5, 1.5, -0.1, 0.1, p=0.8)

    def look(batch):
        return [batch[A].data.mean(), batch[A].data.std()]

    return {"moments": draws(pipeline, asked(A=BOX), look, count)}


@case(1500)
def intensity_augment_in_slabs(count):
    data = np.random.default_rng(0).uniform(0.4, 0.6, SHAPE).astype(np.float32)
    pipeline = Source(A, data) + gp.IntensityAugment(A, 0.5, 1.5, -0.1, 0.1, slab=(3, -1, -1))

    def look(batch):
        return [*batch[A].data.mean(axis=(1, 2))[[0, 2, 3]], *batch[A].data.std(axis=(1, 2))[:2]]

    return {"moments": draws(pipeline, asked(A=BOX), look, count)}


def noisy(mode, count, **options):
    data = np.full(SHAPE, 0.5, np.float32)
    pipeline = Source(A, data) + gp.NoiseAugment(A, mode, **options)

    def look(batch):
        seen = batch[A].data
        return [seen.mean(), seen.std(), seen[0, 0, 0], (seen == 0).mean(), (seen == 1).mean()]

    return {"moments": draws(pipeline, asked(A=BOX), look, count)}


@case(800)
def noise_augment(count):
    return noisy("gaussian", count, var=0.02)


@case(800)
def noise_augment_with_salt(count):
    return noisy("s&p", count, amount=0.1)


@case(800)
def noise_augment_of_poisson(count):
    return noisy("poisson", count)


@case(1500)
def defect_augment(count):
    data = np.random.default_rng(0).uniform(0.4, 0.6, SHAPE).astype(np.float32)
    pipeline = Source(A, data) + gp.DefectAugment(A, 0.2, 0.3, contrast_scale=0.1)

    def look(batch):
        spread = batch[A].data.std(axis=(1, 2))
        return np.where(spread == 0, 0, np.where(spread < 0.02, 1, 2))

    return {"kind": draws(pipeline, asked(A=BOX), look, count)}


@case(600)
def defect_augment_with_artifacts(count):
    data = np.full(SHAPE, 0.5, np.float32)
    artifacts = (
        (
            Source(B, np.ones((40, 40, 40), np.float32)),
            Source(C, np.full((40, 40, 40), 0.25, np.float32)),
        )
        + gp.MergeProvider()
        + gp.RandomLocation()
    )

    class Wrapped(gp.BatchProvider):
        """A pipeline as one node, as gunpowder takes no pipeline here."""

        def setup(self):
            artifacts.setup()
            for key, spec in artifacts.spec.items():
                self.provides(key, spec)

        def provide(self, request):
            return artifacts.request_batch(request)

        def teardown(self):
            artifacts.internal_teardown()

    pipeline = Source(A, data) + gp.DefectAugment(
        A, 0, 0, 0.3, artifact_source=Wrapped(), artifacts=B, artifacts_mask=C
    )

    def look(batch):
        return batch[A].data[:, 4, 4].round(4)

    return {"value": draws(pipeline, asked(A=BOX), look, count)}


results = {}
only = sys.argv[2:]
for name, (function, count) in CASES.items():
    if only and name not in only:
        continue
    random.seed(1)
    np.random.seed(1)
    try:
        for key, value in function(count).items():
            results[f"{name}/{key}"] = np.asarray(value)
    except Exception as error:
        text = "".join(traceback.format_exception(error))
        results[f"{name}/error"] = np.array(text[-3000:])
np.savez_compressed(sys.argv[1], **results)
