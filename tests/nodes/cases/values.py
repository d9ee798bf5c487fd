"""The nodes of `voxflow.nodes.values`."""

import voxflow as gp
from tests.nodes.cases.world import LABELS, MASK, NEW, POINTS, RAW, SMALL, Case

CASES = {
    "Normalize": Case(lambda: gp.Normalize(RAW), (RAW, LABELS)),
    "IntensityScaleShift": Case(lambda: gp.IntensityScaleShift(RAW, 0.5, 1), (RAW, POINTS)),
    "AsType": Case(lambda: gp.AsType(MASK, "int32"), (MASK, RAW)),
    "AsType to a new array": Case(lambda: gp.AsType(RAW, "float64", NEW), (NEW, RAW), {RAW: SMALL}),
}
