"""What nodes are tried with: a small fixed world, and what is asked of them in it or elsewhere."""

import atexit
import inspect
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import voxflow as gp
from voxflow.testing import World, check_node
from voxflow.testing.nodes import AXES, check_in_world

RAW, LABELS, AFFS, MASK = (gp.ArrayKey(name) for name in ("RAW", "LABELS", "AFFS", "MASK"))
NEW, FLOAT, POINTS = gp.ArrayKey("NEW"), gp.ArrayKey("FLOAT"), gp.GraphKey("points")
WORLD = gp.Roi((0, 0, 0), (160, 80, 80))
INNER = gp.Roi((48, 20, 24), (40, 20, 16))
SMALL = gp.Roi((64, 28, 28), (16, 8, 8))
SIZES = {RAW: (8, 2, 2), LABELS: (8, 4, 4), MASK: (8, 4, 4), FLOAT: (8, 2, 2)}
EVERYTHING = (RAW, FLOAT, LABELS, MASK, POINTS)

FOLDER = Path(tempfile.mkdtemp())
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)


@dataclass
class Case:
    """A node, and what is asked of it.

    A function `make` without arguments is for the fixed world, and is asked for `keys` in `rois`.
    One that takes a world (`voxflow.testing.World`) is tried in worlds that are drawn, of all
    `axes` that the node is made for; `why` says what is wrong with the others. `promises` are
    those that it makes beyond `reads_only`, which all of ours do: `local`, `registered`,
    `keeps_ids`.
    """

    make: Any
    keys: tuple[Any, ...] = ()
    rois: dict[Any, gp.Roi] = field(default_factory=dict)
    axes: tuple[str, ...] = AXES
    why: str = ""
    promises: tuple[str, ...] = ()

    @property
    def drawn(self):
        """Whether it is tried in worlds that are drawn."""
        return bool(inspect.signature(self.make).parameters)

    @property
    def layouts(self):
        """Where it is tried."""
        return self.axes if self.drawn else ("fixed",)

    def request(self):
        request = gp.BatchRequest(random_seed=11)
        for key in self.keys:
            request[key] = self.rois.get(key, INNER)
        return request

    def check(self, layout):
        """Hold the node to its promises."""
        promised = dict.fromkeys((*self.promises, "reads_only"), True)
        if self.drawn:
            check_node(self.make, axes=layout, keys=self.keys or None, examples=2, **promised)
        else:
            check_in_world(lambda _: self.make(), fixed_world(), self.request(), **promised)


def fixed_world():
    """Voxels of two sizes, ids at 2**63 and above, and 200 points."""
    rng = np.random.default_rng(0)
    shape = tuple(int(n) for n in WORLD.shape / gp.Coordinate(SIZES[LABELS]))
    numbers = np.arange(1, 1 + np.prod(shape), dtype=np.uint64)
    data = {
        RAW: rng.integers(0, 256, (20, 40, 40), np.uint8),
        FLOAT: rng.uniform(0.3, 0.7, (1, 20, 40, 40)).astype(np.float32),
        LABELS: numbers.reshape(shape) // np.uint64(500) + np.uint64(2**63),
        MASK: rng.integers(0, 2, shape, np.uint8),
    }
    arrays = {
        key: gp.Array(values, gp.ArraySpec(WORLD, SIZES[key])) for key, values in data.items()
    }
    places = rng.uniform((0, 0, 0), (160, 80, 80), (200, 3))
    ids = np.arange(200, dtype=np.uint64)
    return World("zyx", arrays, ids, places, np.zeros((0, 2), np.uint64))
