"""Drop a channel axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voxflow.nodes.shape.axes import ChannelAxes, leading
from voxflow.ops.recipe import Recipe

if TYPE_CHECKING:
    from voxflow.pipeline.data import Array, ArrayKey


class Squeeze(ChannelAxes):
    """Removes an axis of length 1 that is not spatial.

    Parameters
    ----------
    arrays
        The arrays to change.
    axis
        The axis, from 0; it has to lie before the spatial axes. Nonspatial arrays: any axis.

    Raises
    ------
    TypeError
        If `arrays` holds anything but `ArrayKey`.
    ValueError
        If `axis` is negative. At a request: if it is spatial, or longer than 1.
    """

    def change(self, key: ArrayKey, array: Array) -> Recipe:
        """The data without the axis: a view."""
        self.check_axis(key, array, leading(array))
        if array.shape[self.axis] != 1:
            raise ValueError(
                f"{self.name()} can only remove an axis of length 1, but axis {self.axis} of {key} "
                f"has the length {array.shape[self.axis]}"
            )
        return Recipe.of(array).without_axis(self.axis)
