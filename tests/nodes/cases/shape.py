"""The nodes of `voxflow.nodes.shape`."""

import voxflow as gp
from tests.nodes.cases.world import FLOAT, INNER, LABELS, POINTS, RAW, WORLD, Case

LOCAL = ("local",)
CASES = {
    "Crop": Case(lambda w: gp.Crop(w.raw, w.inner), promises=LOCAL),
    "Crop a part of a graph": Case(lambda w: gp.Crop(w.points, w.inner), promises=LOCAL),
    "Pad": Case(lambda: gp.Pad(RAW, None), (RAW, LABELS), {RAW: WORLD.grow(8, 16)}),
    "Pad without end": Case(lambda w: gp.Pad(w.raw, None), promises=LOCAL),
    "Pad by reflection": Case(
        lambda: gp.Pad(LABELS, (8, 4, 4), "reflect"), (LABELS, RAW), {LABELS: WORLD.grow((8, 4, 4))}
    ),
    "Pad a graph": Case(lambda: gp.Pad(POINTS, 100), (POINTS,), {POINTS: WORLD.grow(50, 50)}),
    "Squeeze": Case(lambda: gp.Squeeze([FLOAT]), (FLOAT, RAW), {RAW: INNER}),
    "Unsqueeze": Case(lambda w: gp.Unsqueeze([w.raw, w.labels]), promises=LOCAL),
    "Squeeze what was unsqueezed": Case(
        lambda w: gp.Unsqueeze([w.raw]) + gp.Squeeze([w.raw]), promises=LOCAL
    ),
}
