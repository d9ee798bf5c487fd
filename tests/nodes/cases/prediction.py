"""Nodes around prediction in blocks."""

import voxflow as gp
from tests.nodes.cases.world import Case


def blended(world):
    size = world.arrays[world.raw].spec.voxel_size
    whole = world.arrays[world.raw].spec.roi.shape
    tile = gp.Coordinate(max(1, n * 2 // 3) for n in whole / size)
    reference = gp.BatchRequest({world.floats: gp.Roi((0,) * world.ndim, tile * size)})
    return gp.Blend(reference, tile // 2 * size)


CASES = {"Blend": Case(blended, promises=("local",))}
