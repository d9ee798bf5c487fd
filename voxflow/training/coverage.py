"""Writes down where a training looks: which parts of its sources, and which classes it sees."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from voxflow.nodes.flow.random_provider import RandomProvider
from voxflow.pipeline.data import Array, ArrayKey
from voxflow.training.covered import CLASSES, FILE, Branch, Covered, SourceMap

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from voxflow.pipeline.data.profiling import Read
    from voxflow.training.result import StepResult
    from voxflow.training.session import Session

__all__ = ["Coverage"]

_CELLS = 1 << 15  # of a map
_ALL_CELLS = 1 << 19
_WAITING = 4096  # reads that are not counted yet
_VOXELS = 1024  # of an array that are counted, of each batch
_LARGE = 2**53


class Coverage:
    """Counts which parts of its sources a training has seen, and which classes: a hook.

    Each source has a coarse map of its region, of at most 32768 cells, with how often a voxel there
    was read; what nodes read around it, to deform or to crop, is part of that. Batches that were
    thrown away by `Reject` are not counted. Of the targets, 1024 voxels of each batch are counted
    by their class. The file is ``coverage.npz`` in the run directory, written whole or not at all;
    a run that goes on counts no step twice. `voxflow inspect` shows it.

    A batch takes some 20 microseconds. Of several processes, the batches of the first are counted.

    Parameters
    ----------
    pause
        How many seconds are between two writings; it is written at the end, too.

    Examples
    --------
    >>> coverage = Coverage(pause=600)
    """

    def __init__(self, *, pause: float = 60.0) -> None:
        self.pause = pause
        self.covered = Covered()
        self._maps: dict[tuple[str, str], SourceMap] = {}
        self._classes: dict[ArrayKey, NDArray[np.int64] | None] = {}
        self._waiting: list[Read] = []
        self._written = 0.0
        self._state: Mapping[str, Any] = {}

    # -- a hook ---------------------------------------------------------------------------------

    def begin(self, session: Session) -> None:
        """Find the sources, and go on with what was counted."""
        if session.step and not self._state:
            self._state = self.state_dict()  # another run of this very session
        maps = list(_maps(session.pipeline))
        branches = list(_branches(session.pipeline.output))
        self.covered = Covered(maps, branches, {}, 0)
        self._maps = {(of.source, of.key): of for of in maps}
        forward = session._forward
        made = set(forward.outputs.values())
        self._classes = {
            key: np.zeros(CLASSES + 1, np.int64)
            for key in dict.fromkeys(forward.loss_inputs.values())
            if key not in made
        }
        self._waiting = []
        self._go_on()
        self._written = time.monotonic()

    def after_step(self, session: Session, step: StepResult) -> None:
        """Count a step, and write what is known now and then."""
        self.covered.steps += 1
        self._waiting += step.reads
        if step.batch is not None:
            for key, counts in self._classes.items():
                if counts is not None and key in step.batch:
                    found = _counted(step.batch[key], step.number)
                    self._classes[key] = None if found is None else counts + found
        if len(self._waiting) > _WAITING:
            self._count()
        if time.monotonic() - self._written > self.pause:
            self._write(session.run_dir)

    def end(self, session: Session) -> None:
        """Write all."""
        self._write(session.run_dir)

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run goes on from."""
        self._count()
        return {
            "steps": self.covered.steps,
            "maps": [
                {
                    "of": [of.source, of.key, list(of.begin), list(of.end)],
                    "times": torch.from_numpy(of.times.copy()),
                    "visits": of.visits,
                }
                for of in self.covered.maps
            ],
            "classes": {
                str(key): None if counts is None else torch.from_numpy(counts.copy())
                for key, counts in self._classes.items()
            },
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from an earlier part of the run."""
        self._state = state

    # -- counting -------------------------------------------------------------------------------

    def _go_on(self) -> None:
        """Take over what is of the same sources: others may be there, or be larger, meanwhile."""
        state, self._state = self._state, {}
        if not state:
            return
        self.covered.steps = state["steps"]
        for old in state["maps"]:
            source, key, begin, end = old["of"]
            of, times = self._maps.get((source, key)), old["times"].numpy()
            if of is not None and (list(of.begin), list(of.end)) == (begin, end):
                of.visits += old["visits"]
                if of.times.shape == times.shape:
                    of.times += times
        for known in self._classes:
            if str(known) in state["classes"]:
                counts = state["classes"][str(known)]
                self._classes[known] = None if counts is None else counts.numpy().copy()

    def _count(self) -> None:
        waiting, self._waiting = self._waiting, []
        of_map = defaultdict(list)
        for source, key, begin, end in waiting:
            of_map[source, key].append((begin, end))
        for name, regions in of_map.items():
            if name in self._maps:
                numbers = chain.from_iterable(chain.from_iterable(regions))
                found = np.fromiter(numbers, float).reshape(len(regions), 2, -1)
                self._maps[name].add(found[:, 0], found[:, 1])

    def _write(self, folder: Path | None) -> None:
        self._written = time.monotonic()
        self._count()
        self.covered.classes = {
            str(key): counts for key, counts in self._classes.items() if counts is not None
        }
        if folder is not None:
            self.covered.write(folder / FILE)


def _counted(array: Array, number: int) -> NDArray[np.int64] | None:
    """How often each class is among some voxels of an array; None if it holds no classes."""
    deferred = array.deferred
    if deferred is not None and deferred.elsewhere:
        return np.zeros(CLASSES + 1, np.int64)  # it is on a device, and is not fetched
    values = array.view.reshape(-1)
    if not values.size:
        return np.zeros(CLASSES + 1, np.int64)
    step = _step(values.size)
    values = values[number % step :: step]
    if values.dtype.kind == "f":
        if not np.array_equal(np.rint(values), values) or np.abs(values, dtype="f8").max() > _LARGE:
            return None
    elif values.dtype.kind not in "biu":
        return None
    counted = values.astype(np.int64)  # the largest ids become negative: others, too
    if values.dtype not in (np.bool_, np.uint8):
        counted[(counted < 0) | (counted >= CLASSES)] = CLASSES
    return np.bincount(counted, minlength=CLASSES + 1)


def _step(size: int) -> int:
    """Every so manieth voxel is taken: no number that divides an axis, so that all rows are met.

    >>> _step(1000), _step(1024 * 30)
    (1, 31)
    """
    step = max(1, -(-size // _VOXELS))
    while math.gcd(step, size) > 1:
        step += 1
    return step


def _maps(pipeline: Any) -> Iterator[SourceMap]:
    """A map of nothing yet for each array and graph of each source."""
    found = [
        (node, key, spec)
        for node in pipeline.nodes()
        if not node.get_upstream_providers()
        for key, spec in node.spec.items()
        if spec.roi is not None
    ]
    cells = max(64, min(_CELLS, _ALL_CELLS // max(1, len(found))))
    for node, key, spec in found:
        bounds = () if spec.roi.unbounded else (spec.roi.begin, spec.roi.end)
        begin, end = (tuple(map(float, bound)) for bound in bounds or ((), ()))
        size = getattr(spec, "voxel_size", None) if begin else None
        voxel_size = () if size is None else tuple(map(float, size))
        yield SourceMap.of(
            node.label, str(key), begin, end, name=node.name(), voxel_size=voxel_size, cells=cells
        )


def _branches(node: Any) -> Iterator[Branch]:
    """The inputs of all providers that choose, upstream of a node."""
    inputs = node.get_upstream_providers()
    for number, branch in enumerate(inputs):
        if isinstance(node, RandomProvider):
            wanted = 1 / len(inputs) if node.probabilities is None else node.probabilities[number]
            yield Branch(node.label, number, list(_sources(branch)), wanted)
        yield from _branches(branch)


def _sources(node: Any) -> Iterator[str]:
    inputs = node.get_upstream_providers()
    if not inputs:
        yield node.label
    for upstream in inputs:
        yield from _sources(upstream)
