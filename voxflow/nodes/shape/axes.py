"""Which axes of an array are not spatial."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voxflow.pipeline.data import Array, ArrayKey
    from voxflow.pipeline.engine import BatchFilter


def channel_axis(
    node: BatchFilter, key: ArrayKey, array: Array, axis: int, new: bool = False
) -> int:
    """An axis that is not spatial, or an error that names the node.

    Parameters
    ----------
    node
        Who asks.
    key, array
        The array.
    axis
        The axis, from 0.
    new
        Whether the axis is to be inserted, which may also be just before the spatial ones.

    Raises
    ------
    ValueError
        If the axis is negative or lies among the spatial ones.
    """
    dims = array.spec.roi.dims if array.spec.roi is not None else 0
    last = array.data.ndim - dims - (0 if new else 1)
    if not 0 <= axis <= last:
        raise ValueError(
            f"{node.name()}: axis {axis} of {key} is none of its {array.data.ndim - dims} leading "
            f"axes; the last {dims} of its shape {array.data.shape} are spatial"
        )
    return axis
