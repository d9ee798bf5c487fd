"""A fixed scale and shift."""

from __future__ import annotations

from voxflow.pipeline.data import Array, ArrayKey, Batch, BatchRequest
from voxflow.pipeline.engine import BatchFilter


class IntensityScaleShift(BatchFilter):
    """Scales and shifts the values of an array: ``array * scale + shift``.

    Batches without the array go by untouched.

    Parameters
    ----------
    array
        The array to change.
    scale
        The factor.
    shift
        What is added after scaling.
    """

    def __init__(self, array: ArrayKey, scale: float, shift: float) -> None:
        self.array = array
        self.scale = scale
        self.shift = shift

    def process(self, batch: Batch, request: BatchRequest) -> None:
        """Scale and shift."""
        if self.array not in batch:
            return
        array = batch[self.array]
        spec = array.spec.copy()
        data = array.data * self.scale + self.shift
        spec.dtype = data.dtype
        batch[self.array] = Array(data, spec, array.attrs)
