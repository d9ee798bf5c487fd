"""`CheckHealth`."""

import voxflow as gp
from tests.nodes.cases.world import Case

CASES = {
    "CheckHealth": Case(lambda w: gp.CheckHealth(w.raw)),
    "CheckHealth of floats": Case(
        lambda w: gp.CheckHealth(w.floats, value_range=(0, 1), saturation=0.1)
    ),
    "CheckHealth of labels": Case(lambda w: gp.CheckHealth(w.labels, checks=("empty",))),
}
