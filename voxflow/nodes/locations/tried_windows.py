"""Windows on a mask that hold enough of it, found by trying.

How much of a mask lies in each cell of it is summed up along all axes once. Of a window of any
size these sums tell at once how much of it counts at least, and at most; the mask itself is looked
at only where that leaves open whether it is enough.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.nodes.locations.mask_windows import least_count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from voxflow.nodes.locations.cells import BitGrid
    from voxflow.nodes.locations.mask_windows import Need, Places

    Numbers = np.ndarray[Any, Any]

_TRIES = (16, 2048)
_LOOKS = 32  # in vain at the mask itself


class SummedCounts:
    """How much of a mask counts, up to each border between its cells.

    Parameters
    ----------
    mask
        All of whose cells were taken down.

    Examples
    --------
    >>> from voxflow.nodes.locations.mask_windows import masked
    >>> mask = masked(np.array([0, 1, 1, 0], bool))
    >>> SummedCounts(mask).limits(np.array([[1], [0]]), (3,))
    (array([1, 1]), array([2, 2]))
    """

    def __init__(self, mask: BitGrid) -> None:
        self.mask = mask
        sums = mask.counts.reshape(mask.cells.grid)
        for axis in range(sums.ndim):
            sums = sums.cumsum(axis)
        self._sums = np.pad(sums, [(1, 0)] * sums.ndim)

    def limits(self, begins: Numbers, shape: Sequence[int]) -> tuple[Numbers, Numbers]:
        """How much counts at least and at most, in windows of a shape that begin there.

        Parameters
        ----------
        begins
            Voxels, shape (windows, axes).
        """
        edge, grid = self.mask.cells.edge, np.array(self.mask.cells.grid)
        ends = begins + np.array(shape)
        low, high = begins // edge, -(-ends // edge)
        around, room_around = self._within(low, high)
        inner_low, inner_high = -(-begins // edge), ends // edge
        inner_high = np.where(ends == self.mask.shape, grid, inner_high)
        inside, room_inside = self._within(inner_low, np.maximum(inner_low, inner_high))
        size = int(np.prod(shape, dtype=np.int64))
        least = np.maximum(inside, around - (room_around - size))
        return least, np.minimum(around, size - (room_inside - inside))

    def _within(self, low: Numbers, high: Numbers) -> tuple[Numbers, Numbers]:
        """How much counts in whole cells, and how many voxels they have."""
        total = np.zeros(len(low), np.int64)
        for corner in product((0, 1), repeat=low.shape[1]):
            ends = np.where(corner, high, low)
            sign = (-1) ** (len(corner) - sum(corner))
            total += sign * self._sums[tuple(ends.T)]
        edge, shape = self.mask.cells.edge, np.array(self.mask.shape)
        extent = np.minimum(high * edge, shape) - np.minimum(low * edge, shape)
        return total, extent.prod(axis=1)


class EnoughWindows:
    """The windows that hold enough of some masks, as `Places` has them, counted only if need be.

    Windows are tried first. So what one draw takes does not depend on whether there was a draw of
    the same size before: nodes downstream that rotate ask for another size each time.

    Parameters
    ----------
    sums
        Of each mask.
    needs
        What windows have to hold of each.
    counted
        Gives the same windows, counted.
    """

    def __init__(
        self,
        sums: Sequence[SummedCounts],
        needs: Sequence[Need],
        counted: Callable[[], Places],
    ) -> None:
        self.counted = counted
        self._needs = list(zip(sums, needs, strict=True))
        self._count = needs[0].windows.count

    def draw(self, rng: np.random.Generator) -> tuple[int, ...]:
        """One of the windows, all alike: its number along each axis.

        What is tried is drawn evenly, and the first that holds enough is taken. If none was found
        among so many, there are few or none: these are counted.
        """
        missed = 0
        for tries in _TRIES:
            tried = rng.integers(self._count, size=(tries, len(self._count)))
            sure, maybe = self._told(tried)
            for number in np.flatnonzero(maybe):
                if sure[number] or self.holds(tried[number]):
                    return tuple(tried[number].tolist())
                # Whether to go on must not depend on the next one, or some were likelier.
                missed += 1
                if missed == _LOOKS:
                    return self.counted().draw(rng)
        return self.counted().draw(rng)

    def holds(self, index: Iterable[int]) -> bool:
        """Whether a window holds enough."""
        place = tuple((int(i), int(i) + 1) for i in index)
        return all(
            summed.mask.count(need.windows.part(place).box)
            >= least_count(need.least, need.windows.size)
            for summed, need in self._needs
        )

    def _told(self, index: Numbers) -> tuple[Numbers, Numbers]:
        """Which windows are sure to hold enough, and which ones may."""
        sure, maybe = np.ones((2, len(index)), bool)
        for summed, need in self._needs:
            windows = need.windows
            least, most = summed.limits(index * windows.stride + windows.first, windows.shape)
            needed = least_count(need.least, windows.size)
            sure &= least >= needed
            maybe &= most >= needed
        return sure, maybe
