"""Arrays in memory, and any object that can be indexed like one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.stores.base import Attrs, Mode, StoredDataset, parse_region

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voxflow.stores.grid import Bounds

__all__ = ["ArrayDataset"]


class ArrayDataset(StoredDataset):
    """An array-like as a dataset: numpy, dask, tensorstore, a memory map.

    Parameters
    ----------
    array
        Anything with ``shape``, ``dtype`` and ``__getitem__`` by slices; ``__setitem__`` for
        writing. Its ``attrs`` are taken where it has a mapping of that name.
    mode
        ``"r"`` or ``"r+"``.
    attrs
        Attributes instead of the array's own.
    name
        What messages call it.

    Raises
    ------
    TypeError
        If the object has not what an array-like has.

    Examples
    --------
    >>> dataset = ArrayDataset(np.arange(6).reshape(2, 3))
    >>> dataset.read((slice(0, 1), slice(1, 3)))
    array([[1, 2]])
    """

    def __init__(
        self,
        array: Any,
        mode: Mode = "r+",
        attrs: Attrs | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(mode)
        if not is_array_like(array):
            raise TypeError(
                f"an array-like has shape, dtype and __getitem__; {type(array).__name__} has not"
            )
        self._array = array
        self._shape = tuple(int(extent) for extent in array.shape)
        self._dtype = _numpy_dtype(array.dtype).newbyteorder("=")
        own = getattr(array, "attrs", None)
        self._attrs: Attrs = dict(own) if isinstance(own, Mapping) else {}
        if attrs is not None:
            self._attrs = attrs
        self._uri = name or f"<{type(array).__name__} in memory>"

    @property
    def chunks(self) -> tuple[int, ...] | None:
        """The grid of writing in voxels; None for an array in memory."""
        chunks = getattr(self._array, "chunks", None)
        if isinstance(chunks, Sequence) and all(isinstance(size, int) for size in chunks):
            return tuple(chunks)
        return None

    @property
    def attrs(self) -> Attrs:
        """The attributes."""
        return self._attrs

    @property
    def ancestors(self) -> Sequence[tuple[str, Attrs]]:
        """None: an array is in no group."""
        return ()

    @property
    def uri(self) -> str:
        """What messages call it."""
        return self._uri

    def look(self, region: Sequence[slice] = ()) -> NDArray[Any] | None:
        """A region of a numpy array (a memory map too), where it lies."""
        if not isinstance(self._array, np.ndarray) or self._array.dtype != self._dtype:
            return None
        bounds = parse_region(region, self.shape, self.uri)
        seen = self._array[tuple(slice(begin, end) for begin, end in bounds)]
        return seen.view(np.ndarray)

    def _read(self, region: tuple[slice, ...], bounds: Bounds) -> NDArray[Any]:
        return np.array(self._array[region], dtype=self._dtype, order="C")

    def _write(self, region: tuple[slice, ...], bounds: Bounds, data: NDArray[Any]) -> None:
        self._array[region] = data


def is_array_like(value: Any) -> bool:
    """Say whether an object has ``shape``, ``dtype`` and can be indexed."""
    return all(hasattr(value, name) for name in ("shape", "dtype", "__getitem__"))


def _numpy_dtype(dtype: Any) -> np.dtype[Any]:
    """Give numpy's name for a dtype; tensorstore's has it as ``numpy_dtype``."""
    named: np.dtype[Any] = np.dtype(getattr(dtype, "numpy_dtype", dtype))
    return named
