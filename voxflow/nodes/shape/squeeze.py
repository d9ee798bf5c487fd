"""Drop a channel axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from voxflow.nodes.shape.axes import channel_axis
from voxflow.pipeline.data import Array, ArrayKey, Batch, BatchRequest
from voxflow.pipeline.engine import BatchFilter

if TYPE_CHECKING:
    from collections.abc import Sequence


class Squeeze(BatchFilter):
    """Removes an axis of length 1 that is not spatial.

    Parameters
    ----------
    arrays
        The arrays to change.
    axis
        The axis, from 0; it has to lie before the spatial axes. Nonspatial arrays: any axis.

    Raises
    ------
    ValueError
        At a request: if the axis is spatial, or longer than 1.
    """

    def __init__(self, arrays: Sequence[ArrayKey], axis: int = 0) -> None:
        self.arrays = list(arrays)
        self.axis = axis

    def setup(self) -> None:
        """Say which arrays change."""
        self.enable_autoskip()
        for key in self.arrays:
            self.updates(key, self.spec[key].copy())

    def prepare(self, request: BatchRequest) -> BatchRequest:
        """Need the arrays that are asked for."""
        needed = BatchRequest()
        for key in self.arrays:
            if key in request:
                needed[key] = request[key]
        return needed

    def process(self, batch: Batch, request: BatchRequest) -> Batch:
        """Remove the axis."""
        made = Batch()
        for key in self.arrays:
            if key in batch:
                array = batch[key]
                axis = channel_axis(self, key, array, self.axis)
                if array.data.shape[axis] != 1:
                    raise ValueError(
                        f"{self.name()} can only remove an axis of length 1, but axis {axis} of "
                        f"{key} has the length {array.data.shape[axis]}"
                    )
                made[key] = Array(np.squeeze(array.data, axis), array.spec, array.attrs)
        return made
