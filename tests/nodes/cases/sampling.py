"""The nodes that choose what is sampled, and what goes with it."""

import voxflow as gp
from tests.nodes.cases.world import EVERYTHING, INNER, MASK, POINTS, RAW, Case

CASES = {
    "AlignCenter": Case(lambda: gp.AlignCenter(MASK, RAW), (MASK, RAW)),
    "IterateLocations": Case(
        lambda: gp.IterateLocations(POINTS, INNER, choose_randomly=True), EVERYTHING
    ),
}
