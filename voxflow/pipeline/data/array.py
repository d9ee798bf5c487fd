"""Voxels with their place in the world."""

from __future__ import annotations

import copy
from operator import floordiv, mod
from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.pipeline.data.copying import copied, copy_voxels
from voxflow.pipeline.data.deferred import Borrowed, Deferred, Fresh
from voxflow.pipeline.data.held import nobody_else_has
from voxflow.pipeline.data.spec import ArraySpec
from voxflow.pipeline.geometry import Coordinate, Roi, describe, nearest_on_grid, voxel_slices

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class Array:
    """An n-d array, its spec, and free attributes.

    Parameters
    ----------
    data
        The voxels. The spatial axes come last, one for each dimension of the roi; channel
        and sample axes lead.
    spec
        Where the array lies. Copied. None: nothing is known.
    attrs
        Anything else worth keeping with the array; written by `Snapshot`.

    Raises
    ------
    ValueError
        If the shape of `data` does not fit the roi and voxel size, or the roi does not
        begin on the voxel grid, or `data` have another dtype than the spec says.

    Examples
    --------
    >>> spec = ArraySpec(roi=Roi((0, 8), (8, 8)), voxel_size=(2, 4))
    >>> Array(np.zeros((3, 4, 2)), spec).crop(Roi((2, 8), (4, 4))).data.shape
    (3, 2, 1)
    """

    __slots__ = ("_data", "_filled", "attrs", "spec")

    _data: np.ndarray[Any, Any] | Deferred
    _filled: tuple[Roi, Coordinate] | None
    spec: ArraySpec
    attrs: dict[str, Any]

    def __init__(
        self,
        data: ArrayLike | Deferred,
        spec: ArraySpec | None = None,
        attrs: dict[str, Any] | None = None,
    ) -> None:
        self.data = data if isinstance(data, Deferred) else np.asarray(data)
        self.spec = ArraySpec() if spec is None else spec.copy()
        self.attrs = {} if attrs is None else attrs
        check_fit(self, self.spec)

    @property
    def data(self) -> np.ndarray[Any, Any]:
        """The voxels; where they were deferred, they are made now."""
        data = self._data
        if isinstance(data, Deferred):
            data = self._data = data.make()
        return data

    @data.setter
    def data(self, data: np.ndarray[Any, Any] | Deferred) -> None:
        self._data = data
        self._filled = None

    @property
    def view(self) -> np.ndarray[Any, Any]:
        """The voxels for reading only: what saves a copy of those that belong to somebody else."""
        data = self._data
        seen = data.view() if isinstance(data, Deferred) else data
        return self.data if seen is None else seen

    def write_to(self, out: np.ndarray[Any, Any]) -> None:
        """Put the voxels into an array of this shape and type; deferred ones are made there."""
        data = self._data
        if isinstance(data, Deferred):
            data.make(out)
        else:
            copy_voxels(out, data, casting="no")

    @property
    def deferred(self) -> Deferred | None:
        """How the voxels will be made, if they are not there yet."""
        data = self._data
        return data if isinstance(data, Deferred) else None

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the voxels, of deferred ones too."""
        return self._data.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the voxels, of deferred ones too."""
        return self._data.dtype

    def settle(self) -> bool:
        """Whether the voxels will be later what they are now; who writes to them gets a copy.

        That cannot be said of voxels that somebody else may have.
        """
        data = self._data
        if isinstance(data, Fresh):
            data = self._data = Borrowed(data.make())
        return isinstance(data, Deferred) and data.fixed

    def claim(self) -> None:
        """Note that nobody else has the voxels, if nobody else refers to their memory.

        Then `settle` promises of them that they stay what they are.
        """
        if nobody_else_has(self, "_data"):
            self._data = Fresh(self.data)

    def apart(self) -> Array:
        """Another array with the same voxels and attributes; itself, if it is of another class.

        Itself also if its voxels are deferred, so that they are made once for whoever has it.
        """
        if isinstance(self._data, Deferred) or type(self) is not Array:
            return self
        new = object.__new__(Array)
        new._data, new._filled = self._data, self._filled
        new.spec, new.attrs = self.spec.copy(), self.attrs
        return new

    def lent(self) -> np.ndarray[Any, Any] | None:
        """The voxels for reading only, and such that they do not change; see `settle`.

        None: that cannot be said of them.
        """
        if not self.settle():
            return None
        data = self._data
        if not isinstance(data, Borrowed):
            data = self._data = Borrowed(self.data)
        return data.view()

    def fills(self, roi: Roi, voxel_size: Coordinate) -> bool:
        """Whether the shape is that of a region in voxels of a size."""
        filled = self._filled
        if filled is not None and filled[0] is roi and filled[1] is voxel_size:
            return True
        wanted, shape = tuple(map(floordiv, roi.shape, voxel_size)), self._data.shape
        if shape[max(len(shape) - len(wanted), 0) :] != wanted:
            return False
        self._filled = roi, voxel_size
        return True

    def placed(self, spec: ArraySpec) -> Array:
        """The same voxels and attributes under another spec, which is copied."""
        return self._with(self._shared(), spec)

    def crop(self, roi: Roi, copy: bool = True) -> Array:
        """The part of the array in a region.

        Parameters
        ----------
        roi
            A region inside the array's own, on its voxel grid; world units.
        copy
            Whether the voxels are copied. If not, they are a view.

        Raises
        ------
        ValueError
            If the region is not inside, or not on the voxel grid.
        """
        roi = Roi.like(roi)
        own, voxel_size = self.spec._roi, self.spec._voxel_size
        if own is None or voxel_size is None:
            raise ValueError(f"an array without roi and voxel size has no part at {roi}")
        if roi is own or roi == own:
            return self if not copy else self.copy()
        if not own.contains(roi):
            raise ValueError(
                f"the array covers {describe(own, voxel_size)}, "
                f"which does not contain {describe(roi, voxel_size)}"
            )
        spec = self.spec.copy()
        spec.roi = roi
        return self._with(self._part(_slices(roi, own.offset, voxel_size), copy), spec)

    def _part(self, where: tuple[Any, ...], copy: bool) -> np.ndarray[Any, Any] | Deferred:
        data = self._shared()
        seen = data.view_of(where) if isinstance(data, Deferred) else None
        if seen is None:
            seen = self.view[(..., *where)]
        if copy:
            return copied(seen)
        return seen if self.deferred is None else Borrowed(seen)

    def copy(self) -> Array:
        """A copy that shares nothing with this array."""
        return self._with(copied(self.view), self.spec)

    def merge(self, array: Array, copy_from_self: bool = False, copy: bool = False) -> Array:
        """Not available: arrays are replaced, not merged."""
        raise NotImplementedError("arrays of one key cannot be merged; replace the array instead")

    def _shared(self) -> np.ndarray[Any, Any] | Deferred:
        """What another array is to have as well."""
        data = self._data
        return self.data if isinstance(data, Fresh) else data

    def _with(self, data: np.ndarray[Any, Any] | Deferred, spec: ArraySpec) -> Array:
        new = object.__new__(Array)
        new.data = data
        new.spec = spec.copy()
        new.attrs = copy.deepcopy(self.attrs) if self.attrs else {}
        return new

    def __getstate__(self) -> tuple[Any, ...]:
        return self._shared(), self.spec, self.attrs

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.data, self.spec, self.attrs = state

    def __repr__(self) -> str:
        return repr(self.spec)


def check_fit(data: Array, spec: ArraySpec) -> None:
    """Raise if an array cannot be what its spec says.

    Raises
    ------
    ValueError
        Says the shape, place or dtype that is there and the one that was to be.
    """
    roi, voxel_size = spec._roi, spec._voxel_size
    if roi is not None and voxel_size is not None and None not in roi.shape:
        dims = len(roi.shape)
        if len(voxel_size) != dims:
            raise ValueError(f"a roi of {dims} dimensions cannot have the voxel size {voxel_size}")
        if is_off_grid(roi, voxel_size):
            raise ValueError(off_grid(roi, voxel_size))
        if not data.fills(roi, voxel_size):
            raise ValueError(
                f"data of shape {data.shape} do not fit {describe(roi, voxel_size)}: "
                f"the last {dims} axes have to be {tuple(roi.shape // voxel_size)}"
            )
    if spec._dtype is not None and data.dtype != spec._dtype:
        raise ValueError(f"data are {data.dtype}, but the spec says {spec.dtype}")


def is_off_grid(roi: Roi, voxel_size: Coordinate) -> bool:
    """Whether a region begins or ends between two voxels."""
    try:
        return any(map(mod, roi.offset, voxel_size)) or any(map(mod, roi.shape, voxel_size))
    except TypeError:  # some entry is None
        bounded = [(o, s, v) for o, s, v in zip(roi.offset, roi.shape, voxel_size, strict=True)]
        return any((o is not None and o % v) or (s is not None and s % v) for o, s, v in bounded)


def off_grid(roi: Roi, voxel_size: Coordinate) -> str:
    """Say that a region is off the voxel grid, and which regions nearby are on it."""
    says = f"{roi} is not on the voxel grid of {voxel_size} (world units)"
    meant = meant_region(roi, voxel_size)
    if meant is not None:
        return (
            f"{says}, only because of rounding in floating point: {meant} was meant. "
            f"Multiply exactly, as in Coordinate{voxel_size} * Coordinate{meant.shape / voxel_size}"
        )
    outer, inner = nearest_on_grid(roi, voxel_size)
    nearest = f"{outer} outside" if inner.empty else f"{outer} outside, {inner} inside"
    if fits_in_size(roi, voxel_size):
        nearest += f", {Roi(roi.offset // voxel_size * voxel_size, roi.shape)} of the same size"
    return f"{says}; the nearest regions on it: {nearest}"


def meant_region(roi: Roi, voxel_size: Coordinate) -> Roi | None:
    """The region on the grid that a region is off by no more than rounding; None if it is not."""
    closest = roi.snap_to_grid(voxel_size, "closest")
    for numbers, others in ((roi.offset, closest.offset), (roi.shape, closest.shape)):
        if not _nearly(numbers, others, voxel_size):
            return None
    return closest


def fits_in_size(roi: Roi, voxel_size: Coordinate) -> bool:
    """Whether a region is a whole number of voxels large, wherever it lies."""
    return not any(s is not None and s % v for s, v in zip(roi.shape, voxel_size, strict=True))


def _nearly(numbers: Coordinate, others: Coordinate, voxel_size: Coordinate) -> bool:
    """Whether two coordinates differ by no more than single precision does."""
    return all(
        a == b or (a is not None and b is not None and abs(a - b) * 1_000_000 <= v)
        for a, b, v in zip(numbers, others, voxel_size, strict=True)
    )


def _slices(roi: Roi, origin: Coordinate, voxel_size: Coordinate) -> tuple[slice, ...]:
    """The index of a region in an array, of its last axes."""
    if roi.empty and is_off_grid(roi - origin, voxel_size):
        raise ValueError(off_grid(roi, voxel_size))
    try:
        return voxel_slices(roi, origin, voxel_size)
    except ValueError:
        raise ValueError(off_grid(roi, voxel_size)) from None
