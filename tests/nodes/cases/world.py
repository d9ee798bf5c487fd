"""What a case is: a node, made for a world that is drawn, and what it is held to there."""

import atexit
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import voxflow as gp
from voxflow.testing import World, check_node
from voxflow.testing.nodes import AXES
from voxflow.testing.trial import Trial
from voxflow.testing.world import draw_world

RAW, LABELS, MASK, NEW, POINTS = World.raw, World.labels, World.mask, World.new, World.points
OTHER = gp.ArrayKey("OTHER")
"""A name for a second array that a node makes."""

LOCAL, MOVED = ("local",), ("registered", "keeps_ids")
SECTIONS = ("zyx", "czyx", "tzyx")
"""Layouts with sections of two axes, one behind the other."""

FOLDER = Path(tempfile.mkdtemp())
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)


@dataclass
class Case:
    """A node, and what it is held to.

    `make` takes a world (`voxflow.testing.World`) and makes the node for it. It is tried in worlds
    of all `axes` that the node is made for; `why` says what is wrong with the others. It is asked
    for `keys`; none: for all that there are. `promises` are those that it makes beyond
    `reads_only`, which all of ours do: `local`, `registered`, `keeps_ids`. There are two worlds for
    each of `axes`; in the first, the node is asked for everything.
    """

    make: Any
    keys: tuple[Any, ...] = ()
    axes: tuple[str, ...] = AXES
    why: str = ""
    promises: tuple[str, ...] = ()

    def check(self, axes, seeds=range(2)):
        """Hold the node to its promises, in the worlds of these seeds."""
        promised = dict.fromkeys((*self.promises, "reads_only"), True)
        keys = self.keys or None
        for seed in seeds:
            check_node(self.make, axes=axes, keys=keys, examples=1, seed=seed, **promised)

    def trial(self, axes):
        """The node in a world, and what is asked of it there."""
        trial = Trial(self.make, draw_world(axes, 0), 0, "the same case", self.keys or None)
        trial.settle()
        return trial


def pattern(world, *numbers):
    """These numbers in turn, one for each spatial axis."""
    return tuple(numbers[axis % len(numbers)] for axis in range(world.ndim))


def in_voxels(world, voxels, key=RAW):
    """The extent of that many voxels along each spatial axis, in world units."""
    return world.arrays[key].spec.voxel_size * voxels
