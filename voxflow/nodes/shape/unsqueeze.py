"""Add a channel axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voxflow.nodes.shape.axes import ChannelAxes, leading
from voxflow.ops.recipe import Recipe

if TYPE_CHECKING:
    from voxflow.pipeline.data import Array, ArrayKey


class Unsqueeze(ChannelAxes):
    """Inserts an axis of length 1 before the spatial axes.

    Parameters
    ----------
    arrays
        The arrays to change.
    axis
        Where the new axis goes, from 0. Nonspatial arrays: anywhere.

    Raises
    ------
    TypeError
        If `arrays` holds anything but `ArrayKey`.
    ValueError
        If `axis` is negative. At a request: if it would lie among the spatial ones.
    """

    def change(self, key: ArrayKey, array: Array) -> Recipe:
        """The data with the axis: a view."""
        self.check_axis(key, array, leading(array) + 1)
        return Recipe.of(array).with_axis(self.axis)
