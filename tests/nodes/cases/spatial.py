"""The nodes of `voxflow.nodes.augment` that move voxels."""

import voxflow as gp
from tests.nodes.cases.world import EVERYTHING, FLOAT, LABELS, RAW, SMALL, Case

SIZE = (8, 2, 2)

CASES = {
    "DeformAugment": Case(
        lambda: gp.DeformAugment((16, 8, 8), (1, 1, 1), (0.9, 1.1), rotation_axes=(1, 2)),
        EVERYTHING,
        {LABELS: SMALL},
    ),
    "DeformAugment in 3-D": Case(
        lambda: gp.DeformAugment((8, 8, 8), (1, 1, 1)), (RAW, LABELS), {RAW: SMALL, LABELS: SMALL}
    ),
    "ShiftAugment": Case(lambda: gp.ShiftAugment(0.3, 0.3, 4), EVERYTHING, {LABELS: SMALL}),
    "Warp as in ELEKTRONN 1": Case(lambda: gp.Warp.elektronn1(), EVERYTHING, {LABELS: SMALL}),
    "Warp as in ELEKTRONN 2": Case(
        lambda: gp.Warp.elektronn2(perspective=True, voxel_size=SIZE), EVERYTHING, {LABELS: SMALL}
    ),
    "Warp as in gunpowder": Case(
        lambda: gp.Warp.gunpowder(max_misalign=2, voxel_size=SIZE), EVERYTHING
    ),
    "Warp as with imgaug": Case(lambda: gp.Warp.imgaug(elastic=True, spatial_dims=3), (RAW, FLOAT)),
    "Warp that tries again": Case(
        lambda: gp.Warp.elektronn1(p=0.7, on_failure="retry"), EVERYTHING
    ),
    "Warp that reflects": Case(
        lambda: gp.Warp.imgaug(spatial_dims=3, on_failure="reflect"), EVERYTHING
    ),
}
