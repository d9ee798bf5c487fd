"""Random contrast and brightness."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.nodes.augment.augment import ValueAugment, check_floating, probability
from voxflow.pipeline.data import Array, Batch, BatchRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voxflow.pipeline.data import ArrayKey


class IntensityAugment(ValueAugment):
    """Scales values about their mean and shifts them: ``mean + (array - mean) * scale + shift``.

    Parameters
    ----------
    array
        The array, of floating point.
    scale_min, scale_max
        The range of the scale; uniform.
    shift_min, shift_max
        The range of the shift; uniform.
    z_section_wise
        Old name for a slab of one section along the first spatial axis.
    clip
        The values have to lie in [0, 1] and are clipped to it afterwards.
    p
        The probability with which the node does anything.
    slab
        The size of the pieces that get a scale and a shift of their own, an entry for each axis of
        the data; -1: the whole axis. None: all in one.

    Raises
    ------
    ValueError
        If ranges or slab are wrong, or `slab` and `z_section_wise` are both given. At a request: if
        values lie outside of [0, 1] and `clip` is on.
    TypeError
        At setup, or at a request if its dtype is not known before: if the array is not of floating
        point.
    """

    def __init__(
        self,
        array: ArrayKey,
        scale_min: float,
        scale_max: float,
        shift_min: float,
        shift_max: float,
        z_section_wise: bool | None = None,
        clip: bool = True,
        p: float = 1.0,
        slab: Sequence[int] | None = None,
    ) -> None:
        if scale_min > scale_max or shift_min > shift_max:
            raise ValueError(
                f"ranges go from low to high, got scale [{scale_min}, {scale_max}], shift "
                f"[{shift_min}, {shift_max}]"
            )
        if slab is not None and z_section_wise is not None:
            raise ValueError("give slab= or z_section_wise=, not both")
        if slab is not None and any(size == 0 or size < -1 for size in slab):
            raise ValueError(f"sizes of a slab are 1 or more, or -1 for all; got {tuple(slab)}")
        self.array = array
        self.scale_range = (scale_min, scale_max)
        self.shift_range = (shift_min, shift_max)
        self.z_section_wise = bool(z_section_wise)
        self.clip = clip
        self.p = probability("p", p)
        self.slab = None if slab is None else tuple(slab)

    def process(self, batch: Batch, request: BatchRequest) -> Batch:
        """Scale and shift."""
        array = batch[self.array]
        data = array.data
        self._check(data)
        pieces = self._pieces(array)
        # How many dice there are is known only now, with the data.
        rng = request.rng(self.label)
        counts = [math.ceil(n / size) for n, size in zip(data.shape, pieces, strict=True)]
        scale = rng.uniform(*self.scale_range, counts)
        shift = rng.uniform(*self.shift_range, counts)
        out = np.empty_like(data, order="C")
        for index in np.ndindex(*counts):
            where = tuple(
                slice(i * size, (i + 1) * size) for i, size in zip(index, pieces, strict=True)
            )
            _augment(data[where], out[where], float(scale[index]), float(shift[index]), self.clip)
        made = Batch()
        made[self.array] = Array(out, array.spec, dict(array.attrs))
        return made

    def _check(self, data: np.ndarray[Any, Any]) -> None:
        check_floating(self, self.array, data.dtype)
        if self.clip and data.size and not (data.min() >= 0 and data.max() <= 1):
            raise ValueError(
                f"{self.name()} clips to [0, 1], but {self.array} has values in [{data.min():g}, "
                f"{data.max():g}]; put Normalize upstream, or use clip=False"
            )

    def _pieces(self, array: Array) -> tuple[int, ...]:
        shape: tuple[int, ...] = array.data.shape
        slab = self.slab
        if self.z_section_wise:
            dims = array.spec.roi.dims if array.spec.roi is not None else len(shape)
            first = len(shape) - dims
            slab = tuple(1 if axis == first else -1 for axis in range(len(shape)))
        if slab is None:
            return shape
        if len(slab) != len(shape):
            raise ValueError(
                f"{self.name()}: slab {slab} needs an entry for each of the {len(shape)} axes of "
                f"{self.array}, whose shape is {shape}"
            )
        return tuple(n if size == -1 else size for n, size in zip(shape, slab, strict=True))


def _augment(
    data: np.ndarray[Any, Any], out: np.ndarray[Any, Any], scale: float, shift: float, clip: bool
) -> None:
    # mean + (data - mean) * scale + shift, as one product and one sum
    mean = float(data.mean(dtype=np.float64))
    np.multiply(data, data.dtype.type(scale), out=out)
    out += data.dtype.type(mean * (1 - scale) + shift)
    if clip:
        np.clip(out, 0, 1, out=out)
