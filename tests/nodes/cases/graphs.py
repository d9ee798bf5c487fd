"""Nodes that draw graphs."""

import voxflow as gp
from tests.nodes.cases.world import LABELS, MASK, NEW, POINTS, RAW, SMALL, Case

GRID = gp.ArraySpec(voxel_size=(8, 4, 4))

CASES = {
    "RasterizeGraph": Case(
        lambda: gp.RasterizeGraph(POINTS, NEW, GRID, gp.RasterizationSettings((10, 5, 5))),
        (NEW, POINTS, RAW),
        {NEW: SMALL},
    ),
    "RasterizeGraph within labels": Case(
        lambda: gp.RasterizeGraph(
            POINTS, NEW, GRID, gp.RasterizationSettings(9, mask=LABELS, inner_radius_fraction=0.5)
        ),
        (NEW, LABELS),
        {NEW: SMALL},
    ),
    "RasterizeGraph as peaks": Case(
        lambda: gp.RasterizeGraph(POINTS, NEW, GRID, gp.RasterizationSettings(5, "peak")),
        (NEW, MASK),
    ),
    "AddVectorMap": Case(
        lambda: gp.contrib.AddVectorMap(
            {NEW: (POINTS, POINTS)}, {NEW: (8, 4, 4)}, 12, "all", {NEW: LABELS}, (8, 4, 4)
        ),
        (NEW, LABELS),
        {NEW: SMALL},
    ),
}
