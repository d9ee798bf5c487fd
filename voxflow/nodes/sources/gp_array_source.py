"""Arrays of our own that are in memory already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voxflow.nodes.sources.array_source import ArraySource
from voxflow.pipeline.data import Array

if TYPE_CHECKING:
    from voxflow.pipeline.data import ArrayKey


class GPArraySource(ArraySource):
    """Offers one `voxflow.Array` from memory, spatial or not; as `ArraySource` does.

    Parameters
    ----------
    key
        The name under which the array is offered.
    array
        The array. It is not copied, and not changed.

    Raises
    ------
    TypeError
        If `key` is no `ArrayKey`, or `array` no `Array`.

    Examples
    --------
    >>> import numpy as np
    >>> import voxflow as gp
    >>> raw = gp.ArrayKey("RAW")
    >>> array = gp.Array(np.arange(4), gp.ArraySpec(gp.Roi((0,), (8,)), (2,)))
    >>> with gp.build(gp.GPArraySource(raw, array)) as pipeline:
    ...     pipeline.request_batch(gp.BatchRequest({raw: gp.Roi((2,), (4,))}))[raw].data
    array([1, 2])
    """

    def __init__(self, key: ArrayKey, array: Array) -> None:
        if not isinstance(array, Array):
            raise TypeError(
                f"GPArraySource offers a voxflow.Array, got {type(array).__name__}; ArraySource "
                "takes anything that is indexed like an array"
            )
        super().__init__(key, array)
