"""The small world that nodes are tried in: arrays, points, and what is asked of them."""

from dataclasses import dataclass, field
from typing import Any

import voxflow as gp

RAW, LABELS, AFFS, MASK = (gp.ArrayKey(name) for name in ("RAW", "LABELS", "AFFS", "MASK"))
NEW, FLOAT, POINTS = gp.ArrayKey("NEW"), gp.ArrayKey("FLOAT"), gp.GraphKey("points")
WORLD = gp.Roi((0, 0, 0), (160, 80, 80))
INNER = gp.Roi((48, 20, 24), (40, 20, 16))
SMALL = gp.Roi((64, 28, 28), (16, 8, 8))
SIZES = {RAW: (8, 2, 2), LABELS: (8, 4, 4), MASK: (8, 4, 4), FLOAT: (8, 2, 2)}


@dataclass
class Case:
    """A node, and what is asked of it."""

    make: Any
    keys: tuple[Any, ...] = ()
    rois: dict[Any, gp.Roi] = field(default_factory=dict)

    def request(self):
        request = gp.BatchRequest()
        for key in self.keys:
            request[key] = self.rois.get(key, INNER)
        return request


EVERYTHING = (RAW, FLOAT, LABELS, MASK, POINTS)
