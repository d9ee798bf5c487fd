"""Add a channel axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from voxflow.nodes.shape.axes import channel_axis
from voxflow.pipeline.data import Array, ArrayKey, Batch, BatchRequest
from voxflow.pipeline.engine import BatchFilter

if TYPE_CHECKING:
    from collections.abc import Sequence


class Unsqueeze(BatchFilter):
    """Inserts an axis of length 1 before the spatial axes.

    Parameters
    ----------
    arrays
        The arrays to change.
    axis
        Where the new axis goes, from 0. Nonspatial arrays: anywhere.

    Raises
    ------
    ValueError
        At a request: if the axis would lie among the spatial ones.
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
        """Insert the axis."""
        made = Batch()
        for key in self.arrays:
            if key in batch:
                array = batch[key]
                axis = channel_axis(self, key, array, self.axis, new=True)
                made[key] = Array(np.expand_dims(array.data, axis), array.spec, array.attrs)
        return made
