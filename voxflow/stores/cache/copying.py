"""Gather a region from the cells that its chunks lie in, in one go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.pipeline.compiled import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voxflow.stores.grid import Bounds

    from .cells import Cells

__all__ = ["copy_cells"]

_AXES = 4


def copy_cells(
    cells: Cells,
    slots: NDArray[np.int64],
    indices: NDArray[np.int64],
    wanted: NDArray[np.bool_],
    bounds: Bounds,
    out: NDArray[Any],
) -> None:
    """Copy what cells hold of a region.

    Parameters
    ----------
    cells
        The cells; nobody changes them in the meantime.
    slots
        In which cells the chunks are, shape (chunks,).
    indices
        The places of the chunks in the grid, shape (chunks, axes).
    wanted
        Which of them to copy.
    bounds
        The region, in voxels.
    out
        Where to: of the region's shape, C-contiguous.
    """
    ndim = len(bounds)
    if ndim > _AXES:
        _one_by_one(cells, slots, indices, wanted, bounds, out)
        return
    extra = _AXES - ndim
    region = np.zeros((2, _AXES), np.int64)
    region[1] = 1
    region[:, extra:] = np.array(bounds).T
    chunk = np.array([1] * extra + list(cells.shape), np.int64)
    places = np.zeros((len(indices), _AXES), np.int64)
    places[:, extra:] = indices
    raw = out.reshape(-1).view(np.uint8)
    _copy(
        cells.bytes, cells.nbytes, slots[wanted], places[wanted], chunk, region, raw, out.itemsize
    )


def _one_by_one(
    cells: Cells,
    slots: NDArray[np.int64],
    indices: NDArray[np.int64],
    wanted: NDArray[np.bool_],
    bounds: Bounds,
    out: NDArray[Any],
) -> None:
    begin, end = np.array(bounds).T
    for at in np.flatnonzero(wanted):
        first = indices[at] * cells.shape
        low, high = np.maximum(begin, first), np.minimum(end, first + cells.shape)
        source = tuple(map(slice, low - first, high - first))
        out[tuple(map(slice, low - begin, high - begin))] = cells.cell(int(slots[at]))[source]


@kernel
def _copy(
    cells: Any, nbytes: int, slots: Any, indices: Any, chunk: Any, region: Any, out: Any, size: int
) -> None:
    low, high = np.zeros(4, np.int64), np.zeros(4, np.int64)
    extent = region[1] - region[0]
    for at in range(slots.size):
        for axis in range(4):
            first = indices[at, axis] * chunk[axis]
            low[axis] = max(region[0, axis], first) - first
            high[axis] = min(region[1, axis], first + chunk[axis]) - first
        shift = indices[at] * chunk - region[0]
        length = (high[3] - low[3]) * size
        for i in range(low[0], high[0]):
            for j in range(low[1], high[1]):
                for k in range(low[2], high[2]):
                    there = ((i * chunk[1] + j) * chunk[2] + k) * chunk[3] + low[3]
                    here = ((i + shift[0]) * extent[1] + j + shift[1]) * extent[2] + k + shift[2]
                    here = here * extent[3] + low[3] + shift[3]
                    source, target = slots[at] * nbytes + there * size, here * size
                    for x in range(length):
                        out[np.uint64(target + x)] = cells[np.uint64(source + x)]
