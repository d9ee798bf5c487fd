"""The nodes of `voxflow.nodes.shape`."""

import voxflow as gp
from tests.nodes.cases.world import LOCAL, Case, in_voxels


def fitted(world, mode="pad"):
    """A node that makes the image a voxel larger along each axis, or larger still."""
    size = [n + 1 + axis for axis, n in enumerate(world.roi.shape // world.voxel_size)]
    return gp.FitToSize([world.raw], size, mode)


def fitted_back(world):
    fit = fitted(world)
    return fit + gp.FitBack([world.raw], fit)


CASES = {
    "Crop": Case(lambda w: gp.Crop(w.raw, w.inner), promises=LOCAL),
    "Crop a part of a graph": Case(lambda w: gp.Crop(w.points, w.inner), promises=LOCAL),
    "Pad": Case(lambda w: gp.Pad(w.raw, in_voxels(w, 20)), promises=LOCAL),
    "Pad without end": Case(lambda w: gp.Pad(w.raw, None), promises=LOCAL),
    "Pad by reflection": Case(
        lambda w: gp.Pad(w.labels, in_voxels(w, 20, w.labels), "reflect"),
        promises=("local", "keeps_ids"),
    ),
    "Pad a graph": Case(lambda w: gp.Pad(w.points, in_voxels(w, 20)), promises=LOCAL),
    "Unsqueeze": Case(lambda w: gp.Unsqueeze([w.raw, w.labels]), promises=LOCAL),
    "Squeeze": Case(lambda w: gp.Unsqueeze([w.raw]) + gp.Squeeze([w.raw]), promises=LOCAL),
    "FitToSize": Case(lambda w: fitted(w, "reflect"), promises=LOCAL),
    "FitBack": Case(fitted_back, promises=LOCAL),
    "AlignCenter": Case(lambda w: gp.AlignCenter(w.mask, w.raw), promises=LOCAL),
}
