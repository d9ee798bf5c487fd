"""Voxels of an array, drawn as likely as they weigh, or by their class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.nodes.locations.cells import Cells, within
from voxflow.pipeline.engine.errors import SamplingError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from voxflow.nodes.locations.cells import Box
    from voxflow.nodes.locations.mask_windows import Windows

_CELL = 1 << 15  # voxels that are read to draw one of them
_BLOCK = 1 << 22  # voxels that are read at once to weigh all


class VoxelWeights:
    """Voxels on a grid, each drawn with a probability.

    All voxels are weighed once, in cells of which only the sums are kept. A voxel is drawn by way
    of its cell, which is read again.

    Parameters
    ----------
    read
        Gives the values of a box of voxels.
    voxels
        Which ones there are to draw from, as windows of one voxel.
    classes
        None: floating point values are weights; of integers and bools those greater than 0 are all
        alike. "balanced": each value that is not negative is as likely as every other, and so are
        the voxels that have it. A mapping: how likely each value is.

    Attributes
    ----------
    found
        The sum of the weights of each class, over all of the voxels; under None without classes.

    Raises
    ------
    SamplingError
        If there is nothing to draw.
    ValueError
        If a weight is negative or not finite, or there are classes of values that are no integers.

    Examples
    --------
    >>> from voxflow.nodes.locations.mask_windows import Windows
    >>> values = np.array([0, 0, 2, 2, 5])
    >>> everything = Windows((0,), (1,), (1,), (5,))
    >>> voxels = VoxelWeights(lambda box: values[slice(*box[0])], everything, {5: 1})
    >>> voxels.draw(np.random.default_rng(0)), voxels.found
    ((4,), {5: 1.0})
    """

    def __init__(
        self,
        read: Callable[[Box], np.ndarray[Any, Any]],
        voxels: Windows,
        classes: Mapping[int, float] | str | None,
    ) -> None:
        self._read, self._voxels = read, voxels
        self._cells = Cells(voxels.count, _CELL)
        boxes = self._cells.boxes(_BLOCK)
        entries = [entry for box in boxes for entry in self._weigh(box, classes)]
        self._sums = _by_class(entries)
        self.found = {value: float(ends[-1]) for value, (_, ends) in self._sums.items()}
        wanted: Any = dict.fromkeys(self.found, 1) if classes in (None, "balanced") else classes
        absent = [value for value, chance in wanted.items() if chance and value not in self.found]
        if absent or not self.found:
            there = ", ".join(f"{v} ({n:g})" for v, n in list(self.found.items())[:20]) or "nothing"
            raise SamplingError(
                f"none of {np.prod(voxels.count)} voxels has "
                + (f"the class {absent[0]}" if absent else "a weight above 0")
                + ("" if classes is None else f"; there are the classes (voxels) {there}")
            )
        self._values = list(wanted)
        chances = np.array([wanted[value] for value in self._values], np.float64)
        self._chances = np.cumsum(chances)

    def draw(self, rng: np.random.Generator) -> tuple[int, ...]:
        """One of the voxels: its number along each axis."""
        value = self._values[_choose(self._chances, rng)]
        cells, ends = self._sums[value]
        box = self._cells.box(int(cells[_choose(ends, rng)]))
        weights = _weights(self._part(box), value)
        flat = _choose(np.cumsum(weights), rng)
        index = np.unravel_index(flat, weights.shape)
        return tuple(int(i) + begin for i, (begin, _) in zip(index, box, strict=True))

    def _part(self, box: Box) -> np.ndarray[Any, Any]:
        """The values of the voxels with these numbers."""
        part = self._voxels.part(box)
        steps = tuple(slice(None, None, stride) for stride in part.stride)
        return self._read(part.box)[steps]

    def _weigh(self, box: Box, classes: Any) -> Iterator[tuple[int | None, int, float]]:
        """The sum of the weights of each class, in each cell of a box."""
        values = self._part(box)
        if classes is not None and values.dtype.kind not in "uib":
            raise ValueError(f"classes are of integers, but values are {values.dtype}")
        for cell in self._cells.under(box):
            part = values[within(self._cells.box(cell), box)]
            if classes is None:
                weights = _weights(part, None)
                weight = float(weights.sum(dtype=np.float64))
                if not weight < np.inf or weights.min() < 0:
                    raise ValueError("weights have to be 0 or more, and finite")
                if weight:
                    yield None, cell, weight
                continue
            for value, number in zip(*np.unique(part, return_counts=True), strict=True):
                if value >= 0 and (classes == "balanced" or int(value) in classes):
                    yield int(value), cell, float(number)


def _weights(values: np.ndarray[Any, Any], value: int | None) -> np.ndarray[Any, Any]:
    """How much each voxel weighs, within its class."""
    if value is None and values.dtype.kind == "f":
        return values.astype(np.float64)
    weights: np.ndarray[Any, Any] = values > 0 if value is None else values == value
    return weights


def _by_class(
    entries: list[tuple[int | None, int, float]],
) -> dict[int | None, tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]:
    """The cells of each class, and their weights, summed up."""
    cells: dict[int | None, list[int]] = {}
    weights: dict[int | None, list[float]] = {}
    for value, cell, weight in entries:
        cells.setdefault(value, []).append(cell)
        weights.setdefault(value, []).append(weight)
    return {value: (np.array(cells[value]), np.cumsum(weights[value])) for value in cells}


def _choose(ends: np.ndarray[Any, Any], rng: np.random.Generator) -> int:
    """An index with the probability of its step in a running sum."""
    found = np.searchsorted(ends, rng.random() * ends[-1], side="right")
    return int(min(found, np.searchsorted(ends, ends[-1])))
