"""What Squeeze and Unsqueeze have in common: they change the axes before the spatial ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from voxflow.pipeline.data import Array, ArrayKey, Batch, BatchRequest
from voxflow.pipeline.engine import BatchFilter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from voxflow.pipeline.data.deferred import Deferred


class ChannelAxes(BatchFilter):
    """Changes one axis of each array that is not spatial. Subclasses define `change`.

    Parameters
    ----------
    arrays
        The arrays to change.
    axis
        The axis, from 0.

    Raises
    ------
    TypeError
        If `arrays` holds anything but `ArrayKey`.
    ValueError
        If `axis` is negative.
    """

    looks_at_nothing = True
    only_fills: ClassVar[bool] = True

    def __init__(self, arrays: Iterable[ArrayKey], axis: int = 0) -> None:
        self.arrays = [arrays] if isinstance(arrays, ArrayKey) else list(arrays)
        for key in self.arrays:
            if not isinstance(key, ArrayKey):
                raise TypeError(f"{self.name()} takes a list of ArrayKey, got {key!r}")
        if axis < 0:
            raise ValueError(
                f"{self.name()} counts axes from 0 at the front, got axis={axis}; the last axes "
                "are spatial"
            )
        self.axis = axis

    def change(self, key: ArrayKey, array: Array) -> Deferred:
        """The data with the axis changed."""
        raise NotImplementedError

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
        """Change the arrays that are asked for."""
        made = Batch()
        for key in self.arrays:
            if key in batch:
                array = batch[key]
                made[key] = Array(self.change(key, array), array.spec, dict(array.attrs))
        return made

    def check_axis(self, key: ArrayKey, array: Array, choices: int) -> None:
        """Raise if the axis is not one of the first `choices`.

        Raises
        ------
        ValueError
            Says which axes there are.
        """
        if self.axis >= choices:
            dims = array.spec.roi.dims if array.spec.roi is not None else 0
            raise ValueError(
                f"{self.name()} got axis={self.axis}, but {key} has {len(array.shape) - dims} axes "
                f"before the {dims} spatial ones: its shape is {array.shape}"
            )


def leading(array: Array) -> int:
    """How many axes are not spatial."""
    return len(array.shape) - (array.spec.roi.dims if array.spec.roi is not None else 0)
