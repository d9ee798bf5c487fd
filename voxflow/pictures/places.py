"""Which voxels of several arrays lie at the same place of the world."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.pictures.arrows import SPACING, draw_arrows
from voxflow.pictures.colours import IN_COLOUR, Style, coloured, value_range

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from voxflow.pictures.layer import Layer

    Pixels = NDArray[np.uint8]

__all__ = ["Placed", "Window", "place", "sections_of", "window_of"]

NOTHING = (44, 40, 48)
"""The colour of where an array has no voxels."""

_FINEST = 8  # so many voxels along an axis are averaged in a pixel at most


@dataclass(frozen=True)
class Placed:
    """An array with all axes: samples, channels, then those of space, which are two at least.

    Attributes
    ----------
    moved
        Whether it lies elsewhere in the world, and is shown from the corner of the first one.
    """

    layer: Layer
    data: NDArray[Any]
    offset: tuple[float, ...]
    voxel_size: tuple[float, ...]
    style: Style
    limits: tuple[float, float]
    moved: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels along the axes of space."""
        return self.data.shape[2:]

    @property
    def end(self) -> tuple[float, ...]:
        """Where it ends in the world."""
        each = zip(self.offset, self.shape, self.voxel_size, strict=True)
        return tuple(begin + n * size for begin, n, size in each)

    def plane(self, sample: int, position: Sequence[float]) -> NDArray[Any]:
        """A section with all channels: shape (channels, y, x); of no rows where it has none."""
        own = position[len(position) - (len(self.shape) - 2) :]
        index = [
            math.floor((p - o) / v)
            for p, o, v in zip(own, self.offset, self.voxel_size, strict=False)
        ]
        if sample >= len(self.data) or any(
            not 0 <= i < n for i, n in zip(index, self.shape, strict=False)
        ):
            return np.zeros((self.data.shape[1], 0, self.shape[-1]), self.data.dtype)
        where: tuple[Any, ...] = (sample, slice(None), *index)
        found: NDArray[Any] = self.data[where]
        return found


@dataclass(frozen=True)
class Window:
    """The part of the world that all panels show, in y and x."""

    begin: tuple[float, float]
    pixel: float
    shape: tuple[int, int]

    def draw(self, values: NDArray[Any], placed: Placed) -> tuple[Pixels, NDArray[np.bool_]]:
        """The pixels of a section, and which of them have voxels.

        Where a pixel holds several voxels it is their mean; of ids and masks, one of them.
        """
        times = 1
        if placed.style not in ("labels", "mask"):
            times = round(self.pixel / min(placed.voxel_size[-2:]))
            times = min(max(1, times), _FINEST)
        rows, i = self._voxels(placed, 0, times)
        columns, j = self._voxels(placed, 1, times)
        height, width = self.shape
        pixels = np.full((height * times, width * times, 3), NOTHING, np.uint8)
        there = np.zeros(pixels.shape[:2], bool)
        if rows.size and columns.size and values.size:
            part = values[..., i[:, None], j[None, :]]
            pixels[np.ix_(rows, columns)] = coloured(part, placed.style, placed.limits)
            there[np.ix_(rows, columns)] = True
        if times > 1:
            blocks = pixels.reshape(height, times, width, times, 3)
            pixels = np.rint(blocks.mean(axis=(1, 3))).astype(np.uint8)
            there = np.any(there.reshape(height, times, width, times), axis=(1, 3))
        if placed.style == "vectors" and values.size:
            pixels = self._with_arrows(pixels, values, placed)
        return pixels, there

    def _with_arrows(self, pixels: Pixels, values: NDArray[Any], placed: Placed) -> Pixels:
        """Arrows of some voxels, from their middle."""
        each = [size / self.pixel for size in placed.voxel_size[-2:]]  # pixels for a voxel
        steps = [max(1, math.ceil(SPACING / n)) for n in each]
        rows, columns = (
            np.arange(s // 2, n, s) for s, n in zip(steps, values.shape[1:], strict=True)
        )
        corner = [(o - b) / self.pixel for o, b in zip(placed.offset[-2:], self.begin, strict=True)]
        middles = [
            c + (index + 0.5) * n for c, index, n in zip(corner, (rows, columns), each, strict=True)
        ]
        starts = np.stack(np.meshgrid(*middles, indexing="ij"), axis=-1).reshape(-1, 2)
        chosen = values[-2:, rows[:, None], columns[None, :]].reshape(len(values[-2:]), -1)
        vectors = np.zeros(starts.shape)
        vectors[:, 2 - len(chosen) :] = chosen.T
        apart = min(min(s * n for s, n in zip(steps, each, strict=True)), max(self.shape) / 2)
        return draw_arrows(pixels // 2, starts, vectors * (apart / (placed.limits[1] or 1.0)))

    def _voxels(
        self, placed: Placed, axis: int, times: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Along an axis, which parts of pixels an array has voxels for, and which voxels."""
        steps = np.arange(self.shape[axis] * times)
        world = self.begin[axis] + (steps + 0.5) * (self.pixel / times)
        size = placed.voxel_size[axis - 2]
        index = np.floor((world - placed.offset[axis - 2]) / size).astype(np.int64)
        inside = np.flatnonzero((index >= 0) & (index < placed.shape[axis - 2]))
        return inside, index[inside]


def place(layers: Sequence[Layer], stacked: bool | None) -> list[Placed]:
    """Bring all arrays to the same axes and into one place.

    Parameters
    ----------
    layers
        Those with voxels.
    stacked
        Whether the first axis of all arrays is that of samples. None: it is if all have one of the
        same size before those of space, and one has channels besides, or has labels.
    """
    if stacked is None:
        stacked = _is_stacked(layers)
    placed = [_place(layer, stacked) for layer in layers]
    first = max(placed, key=lambda p: len(p.shape), default=None)
    return [p if first is None else _together(p, first) for p in placed]


def _is_stacked(layers: Sequence[Layer]) -> bool:
    leads = [layer.lead for layer in layers]
    if len({lead[:1] for lead in leads}) != 1 or () in leads:
        return False
    return any(len(layer.lead) > 1 or layer.style == "labels" for layer in layers)


def _place(layer: Layer, stacked: bool) -> Placed:
    flat = 2 - len(layer.extent)  # a line is drawn as an image of one row
    count = layer.lead[0] if stacked and layer.lead else 1
    data = layer.data.reshape(count, -1, *(1,) * flat, *layer.extent)
    style = layer.style
    if style == "image" and data.shape[1] == 3 and data.dtype == np.uint8:
        style = "rgb"
    limits = value_range(data, style)
    if style in IN_COLOUR and data.shape[1] == 1:
        style = "image"
    offset = (0.0,) * flat + tuple(layer.offset)
    size = (layer.voxel_size[0],) * flat + tuple(layer.voxel_size)
    return Placed(layer, data, offset, size, style, limits)


def _together(placed: Placed, first: Placed) -> Placed:
    """As it is where it meets the first one, else with its corner where that has its own."""
    own = first.offset[len(first.shape) - len(placed.shape) :]
    end = first.end[len(first.shape) - len(placed.shape) :]
    begins = zip(placed.offset, placed.end, own, end, strict=True)
    meets = all(a < d and c < b for a, b, c, d in begins)
    return placed if meets else replace(placed, offset=own, moved=True)


def window_of(placed: Sequence[Placed], size: int) -> Window:
    """What holds all arrays, whose longer side has at most about so many pixels."""
    begin = [min(p.offset[axis] for p in placed) for axis in (-2, -1)]
    end = [max(p.end[axis] for p in placed) for axis in (-2, -1)]
    finest = min(min(p.voxel_size[-2:]) for p in placed)
    longest = max(b - a for a, b in zip(begin, end, strict=True)) / finest
    # Whole pixels for a voxel, or whole voxels for a pixel.
    pixel = finest / max(1, int(size / longest)) * max(1, round(longest / size))
    shape = [max(1, math.ceil((b - a) / pixel - 1e-6)) for a, b in zip(begin, end, strict=True)]
    return Window((begin[0], begin[1]), pixel, (shape[0], shape[1]))


def sections_of(placed: Sequence[Placed], sections: int) -> list[tuple[float, ...]]:
    """Where sections lie along all axes before the last two: around what all arrays share."""
    deep = max(placed, key=lambda p: len(p.shape))
    those = [p for p in placed if len(p.shape) == len(deep.shape)]
    middle, axes = [], len(deep.shape) - 2
    count, step = 1, 0.0
    for axis in range(axes):
        low = max(p.offset[axis] for p in those)
        high = min(p.end[axis] for p in those)
        coarsest = max(p.voxel_size[axis] for p in those)
        if high <= low:  # nothing that all have
            low, high = deep.offset[axis], deep.end[axis]
        slices = max(1, int((high - low) / coarsest + 1e-6))
        middle.append(low + (slices // 2 + 0.5) * coarsest)
        if axis == axes - 1:
            count, step = min(sections, slices), coarsest
            middle[-1] -= (count // 2) * step
    if not axes:
        return [()]
    return [(*middle[:-1], middle[-1] + i * step) for i in range(count)]
