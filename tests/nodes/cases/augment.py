"""The nodes of `voxflow.nodes.augment`."""

import voxflow as gp
from tests.nodes.cases.world import EVERYTHING, FLOAT, LABELS, RAW, SMALL, Case

MOVED = ("registered", "keeps_ids")
UP_TO_3D = ("yx", "zyx", "czyx")


def elastic(world, **options):
    ndim = options.pop("spatial_dims", world.ndim)
    size = world.voxel_size[-ndim:]
    return gp.ElasticAugment(
        (4,) * ndim, (1,) * ndim, (0, 0.3), spatial_dims=ndim, voxel_size=size, **options
    )


CASES = {
    "SimpleAugment": Case(
        lambda: gp.SimpleAugment(transpose_only=[1, 2]), EVERYTHING, {LABELS: SMALL}
    ),
    "SimpleAugment that mirrors": Case(
        lambda world: gp.SimpleAugment(transpose_only=[]), promises=MOVED
    ),
    "SimpleAugment at times": Case(
        lambda world: gp.SimpleAugment(transpose_only=[], p=0.5), promises=MOVED
    ),
    "ElasticAugment": Case(
        lambda: gp.ElasticAugment(
            (1, 4, 4), (0, 1, 1), (0, 1), prob_slip=0.3, max_misalign=2, voxel_size=(8, 2, 2)
        ),
        EVERYTHING,
        {LABELS: SMALL},
    ),
    "ElasticAugment in all axes": Case(
        elastic,
        axes=UP_TO_3D,
        why="it turns and bends in 2-D or 3-D",
        promises=MOVED,
    ),
    "ElasticAugment of sections": Case(
        lambda world: elastic(world, spatial_dims=2),
        promises=MOVED,
    ),
    "IntensityAugment of sections": Case(
        lambda: gp.IntensityAugment(FLOAT, 0.9, 1.1, -0.1, 0.1, z_section_wise=True), (FLOAT, RAW)
    ),
    "IntensityAugment": Case(lambda w: gp.IntensityAugment(w.floats, 0.9, 1.1, -0.1, 0.1)),
    "NoiseAugment": Case(lambda w: gp.NoiseAugment(w.floats, var=0.001)),
}
