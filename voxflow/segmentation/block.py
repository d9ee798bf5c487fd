"""A block of affinities, with what lies around it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from voxflow.ops.affinities import parse_neighborhood
from voxflow.pipeline.compiled import kernel

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Block", "as_unit", "direct_channels", "span", "whole_block"]

OUTSIDE, AROUND, OWN = 0, 1, 2


@dataclass(frozen=True)
class Block:
    """Affinities of a part of a volume, and which of its voxels are to be segmented.

    Parameters
    ----------
    affinities
        Shape (channels, \\*region).
    neighborhood
        int64, shape (channels, axes), in voxels.
    alive
        Shape (\\*region): False where there is no object.
    own
        The part of the region to segment, a slice for each axis; the rest lies around it.
    begin
        Where the region begins in the volume, in voxels.
    volume
        The shape of the volume, in voxels.
    voxel_size
        World units, along each axis; empty: all the same.
    """

    affinities: npt.NDArray[Any]
    neighborhood: npt.NDArray[np.int64]
    alive: npt.NDArray[np.bool_]
    own: tuple[slice, ...]
    begin: tuple[int, ...]
    volume: tuple[int, ...]
    voxel_size: tuple[float, ...] = ()

    def with_voxel_size(self, voxel_size: Iterable[Any]) -> Block:
        """The same block, of voxels of this size."""
        return replace(self, voxel_size=tuple(map(float, voxel_size)))

    @property
    def state(self) -> npt.NDArray[np.uint8]:
        """Of each voxel of the region, in three axes: whether it is there, and its own."""
        state = self.alive.astype(np.uint8)
        state[self.own] *= OWN
        return in_three(state)

    @property
    def vectors(self) -> npt.NDArray[np.int64]:
        """The neighbourhood, in three axes."""
        vectors = np.zeros((len(self.neighborhood), 3), np.int64)
        vectors[:, 3 - self.neighborhood.shape[1] :] = self.neighborhood
        return vectors

    @property
    def own_shape(self) -> tuple[int, ...]:
        """In voxels."""
        return tuple(cut.stop - cut.start for cut in self.own)

    @property
    def place(self) -> npt.NDArray[np.int64]:
        """Where the region begins in the volume, and the shape of that; in three axes."""
        fill = 3 - len(self.begin)
        return np.array([(0,) * fill + self.begin, (1,) * fill + self.volume], np.int64)


def in_three(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """An array with leading axes of length 1, so that there are three."""
    return array.reshape((1,) * (3 - array.ndim) + array.shape)


def whole_block(
    affinities: npt.NDArray[Any],
    neighborhood: Any,
    mask: npt.NDArray[Any] | None = None,
) -> Block:
    """A volume as one block, with nothing around it.

    Raises
    ------
    ValueError
        If the shapes do not fit, or there are more than three axes.
    """
    table = parse_neighborhood(neighborhood)
    channels, dims = table.shape
    if affinities.ndim != dims + 1 or len(affinities) != channels or dims > 3:
        raise ValueError(
            f"affinities of {channels} vectors of {dims} entries have {channels} channels and "
            f"{dims} axes, 3 at most; got shape {affinities.shape}"
        )
    shape = affinities.shape[1:]
    if mask is not None and mask.shape != shape:
        raise ValueError(f"the mask has shape {mask.shape}, the affinities {shape}")
    alive = np.ones(shape, bool) if mask is None else mask != 0
    own = tuple(slice(0, n) for n in shape)
    return Block(affinities, table, alive, own, (0,) * dims, shape)


def as_unit(affinities: npt.NDArray[Any], full: float | None) -> npt.NDArray[np.float32]:
    """Affinities as numbers from 0 to 1.

    Parameters
    ----------
    affinities
        Any real dtype.
    full
        What stands for 1. None: 1 for floating point and bool, else the largest of the dtype.

    Raises
    ------
    TypeError
        If the dtype is signed (affinities are not below 0) and `full` is None, or not real.
    ValueError
        If values are not finite.

    Examples
    --------
    >>> as_unit(np.array([0, 51, 255], np.uint8), None).tolist()
    [0.0, 0.20000000298023224, 1.0]
    """
    kind = affinities.dtype.kind
    if kind not in "fbu" and (full is None or kind != "i"):
        raise TypeError(
            f"affinities are floating point, or unsigned integers of which the largest stands for "
            f"1; got {affinities.dtype}. Say what stands for 1 (full=), or cast them"
        )
    if full is None:
        full = 1 if kind in "fb" else float(np.iinfo(affinities.dtype).max)
    unit: npt.NDArray[np.float32] = np.divide(affinities, np.float32(full), dtype=np.float32)
    if kind == "f" and not math.isfinite(float(unit.sum(dtype=np.float64))):
        raise ValueError("there are affinities that are infinite or not a number")
    return unit


def direct_channels(neighborhood: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Which channels are of direct neighbours."""
    direct: npt.NDArray[np.bool_] = np.abs(neighborhood).sum(axis=1) == 1
    return direct


@kernel
def span(n: int, step: int) -> Any:
    """From where to where a place and its neighbour, a step further, both lie inside."""
    return max(0, -step), min(n, n - step)
