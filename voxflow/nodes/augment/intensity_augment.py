"""Random contrast and brightness."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from voxflow.nodes.augment.augment import ValueAugment, check_floating, probability
from voxflow.ops.recipe import Recipe
from voxflow.ops.runs import pieces_of
from voxflow.ops.value_range import value_range
from voxflow.ops.values import Change, Clip, Contrast
from voxflow.pipeline.data import Array, Batch, BatchRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from voxflow.pipeline.data import ArrayKey

    Floats = NDArray[np.float64]


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
        self.scale_min, self.scale_max = scale_min, scale_max
        self.shift_min, self.shift_max = shift_min, shift_max
        self.z_section_wise = bool(z_section_wise)
        self.clip = clip
        self.p = probability("p", p)
        self.slab = None if slab is None else tuple(slab)

    @property
    def hands_on_recipes(self) -> bool:
        """It does, and looks beforehand only where values may lie outside of what it takes."""
        return True

    def process(self, batch: Batch, request: BatchRequest) -> Batch:
        """Scale and shift."""
        array = batch[self.array]
        self._check(array)
        pieces = self._pieces(array)
        counts = [math.ceil(n / size) for n, size in zip(array.shape, pieces, strict=True)]
        scale, shift = request.note_draw(self.dice(request, counts))
        changes: list[Change] = [Contrast(pieces, scale, shift)]
        if self.clip:
            changes.append(Clip(0.0, 1.0))
        made = Batch()
        recipe = Recipe.of(array).changed(changes, array.dtype)
        made[self.array] = Array(recipe, array.spec, dict(array.attrs))
        return made

    def dice(self, request: BatchRequest, counts: Sequence[int]) -> tuple[Floats, Floats]:
        """A scale and a shift for each piece; how many there are is known only with the shape."""
        rng = request.rng(self.label)
        scale = rng.uniform(self.scale_min, self.scale_max, counts)
        return scale, rng.uniform(self.shift_min, self.shift_max, counts)

    def _check(self, array: Array) -> None:
        check_floating(self, self.array, array.dtype)
        if not self.clip:
            return
        low, high = value_range(array, within=(0, 1))
        if not (low >= 0 and high <= 1):
            raise ValueError(
                f"{self.name()} clips to [0, 1], but {self.array} has values in [{low:g}, "
                f"{high:g}]; put Normalize upstream, or use clip=False"
            )

    def _pieces(self, array: Array) -> tuple[int, ...]:
        slab = self.slab
        if self.z_section_wise:
            dims = array.spec.roi.dims if array.spec.roi is not None else len(array.shape)
            first = len(array.shape) - dims
            slab = tuple(1 if axis == first else -1 for axis in range(len(array.shape)))
        try:
            return pieces_of(array.shape, slab, str(self.array))
        except ValueError as error:
            raise ValueError(f"{self.name()}: {error}") from None
