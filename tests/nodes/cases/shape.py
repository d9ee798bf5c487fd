"""The nodes of `voxflow.nodes.shape`."""

import voxflow as gp
from tests.nodes.cases.world import EVERYTHING, FLOAT, INNER, LABELS, POINTS, RAW, WORLD, Case

CASES = {
    "Crop": Case(lambda: gp.Crop(RAW, INNER), EVERYTHING),
    "Crop a part of a graph": Case(lambda: gp.Crop(POINTS, INNER), (POINTS, RAW)),
    "Pad": Case(lambda: gp.Pad(RAW, None), (RAW, LABELS), {RAW: WORLD.grow(8, 16)}),
    "Pad by reflection": Case(
        lambda: gp.Pad(LABELS, (8, 4, 4), "reflect"), (LABELS, RAW), {LABELS: WORLD.grow((8, 4, 4))}
    ),
    "Pad a graph": Case(lambda: gp.Pad(POINTS, 100), (POINTS,), {POINTS: WORLD.grow(50, 50)}),
    "Squeeze": Case(lambda: gp.Squeeze([FLOAT]), (FLOAT, RAW)),
    "Unsqueeze": Case(lambda: gp.Unsqueeze([RAW, LABELS]), (RAW, LABELS)),
}
