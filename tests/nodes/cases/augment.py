"""The nodes of `voxflow.nodes.augment`."""

import voxflow as gp
from tests.nodes.cases.world import EVERYTHING, FLOAT, LABELS, RAW, SMALL, Case

CASES = {
    "SimpleAugment": Case(
        lambda: gp.SimpleAugment(transpose_only=[1, 2]), EVERYTHING, {LABELS: SMALL}
    ),
    "ElasticAugment": Case(
        lambda: gp.ElasticAugment(
            (1, 4, 4), (0, 1, 1), (0, 1), prob_slip=0.3, max_misalign=2, voxel_size=(8, 2, 2)
        ),
        EVERYTHING,
        {LABELS: SMALL},
    ),
    "IntensityAugment": Case(
        lambda: gp.IntensityAugment(FLOAT, 0.9, 1.1, -0.1, 0.1, z_section_wise=True), (FLOAT, RAW)
    ),
    "NoiseAugment": Case(lambda: gp.NoiseAugment(FLOAT, var=0.001), (FLOAT, RAW)),
    "SimpleAugment at times": Case(
        lambda: gp.SimpleAugment(transpose_only=[1, 2], p=0.5), EVERYTHING
    ),
}
