"""The nodes of `voxflow.nodes.labels`."""

import voxflow as gp
from tests.nodes.cases.world import AFFS, LABELS, MASK, NEW, RAW, SMALL, Case


def steps(world):
    """Neighbours along the first axis, and two voxels along the last."""
    zeros = (0,) * (world.ndim - 1)
    return [(-1, *zeros), (*zeros, 2)]


CASES = {
    "GrowBoundary": Case(lambda: gp.GrowBoundary(LABELS, MASK, 2, only_xy=True), (LABELS, MASK)),
    "GrowBoundary with context": Case(
        lambda w: gp.GrowBoundary(w.labels, steps=2, context=True), promises=("local", "keeps_ids")
    ),
    "AddAffinities": Case(
        lambda: gp.AddAffinities(
            [[-1, 0, 0], [0, 2, 0]], LABELS, AFFS, labels_mask=MASK, affinities_mask=NEW
        ),
        (AFFS, NEW, LABELS),
        {NEW: SMALL},
    ),
    "AddAffinities, drawn": Case(
        lambda w: gp.AddAffinities(steps(w), w.labels, w.new, labels_mask=w.mask),
        promises=("local", "keeps_ids"),
    ),
    "BalanceLabels": Case(
        lambda: gp.BalanceLabels(MASK, NEW, MASK, slab=(1, -1, -1)), (NEW, MASK, RAW), {NEW: SMALL}
    ),
    "BalanceLabels, drawn": Case(lambda w: gp.BalanceLabels(w.mask, w.new)),
}
