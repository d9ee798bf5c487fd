"""Replace values of an array by others."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from voxflow.pipeline.data.graph_ids import as_ids

__all__ = ["replace"]


def replace(
    array: npt.NDArray[Any], old_values: npt.ArrayLike, new_values: npt.ArrayLike
) -> npt.NDArray[Any]:
    """Replace values, all at once: what was replaced is not replaced again.

    Parameters
    ----------
    array
        Any shape and dtype.
    old_values
        What is replaced. If a value is there twice, the last one counts.
    new_values
        What takes their place: as many, or one for all.

    Returns
    -------
    numpy.ndarray
        A new array of the same shape and dtype; if that cannot hold a new value, of the smallest
        dtype that holds both.

    Raises
    ------
    ValueError
        If there are not as many new values as old ones, or there is no such dtype.

    Examples
    --------
    >>> replace(np.array([1, 2, 3, 1]), [1, 2], [2, 1])
    array([2, 1, 3, 2])
    >>> replace(np.array([1, 2], np.uint8), [2], [300])
    array([  1, 300], dtype=uint16)
    """
    old, new = _as_values(old_values), _as_values(new_values)
    if len(new) not in (1, len(old)):
        raise ValueError(f"{len(old)} values cannot be replaced by {len(new)}")
    dtype = _holding_both(array.dtype, new)
    out = array.astype(dtype)
    # Comparing int64 with uint64 goes through float64: compare in the array's own dtype.
    own = old.astype(array.dtype)
    known = own == old
    new = np.broadcast_to(new, old.shape)[known].astype(dtype)
    own = own[known]
    if not len(own):
        return out
    order = np.argsort(own, kind="stable")
    place = np.searchsorted(own, array, side="right", sorter=order) - 1
    row = order[np.maximum(place, 0)]
    return np.where(own[row] == array, new[row], out)


def _as_values(values: npt.ArrayLike) -> npt.NDArray[Any]:
    """A flat array of values; integers exactly, where numpy reads large ones as float64."""
    found = np.ravel(np.asarray(values))
    if found.dtype.kind != "f" or hasattr(values, "dtype"):
        return found
    flat = np.ravel(np.asarray(values, object))
    return as_ids(flat) if all(isinstance(value, int) for value in flat) else found


def _holding_both(dtype: np.dtype[Any], new: npt.NDArray[Any]) -> np.dtype[Any]:
    """The dtype, or a larger one that holds new values too."""
    if not len(new):
        return dtype
    with np.errstate(invalid="ignore"):
        if (new.astype(dtype) == new).all():
            return dtype
    values = [new.min(), new.max()]
    found = np.result_type(dtype, *(np.min_scalar_type(value) for value in values))
    if dtype.kind in "iu" and new.dtype.kind in "iu" and found.kind == "f":
        raise ValueError(f"no dtype holds the values of {dtype} and {new.min()} ... {new.max()}")
    return found
