"""Nodes that draw graphs."""

import voxflow as gp
from tests.nodes.cases.world import LOCAL, Case, in_voxels


def drawn(world, radius, *args, **options):
    """A node that draws points this many voxels large, on the voxels of the labels."""
    size = in_voxels(world, 1, world.labels)
    settings = gp.RasterizationSettings([radius * float(n) for n in size], *args, **options)
    spec = gp.ArraySpec(voxel_size=size)
    return gp.RasterizeGraph(world.points, world.new, spec, settings)


def vectors(world):
    size = in_voxels(world, 1, world.labels)
    return gp.contrib.AddVectorMap(
        {world.new: (world.points, world.points)},
        {world.new: size},
        1.5 * float(max(size)),
        "all",
        {world.new: world.labels},
        size,
    )


CASES = {
    "RasterizeGraph": Case(lambda w: drawn(w, 1.2, edges=False), promises=LOCAL),
    "RasterizeGraph within labels": Case(
        lambda w: drawn(w, 1.2, mask=w.labels, inner_radius_fraction=0.5)
    ),
    "RasterizeGraph as peaks": Case(lambda w: drawn(w, 0.7, "peak")),
    "AddVectorMap": Case(vectors, promises=LOCAL),
}
