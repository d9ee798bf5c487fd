"""Sources, and the nodes that choose where to look, ask otherwise, or let data out."""

from itertools import count

import voxflow as gp
from tests.nodes.cases.world import FOLDER, LABELS, LOCAL, MASK, RAW, Case
from voxflow.stores import create_dataset, write_geometry
from voxflow.stores.metadata import Geometry

NUMBERS = count()


def stored(world, kind):
    """The world's image and labels in a file of its own."""
    path = FOLDER / f"{world.axes}-{abs(hash(str(world.roi)))}.{kind}"
    keys = {world.raw: "raw", world.labels: "labels"}
    if not path.exists():
        for key, name in keys.items():
            array = world.arrays[key]
            dataset = create_dataset(path, name, array.shape, array.dtype)
            size, begin = array.spec.voxel_size, array.spec.roi.offset
            axes = tuple(world.axes.replace("c", ""))
            write_geometry(dataset, Geometry(size, begin, ("nm",) * world.ndim, axes))
            dataset.write((), array.data)
    return path, keys


def written(kind):
    """A name for a new file."""
    return f"written-{next(NUMBERS)}.{kind}"


def two_inputs(world):
    return (world.upstream, world.upstream + gp.IntensityScaleShift(world.floats, 0.5, 0))


def scanned(world):
    reference = gp.BatchRequest()
    size = world.arrays[world.labels].spec.voxel_size * 2
    for key in (world.raw, world.labels):
        reference[key] = gp.Roi((0,) * world.ndim, size)
    return gp.Scan(reference)


CASES = {
    "ArraySource": Case(lambda w: gp.ArraySource(w.raw, w.arrays[w.raw]), promises=LOCAL),
    "Hdf5Source": Case(lambda w: gp.Hdf5Source(*stored(w, "hdf")), promises=LOCAL),
    "ZarrSource": Case(lambda w: gp.ZarrSource(*stored(w, "zarr")), promises=LOCAL),
    "MergeProvider": Case(
        lambda w: (
            (gp.ArraySource(w.raw, w.arrays[w.raw]), gp.ArraySource(w.mask, w.arrays[w.mask]))
            + gp.MergeProvider()
        ),
        promises=LOCAL,
    ),
    "RandomProvider": Case(lambda w: two_inputs(w) + gp.RandomProvider([0.3, 0.7])),
    "Stack": Case(lambda w: gp.IntensityAugment(w.floats, 0.9, 1.1, 0, 0) + gp.Stack(3)),
    "RandomLocation": Case(lambda w: gp.RandomLocation()),
    "SpecifiedLocation": Case(
        lambda w: gp.SpecifiedLocation([w.inner.center], choose_randomly=True)
    ),
    "IterateLocations": Case(
        lambda w: gp.IterateLocations(w.points, w.inner, choose_randomly=True)
    ),
    "Reject": Case(lambda w: gp.RandomLocation() + gp.Reject(w.mask, min_masked=0.3), (MASK, RAW)),
    "Scan": Case(scanned, (RAW, LABELS), promises=LOCAL),
    "Snapshot": Case(
        lambda w: gp.Snapshot({w.raw: "raw"}, FOLDER, "snapshot-{id}.zarr"),
        (RAW, LABELS),
        promises=LOCAL,
    ),
    "Hdf5Write": Case(
        lambda w: gp.Hdf5Write({w.raw: "raw"}, FOLDER, written("hdf")), (RAW, MASK), promises=LOCAL
    ),
    "ZarrWrite": Case(
        lambda w: gp.ZarrWrite({w.raw: "raw"}, FOLDER, written("zarr")), (RAW, MASK), promises=LOCAL
    ),
    "PrintProfilingStats": Case(lambda w: gp.PrintProfilingStats(every=10**6), promises=LOCAL),
}
