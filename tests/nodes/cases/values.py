"""The nodes of `voxflow.nodes.values`."""

import voxflow as gp
from tests.nodes.cases.world import LOCAL, Case, pattern

STATISTICS = gp.Statistics(127.0, 70.0, 2.0, 250.0)


def resampled(world, source):
    """Half as long as the voxels of `source` along the first axis, twice as long along the next."""
    size = world.arrays[source].spec.voxel_size
    target = size * gp.Coordinate(pattern(world, 1, 2, 1)) / gp.Coordinate(pattern(world, 2, 1, 1))
    return gp.Resample(source, target, world.new)


CASES = {
    "Normalize": Case(lambda w: gp.Normalize(w.raw), promises=LOCAL),
    "Normalize to mean 0": Case(
        lambda w: gp.Normalize(w.raw, mode="standardise", statistics=STATISTICS), promises=LOCAL
    ),
    "IntensityScaleShift": Case(lambda w: gp.IntensityScaleShift(w.raw, 0.5, 1), promises=LOCAL),
    "AsType": Case(lambda w: gp.AsType(w.mask, "int32"), promises=LOCAL),
    "AsType to a new array": Case(lambda w: gp.AsType(w.raw, "float64", w.new), promises=LOCAL),
    "DownSample": Case(lambda w: gp.DownSample(w.raw, pattern(w, 1, 2), w.new), promises=LOCAL),
    "UpSample": Case(lambda w: gp.UpSample(w.mask, pattern(w, 1, 2, 4), w.new), promises=LOCAL),
    "Resample": Case(lambda w: resampled(w, w.floats), promises=LOCAL),
    "Resample of labels": Case(lambda w: resampled(w, w.labels), promises=LOCAL),
}
