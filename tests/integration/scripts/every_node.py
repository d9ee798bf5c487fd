"""Every node that rolls no dice, each on the same arrays; written for gunpowder 1.4.

usage: every_node.py OUT.npz
"""

import sys
import tempfile
import traceback
from pathlib import Path

import gunpowder as gp
import numpy as np

CASES = {}
A, B, C, D = (gp.ArrayKey(name) for name in "ABCD")
G, H = gp.GraphKey("G"), gp.GraphKey("H")
SIZE = gp.Coordinate(40, 4, 4)
SHAPE = (12, 40, 36)


def case(function):
    CASES[function.__name__] = function
    return function


def numbers(dtype, shape=SHAPE, seed=0):
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return rng.random(shape).astype(dtype)
    return rng.integers(0, 200, shape).astype(dtype)


def cells(dtype=np.uint64, shape=SHAPE, count=30, seed=1):
    """Ids of the nearest of some places, 0 in between."""
    rng = np.random.default_rng(seed)
    places = rng.random((count, len(shape))) * shape
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    away = np.sqrt((((grid[..., None, :] - places) * (3, 1, 1)) ** 2).sum(-1))
    away.sort(axis=-1)
    which = np.argmin((((grid[..., None, :] - places) * (3, 1, 1)) ** 2).sum(-1), -1) + 1
    which[away[..., 1] - away[..., 0] < 1.5] = 0
    return which.astype(dtype)


class Source(gp.BatchProvider):
    def __init__(self, key, data, size=SIZE, offset=None, interpolatable=None, typed=True):
        self.key, self.data = key, data
        dims = len(size)
        offset = gp.Coordinate((0,) * dims if offset is None else offset)
        roi = gp.Roi(offset, gp.Coordinate(data.shape[-dims:]) * size)
        self.its = gp.ArraySpec(roi, size, interpolatable, dtype=data.dtype if typed else None)

    def setup(self):
        self.provides(self.key, self.its)

    def provide(self, request):
        batch = gp.Batch()
        spec = self.its.copy()
        roi = request[self.key].roi
        begin = (roi.offset - spec.roi.offset) / spec.voxel_size
        where = tuple(slice(int(b), int(b + n)) for b, n in zip(begin, roi.shape / spec.voxel_size))
        spec.roi = roi
        batch[self.key] = gp.Array(self.data[(Ellipsis, *where)].copy(), spec)
        return batch


def asked(**rois):
    request = gp.BatchRequest()
    for name, roi in rois.items():
        key = gp.GraphKey(name[1:]) if name.startswith("_") else gp.ArrayKey(name)
        request[key] = roi if isinstance(roi, gp.ArraySpec) else gp.Roi(*roi)
    return request


def seen(name, graph):
    """What a graph holds, whatever the ids of its temporary nodes."""
    places = {node.id: tuple(np.round(node.location, 4).tolist()) for node in graph.nodes}
    return {
        f"{name} ids": np.array(sorted(n.id for n in graph.nodes if not n.temporary)),
        f"{name} places": np.array(sorted(places.values())),
        f"{name} edges": np.array(
            sorted(
                (places[e.u], places[e.v])
                if graph.directed
                else tuple(sorted([places[e.u], places[e.v]]))
                for e in graph.edges
            )
        ),
    }


def run(pipeline, request):
    """All that there is in a batch."""
    with gp.build(pipeline):
        specs = {
            str(key): [list(spec.roi.offset), list(spec.roi.shape)]
            for key, spec in pipeline.spec.items()
            if getattr(spec, "roi", None) is not None and spec.roi.offset[0] is not None
        }
        batch = pipeline.request_batch(request)
    found = {f"provides {key}": np.array(spec) for key, spec in specs.items()}
    for key, array in batch.arrays.items():
        found[str(key)] = array.data
    for key, graph in batch.graphs.items():
        found.update(seen(str(key), graph))
    return found


WHOLE = ((0, 0, 0), tuple(gp.Coordinate(SHAPE) * SIZE))
INNER = ((80, 32, 24), (320, 96, 80))
SMALL = ((120, 48, 40), (160, 48, 40))


# -- values


@case
def normalize_uint8():
    return run(Source(A, numbers(np.uint8)) + gp.Normalize(A), asked(A=INNER))


@case
def normalize_uint16():
    return run(Source(A, numbers(np.uint16)) + gp.Normalize(A), asked(A=INNER))


@case
def normalize_float():
    return run(Source(A, numbers(np.float32)) + gp.Normalize(A), asked(A=INNER))


@case
def normalize_factor():
    pipeline = Source(A, numbers(np.int32)) + gp.Normalize(A, 0.25, np.float64)
    return run(pipeline, asked(A=INNER))


@case
def intensity_scale_shift():
    return run(Source(A, numbers(np.float32)) + gp.IntensityScaleShift(A, 2, -1), asked(A=INNER))


@case
def as_type():
    return run(Source(A, numbers(np.uint8)) + gp.AsType(A, np.float32), asked(A=INNER))


@case
def as_type_to_another():
    pipeline = Source(A, numbers(np.uint8)) + gp.AsType(A, np.int64, B)
    return run(pipeline, asked(A=INNER, B=INNER))


@case
def down_sample():
    pipeline = Source(A, numbers(np.uint8)) + gp.DownSample(A, (1, 2, 4), B)
    return run(pipeline, asked(A=INNER, B=((80, 32, 32), (320, 96, 64))))


@case
def down_sample_by_a_number():
    return run(Source(A, cells()) + gp.DownSample(A, 2, B), asked(B=INNER))


@case
def up_sample():
    pipeline = Source(A, cells()) + gp.UpSample(A, gp.Coordinate(1, 2, 2), B)
    return run(pipeline, asked(B=((80, 30, 26), (120, 44, 36))))


def resample(order, data, target, interpolatable):
    pipeline = Source(A, data, interpolatable=interpolatable)
    pipeline += gp.Resample(A, gp.Coordinate(target), B, interp_order=order)
    return run(pipeline, asked(B=((80, 32, 32), (160, 64, 64))))


@case
def resample_labels_down():
    return resample(0, cells(np.uint32), (40, 8, 8), False)


@case
def resample_labels_up():
    return resample(0, cells(np.uint32), (40, 2, 2), False)


@case
def resample_image_down():
    return resample(1, numbers(np.float32), (40, 8, 8), True)


@case
def resample_image_up():
    return resample(1, numbers(np.float32), (40, 2, 2), True)


# -- shape


@case
def crop():
    pipeline = Source(A, numbers(np.uint8)) + gp.Crop(A, gp.Roi(*INNER))
    return run(pipeline, asked(A=SMALL))


@case
def crop_by_fractions():
    pipeline = Source(A, numbers(np.uint8)) + gp.Crop(
        A, fraction_negative=(0.25, 0.1, 0), fraction_positive=(0.25, 0, 0.25)
    )
    return run(pipeline, asked(A=SMALL))


@case
def pad_constant():
    pipeline = Source(A, numbers(np.uint8)) + gp.Pad(A, gp.Coordinate(80, 8, 16), value=7)
    return run(pipeline, asked(A=((-80, -4, 0), (400, 100, 160))))


@case
def pad_without_end():
    pipeline = Source(A, cells()) + gp.Pad(A, None)
    return run(pipeline, asked(A=((-400, -40, -40), (1200, 300, 300))))


@case
def pad_reflect():
    pipeline = Source(A, numbers(np.uint8)) + gp.Pad(A, gp.Coordinate(80, 8, 16), mode="reflect")
    return run(pipeline, asked(A=((-80, -8, -16), (640, 176, 176))))


@case
def squeeze():
    pipeline = Source(A, numbers(np.uint8)[None]) + gp.Squeeze([A])
    return run(pipeline, asked(A=INNER))


@case
def unsqueeze():
    pipeline = Source(A, numbers(np.uint8, (3, *SHAPE))) + gp.Unsqueeze([A], 1)
    return run(pipeline, asked(A=INNER))


# -- labels


@case
def add_affinities():
    hood = [[-1, 0, 0], [0, -1, 0], [0, 0, -1], [0, 3, -5], [2, 0, 1]]
    pipeline = Source(A, cells()) + gp.AddAffinities(hood, A, B)
    return run(pipeline, asked(B=INNER))


@case
def add_affinities_masked():
    sources = tuple(
        Source(key, (numbers(np.uint8, seed=n) > 40).astype(np.uint8))
        for n, key in ((3, C), (4, D))
    )
    mask = gp.ArrayKey("M")
    pipeline = (Source(A, cells()), *sources) + gp.MergeProvider()
    pipeline += gp.AddAffinities([[-1, 0, 0], [0, 0, -2]], A, B, C, D, mask, np.float32)
    return run(pipeline, asked(A=INNER, B=INNER, M=INNER, C=INNER, D=INNER))


@case
def balance_labels():
    pipeline = Source(A, (numbers(np.uint8) > 150).astype(np.uint8)) + gp.BalanceLabels(A, B)
    return run(pipeline, asked(A=INNER, B=INNER))


@case
def balance_labels_in_slabs():
    sources = (
        Source(A, (numbers(np.uint8, (2, *SHAPE)) // 67).astype(np.uint8)),
        Source(C, (numbers(np.uint8, (2, *SHAPE), seed=5) > 20).astype(np.uint8)),
    )
    pipeline = sources + gp.MergeProvider()
    pipeline += gp.BalanceLabels(A, B, C, (1, 3, -1, -1), 3, None, None)
    return run(pipeline, asked(A=INNER, B=INNER, C=INNER))


@case
def exclude_labels():
    return run(Source(A, cells()) + gp.ExcludeLabels(A, [3, 5, 7, 11]), asked(A=INNER))


@case
def exclude_labels_with_a_mask():
    pipeline = Source(A, cells()) + gp.ExcludeLabels(A, [3, 5, 7, 11], B, 30, 99)
    return run(pipeline, asked(A=INNER, B=INNER))


@case
def grow_boundary():
    return run(Source(A, cells()) + gp.GrowBoundary(A, steps=1), asked(A=INNER))


@case
def grow_boundary_in_planes():
    pipeline = Source(A, cells()) + gp.GrowBoundary(A, steps=2, only_xy=True)
    return run(pipeline, asked(A=INNER))


@case
def grow_boundary_masked():
    mask = Source(C, (numbers(np.uint8, seed=3) > 10).astype(np.uint8))
    pipeline = (Source(A, cells()), mask) + gp.MergeProvider() + gp.GrowBoundary(A, C, 1)
    return run(pipeline, asked(A=INNER, C=INNER))


@case
def boundary_distance_gradients():
    pipeline = Source(A, cells()) + gp.contrib.AddBoundaryDistanceGradients(A, B, C)
    return run(pipeline, asked(B=INNER, C=INNER))


@case
def boundaries_between_voxels():
    pipeline = Source(A, cells()) + gp.contrib.AddBoundaryDistanceGradients(A, B, C, D)
    return run(pipeline, asked(B=INNER, D=INNER))


@case
def boundary_distance_gradients_scaled():
    pipeline = Source(A, cells()) + gp.contrib.AddBoundaryDistanceGradients(
        A, B, C, normalize="l2", scale="exp", scale_args=(0.01, 2)
    )
    return run(pipeline, asked(B=INNER, C=INNER))


@case
def prepare_malis():
    mask = Source(C, (numbers(np.uint8, seed=3) > 10).astype(np.uint8))
    pipeline = (Source(A, cells()), mask) + gp.MergeProvider()
    pipeline += gp.contrib.PrepareMalis(A, B, C)
    return run(pipeline, asked(A=INNER, B=INNER, C=INNER))


@case
def zero_out_const_sections():
    data = numbers(np.uint8)
    data[4] = 9
    return run(Source(A, data) + gp.contrib.ZeroOutConstSections(A), asked(A=WHOLE))


# -- graphs


def skeleton(directed=True, seed=0, lowest=(0, 0, 0)):
    rng = np.random.default_rng(seed)
    spot = np.array(lowest) + rng.random((60, 3)) * (480, 160, 144)
    nodes = [gp.Node(n, spot[n], attrs={"color": 1 + n % 5}) for n in range(60)]
    edges = [gp.Edge(n, n + 1) for n in range(0, 58, 2)] + [gp.Edge(3, 8), gp.Edge(8, 13)]
    spec = gp.GraphSpec(gp.Roi(lowest, WHOLE[1]), directed=directed, dtype=np.float64)
    return gp.Graph(nodes, edges, spec)


@case
def graph_source():
    return run(gp.GPGraphSource(G, skeleton()), asked(_G=INNER))


@case
def graph_source_without_direction():
    return run(gp.GPGraphSource(G, skeleton(False)), asked(_G=INNER))


@case
def csv_points():
    folder = Path(tempfile.mkdtemp())
    spot = np.random.default_rng(0).random((40, 3)) * 100
    np.savetxt(folder / "p.csv", spot, "%.3f", ",")
    with_names = "a,z,y,x\n" + "\n".join(
        f"{n},{z:.3f},{y:.3f},{x:.3f}" for n, (z, y, x) in enumerate(spot)
    )
    (folder / "q.csv").write_text(with_names)
    found = {}
    for name, columns in (("p", [0, 1, 2]), ("q", [1, 2, 3])):
        pipeline = gp.CsvPointsSource(str(folder / f"{name}.csv"), G, columns, scale=2)
        made = run(pipeline, asked(_G=((20, 20, 20), (120, 100, 100))))
        found.update({f"{name} {key}": value for key, value in made.items()})
    return found


def rasterized(settings, **others):
    graph = skeleton(seed=2)
    pipeline = gp.GPGraphSource(G, gp.Graph(list(graph.nodes), [], graph.spec))
    if others:
        pipeline = (pipeline, *others["sources"]) + gp.MergeProvider()
    spec = gp.ArraySpec(voxel_size=SIZE, dtype=np.float32 if settings.mode == "peak" else np.uint8)
    pipeline += gp.RasterizeGraph(G, A, spec, settings)
    return run(pipeline, asked(A=INNER, **others.get("also", {})))


@case
def rasterize_balls():
    return rasterized(gp.RasterizationSettings((40, 12, 12), edges=False))


@case
def rasterize_edges():
    graph = skeleton(seed=2)
    settings = gp.RasterizationSettings((40, 6, 6), fg_value=3, bg_value=1)
    pipeline = gp.GPGraphSource(G, graph) + gp.RasterizeGraph(
        G, A, gp.ArraySpec(voxel_size=SIZE, dtype=np.uint8), settings
    )
    return run(pipeline, asked(A=WHOLE))


@case
def rasterize_rings():
    return rasterized(
        gp.RasterizationSettings((80, 24, 24), inner_radius_fraction=0.5, edges=False)
    )


@case
def rasterize_peaks():
    return rasterized(gp.RasterizationSettings((40, 8, 8), mode="peak", edges=False))


@case
def rasterize_colors():
    return rasterized(gp.RasterizationSettings((40, 8, 8), color_attr="color", edges=False))


@case
def rasterize_within_a_mask():
    return rasterized(
        gp.RasterizationSettings((40, 20, 20), mask=C, edges=False),
        sources=(Source(C, cells(), typed=False),),
        also={"C": INNER},
    )


@case
def vector_map():
    rng = np.random.default_rng(4)
    spot = rng.random((20, 3)) * (400, 120, 110) + (40, 20, 16)
    spec = gp.GraphSpec(gp.Roi(*WHOLE), directed=True)
    sources = [gp.Node(n, spot[n], attrs={"partner_ids": [100 + n]}) for n in range(10)]
    targets = [gp.Node(100 + n, spot[10 + n]) for n in range(10)]
    pipeline = (
        gp.GPGraphSource(G, gp.Graph(sources, [], spec)),
        gp.GPGraphSource(H, gp.Graph(targets, [], spec)),
        Source(C, np.ones(SHAPE, np.uint32)),
    ) + gp.MergeProvider()
    pipeline += gp.contrib.AddVectorMap(
        {B: (G, H)}, {B: SIZE}, 30, "min_distance", {B: C}, (0, 0, 0)
    )
    return run(pipeline, asked(B=INNER))


# -- flow


@case
def merge_and_stack():
    pipeline = (Source(A, numbers(np.uint8)), Source(B, cells())) + gp.MergeProvider() + gp.Stack(3)
    return run(pipeline, asked(A=INNER, B=SMALL))


@case
def scan():
    order = []

    class Note(gp.BatchFilter):
        def process(self, batch, request):
            order.append(list(request[A].roi.offset))

    pipeline = Source(A, numbers(np.uint8)) + Note() + gp.Scan(asked(A=((0, 0, 0), (160, 60, 52))))
    found = run(pipeline, asked(A=INNER))
    found["order"] = np.array(order)
    return found


@case
def scan_with_context():
    class Sum(gp.BatchFilter):
        def setup(self):
            spec = self.spec[A].copy()
            spec.roi = spec.roi.grow(-SIZE, -SIZE)
            self.provides(B, spec)

        def prepare(self, request):
            deps = gp.BatchRequest()
            deps[A] = gp.ArraySpec(roi=request[B].roi.grow(SIZE, SIZE))
            return deps

        def process(self, batch, request):
            data = batch[A].data.astype(np.int64)
            spec = self.spec[B].copy()
            spec.roi = request[B].roi
            spec.dtype = np.int64
            made = gp.Batch()
            made[B] = gp.Array(data[:-2, :-2, :-2] + data[2:, 2:, 2:], spec)
            return made

    pipeline = Source(A, numbers(np.int64)) + Sum() + gp.Scan(asked(B=((0, 0, 0), (160, 60, 52))))
    return run(pipeline, asked(B=INNER))


@case
def specified_location():
    spots = [(200, 60, 60), (240, 80, 71), (201, 62, 63)]
    pipeline = Source(A, numbers(np.uint8)) + gp.SpecifiedLocation(spots)
    found = {}
    with gp.build(pipeline):
        for n in range(4):
            batch = pipeline.request_batch(asked(A=((0, 0, 0), (80, 40, 40))))
            found[f"{n}"] = batch[A].data
    return found


@case
def iterate_locations():
    spot = np.random.default_rng(3).integers((120, 40, 40), (320, 100, 90), (6, 3))
    nodes = [gp.Node(n, location) for n, location in enumerate(spot)]
    graph = gp.Graph(nodes, [], gp.GraphSpec(gp.Roi(*WHOLE)))
    number = gp.ArrayKey("N")
    pipeline = (Source(A, numbers(np.uint8)), gp.GPGraphSource(G, graph)) + gp.MergeProvider()
    pipeline += gp.IterateLocations(G, node_id=number)
    found = {}
    request = asked(A=((0, 0, 0), (80, 40, 40)))
    request[number] = gp.ArraySpec(nonspatial=True)
    with gp.build(pipeline):
        for n in range(8):
            batch = pipeline.request_batch(request)
            found[f"{n}"], found[f"{n} id"] = batch[A].data, batch[number].data
    return found


# -- files


@case
def hdf5():
    folder = tempfile.mkdtemp()
    pipeline = Source(A, numbers(np.uint8), offset=(40, 8, 12))
    pipeline += gp.Hdf5Write({A: "volumes/a"}, folder, "o.hdf", "gzip")
    pipeline += gp.Scan(asked(A=((40, 8, 12), (160, 80, 72))))
    run(pipeline, asked(A=((40, 8, 12), WHOLE[1])))
    return run(gp.Hdf5Source(f"{folder}/o.hdf", {A: "volumes/a"}), asked(A=INNER))


@case
def zarr():
    folder = tempfile.mkdtemp()
    pipeline = Source(A, numbers(np.uint8), offset=(40, 8, 12))
    pipeline += gp.ZarrWrite({A: "volumes/a"}, folder, "o.zarr")
    run(pipeline, asked(A=((40, 8, 12), WHOLE[1])))
    return run(gp.ZarrSource(f"{folder}/o.zarr", {A: "volumes/a"}), asked(A=INNER))


@case
def snapshot():
    import h5py

    folder = tempfile.mkdtemp()
    sources = (Source(A, numbers(np.uint8)), gp.GPGraphSource(G, skeleton()))
    pipeline = sources + gp.MergeProvider()
    pipeline += gp.Snapshot({A: "a", G: "g"}, folder, "s_{id}.hdf", store_value_range=True)
    run(pipeline, asked(A=INNER, _G=INNER))
    found = {}
    with h5py.File(f"{folder}/s_00000001.hdf") as file:
        places = dict(zip(file["g-ids"][()].tolist(), file["g-locations"][()].round(4).tolist()))
        found["a"], found["places"] = file["a"][()], np.array(sorted(places.values()))
        edges = file["g-edges"][()].tolist()
        found["edges"] = np.array(sorted([places[u], places[v]] for u, v in edges))
        for name in ("offset", "voxel_size", "value_range"):
            found[f"a {name}"] = np.array(file["a"].attrs[name])
    return found


# -- what flows


@case
def regions():
    rng = np.random.default_rng(8)
    found = []
    for _ in range(200):
        a, b = (
            gp.Roi(rng.integers(-9, 9, 2).tolist(), rng.integers(1, 12, 2).tolist()) for _ in "ab"
        )
        step = gp.Coordinate(rng.integers(1, 5, 2).tolist())
        both, either = a.intersect(b), a.union(b)
        for roi in (either, a.snap_to_grid(step), a.snap_to_grid(step, "closest"), a.grow(1, 2)):
            found.append([*roi.offset, *roi.shape])
        if not both.empty:
            found.append([*both.offset, *both.shape])
        found.append([a.contains(b), a.intersects(b), *(a.offset // step)])
    return {"found": np.array([x for row in found for x in row], np.int64)}


@case
def requests():
    request = gp.BatchRequest()
    request.add(A, gp.Coordinate(3360, 1072, 1072))
    request.add(B, gp.Coordinate(2240, 224, 224))
    request.add(C, gp.Coordinate(40, 4000, 4))
    return {str(k): np.array([*s.roi.offset, *s.roi.shape]) for k, s in request.items()}


@case
def trimmed_graphs():
    graph = skeleton()
    cropped = graph.crop(gp.Roi(*INNER))
    return {**seen("cropped", cropped), **seen("trimmed", cropped.trim(gp.Roi(*INNER)))}


results = {}
for name, function in CASES.items():
    try:
        for key, value in function().items():
            results[f"{name}/{key}"] = np.asarray(value)
    except Exception as error:
        text = "".join(traceback.format_exception(error))
        results[f"{name}/error"] = np.array(text[-3000:])
np.savez_compressed(sys.argv[1], **results)
