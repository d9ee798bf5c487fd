"""Tables from ids to ids, and what is counted and measured of each object."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from voxflow.ops.affinities import as_integers
from voxflow.pipeline.compiled import kernel
from voxflow.segmentation.hashing import find, number_ids, table_of

__all__ = ["Lookup", "as_ids", "relabel", "remove_small"]


class Lookup:
    """A table from ids to ids, of 64 bits.

    Parameters
    ----------
    ids
        uint64, each once.
    values
        uint64: what each of them becomes.

    Raises
    ------
    ValueError
        If there are not as many of one as of the other.

    Examples
    --------
    >>> lookup = Lookup(np.uint64([7, 2**63]), np.uint64([1, 2]))
    >>> lookup(np.uint64([2**63, 0, 7]))
    array([2, 0, 1], dtype=uint64)
    """

    def __init__(self, ids: npt.NDArray[np.uint64], values: npt.NDArray[np.uint64]) -> None:
        if ids.shape != values.shape or ids.ndim != 1:
            raise ValueError(f"there are {ids.shape} ids and {values.shape} values")
        self.ids = ids.astype(np.uint64, copy=False)
        self.values = values.astype(np.uint64, copy=False)
        self._table = table_of(self.ids)

    def __len__(self) -> int:
        return len(self.ids)

    def __call__(
        self, labels: npt.NDArray[Any], missing: Literal["error", "keep", "zero"] = "error"
    ) -> npt.NDArray[np.uint64]:
        """Replace ids; 0 stays 0.

        Parameters
        ----------
        labels
            Any integers that are not below 0.
        missing
            What becomes of ids that are not in the table.

        Raises
        ------
        KeyError
            If there are such, and that is an error.
        """
        flat = as_ids(labels).reshape(-1)
        out = np.empty(flat.size, np.uint64)
        at = _look_up(flat, *self._table, self.values, out, missing == "keep")
        if at >= 0 and missing == "error":
            raise KeyError(
                f"the id {flat[at]} is not in the table of {len(self)} ids; missing='keep' leaves "
                "such as they are, missing='zero' makes them 0"
            )
        return out.reshape(labels.shape)


def as_ids(labels: npt.NDArray[Any]) -> npt.NDArray[np.uint64]:
    """Ids as uint64.

    Raises
    ------
    TypeError
        The labels are not integers.
    ValueError
        An id is below 0.
    """
    ids = as_integers(labels)
    if ids.dtype.kind == "i" and ids.size and ids.min() < 0:
        raise ValueError(f"ids are 0 or more, but there is {ids.min()}")
    return ids.astype(np.uint64, copy=False)


@kernel
def _look_up(ids: Any, keys: Any, places: Any, values: Any, out: Any, keep: bool) -> int:
    """Replace ids; where the first one is that is not in the table, -1: all are."""
    last, value, missing = np.uint64(0), np.uint64(0), -1
    for i in range(ids.size):
        if ids[i] != last:
            last = ids[i]
            place = find(keys, places, last) if last else -1
            value = values[place] if place >= 0 else np.uint64(0)
            if last and place < 0:
                missing = i if missing < 0 else missing
                value = last if keep else np.uint64(0)
        out[i] = value
    return missing


def relabel(labels: npt.NDArray[Any], first: int = 1) -> tuple[npt.NDArray[np.uint64], Lookup]:
    """Give objects consecutive ids, in the order of the old ones; 0 stays 0.

    Parameters
    ----------
    labels
        Any integers that are not below 0.
    first
        The lowest new id.

    Returns
    -------
    tuple[numpy.ndarray, Lookup]
        The new labels, and the table that made them.

    Examples
    --------
    >>> relabel(np.uint64([2**63, 0, 7]))[0]
    array([2, 0, 1], dtype=uint64)
    """
    ids = as_ids(labels)
    old = np.sort(number_ids(ids.reshape(-1))[1])
    new = np.arange(first, first + len(old), dtype=np.uint64)
    lookup = Lookup(old, new)
    return lookup(ids), lookup


def remove_small(labels: npt.NDArray[Any], min_size: int) -> npt.NDArray[Any]:
    """Make objects of fewer voxels 0.

    Examples
    --------
    >>> remove_small(np.array([7, 7, 5, 0]), 2)
    array([7, 7, 0, 0])
    """
    numbers, ids = number_ids(as_ids(labels).reshape(-1))
    sizes = np.bincount(numbers, minlength=len(ids) + 1)
    small = sizes < min_size
    small[0] = False
    out: npt.NDArray[Any] = np.where(small[numbers].reshape(labels.shape), 0, labels)
    return out.astype(labels.dtype, copy=False)
