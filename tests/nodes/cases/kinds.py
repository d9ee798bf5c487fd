"""Spatial nodes with arrays and graphs that are more than voxels and points."""

import voxflow as gp
from tests.nodes.cases.world import EVERYTHING, LABELS, SMALL, Case

CASES = {
    "SimpleAugment that clips edges": Case(
        lambda: gp.SimpleAugment(transpose_only=[1, 2], edges="clip"), EVERYTHING, {LABELS: SMALL}
    ),
    "ElasticAugment that drops edges": Case(
        lambda: gp.ElasticAugment((1, 4, 4), (0, 1, 1), (0, 1), voxel_size=(8, 2, 2), edges="drop"),
        EVERYTHING,
        {LABELS: SMALL},
    ),
}
