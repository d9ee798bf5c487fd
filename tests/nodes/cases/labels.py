"""The nodes of `voxflow.nodes.labels`."""

import voxflow as gp
from tests.nodes.cases.world import AFFS, LABELS, MASK, NEW, RAW, SMALL, Case

CASES = {
    "GrowBoundary": Case(lambda: gp.GrowBoundary(LABELS, MASK, 2, only_xy=True), (LABELS, MASK)),
    "GrowBoundary with context": Case(
        lambda: gp.GrowBoundary(LABELS, steps=2, context=True), (LABELS, RAW)
    ),
    "AddAffinities": Case(
        lambda: gp.AddAffinities(
            [[-1, 0, 0], [0, 2, 0]], LABELS, AFFS, labels_mask=MASK, affinities_mask=NEW
        ),
        (AFFS, NEW, LABELS),
        {NEW: SMALL},
    ),
    "BalanceLabels": Case(
        lambda: gp.BalanceLabels(MASK, NEW, MASK, slab=(1, -1, -1)), (NEW, MASK, RAW), {NEW: SMALL}
    ),
}
