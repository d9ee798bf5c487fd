"""The nodes of `voxflow.nodes.values`."""

import voxflow as gp
from tests.nodes.cases.world import NEW, RAW, SMALL, Case

LOCAL = ("local",)
CASES = {
    "Normalize": Case(lambda w: gp.Normalize(w.raw), promises=LOCAL),
    "IntensityScaleShift": Case(lambda w: gp.IntensityScaleShift(w.raw, 0.5, 1), promises=LOCAL),
    "AsType": Case(lambda w: gp.AsType(w.mask, "int32"), promises=LOCAL),
    "AsType to a new array": Case(lambda: gp.AsType(RAW, "float64", NEW), (NEW, RAW), {RAW: SMALL}),
    "AsType to a new array, drawn": Case(
        lambda w: gp.AsType(w.raw, "float64", w.new), promises=LOCAL
    ),
}
