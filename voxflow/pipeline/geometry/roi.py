"""A box in world units: a frozen value."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable
from functools import cache
from typing import Any

import funlib.geometry.roi

from voxflow.pipeline.geometry import unbounded
from voxflow.pipeline.geometry.coordinate import Coordinate
from voxflow.pipeline.geometry.exact import Exact, format_exact, whole
from voxflow.pipeline.geometry.frozen import Frozen

__all__ = ["Roi"]

_FunlibRoi: Any = funlib.geometry.roi.Roi
_set = object.__setattr__
_index = operator.index


class Roi(Frozen, _FunlibRoi):
    """A region of interest: the box from ``offset`` to ``offset + shape``, in world units.

    ``None`` in the shape says that the region is unbounded there; the offset is then ``None``
    too. A region without extent is empty and contains nothing; the canonical empty one, which an
    intersection of separate regions gives, has offsets ``None`` and shape 0.

    A ``Roi`` is frozen and hashable: no two specs ever share one that changes under them. Where
    a region must change, make a new one: ``spec.roi = Roi(new_offset, spec.roi.shape)``.

    Methods that take a region take any object with ``offset`` and ``shape``. It is a
    ``funlib.geometry.Roi`` and mixes with those.

    Parameters
    ----------
    offset, shape
        Iterables of numbers or ``None``, equally long.

    Raises
    ------
    ValueError
        If the lengths differ, or a bounded, non-empty extent has no offset.

    Examples
    --------
    >>> roi = Roi((10, 0), (90, 50))
    >>> roi
    [10:100, 0:50] (90, 50)
    >>> roi.intersect(Roi((0, 0), (20, 20))) * 2
    [20:40, 0:40] (20, 40)
    """

    __slots__ = ("_end", "empty", "offset", "shape")

    offset: Coordinate
    shape: Coordinate
    empty: bool
    """Whether some extent is zero or less."""

    def __init__(self, offset: Iterable[Any], shape: Iterable[Any]) -> None:
        begin = offset if type(offset) is Coordinate else Coordinate(offset)
        extent = shape if type(shape) is Coordinate else Coordinate(shape)
        if len(begin) != len(extent):
            raise ValueError(
                f"a Roi needs an offset and a shape of equal length, "
                f"got {begin!r} ({len(begin)} entries) and {extent!r} ({len(extent)} entries)"
            )
        if None in begin or None in extent:
            begin = unbounded.consolidated(begin, extent)
            empty = any(entry is not None and entry <= 0 for entry in extent)
        else:
            empty = min(extent, default=1) <= 0
        _set(self, "offset", begin)
        _set(self, "shape", extent)
        _set(self, "empty", empty)
        _set(self, "_end", None)

    @classmethod
    def like(cls, region: Any) -> Roi:
        """Give any object with ``offset`` and ``shape`` as a ``Roi``.

        Raises
        ------
        TypeError
            If it has not both.
        """
        if type(region) is Roi:
            return region
        try:
            offset, shape = region.offset, region.shape
        except AttributeError:
            raise TypeError(
                f"expected a region (an object with offset and shape), "
                f"got {type(region).__name__} {region!r}"
            ) from None
        return cls(offset, shape)

    @property
    def begin(self) -> Coordinate:
        """The lowest corner; the same as ``offset``."""
        return self.offset

    @property
    def end(self) -> Coordinate:
        """The highest corner, which lies outside: ``offset + shape``."""
        end: Coordinate | None = self._end
        if end is None:
            end = self.offset + self.shape
            _set(self, "_end", end)
        return end

    @property
    def center(self) -> Coordinate:
        """The exact middle, ``offset + shape / 2``."""
        return self.offset + self.shape / 2

    @property
    def dims(self) -> int:
        """The number of dimensions."""
        return len(self.shape)

    @property
    def size(self) -> Exact | None:
        """The volume; ``None`` where a dimension is unbounded."""
        try:
            return whole(math.prod(self.shape))
        except TypeError:  # an entry is None
            return None

    @property
    def unbounded(self) -> bool:
        """Whether some extent is ``None``."""
        return None in self.shape

    def to_slices(self) -> tuple[slice, ...]:
        """Give the slices that cut this region out of an array: one per dimension, in voxels.

        Raises
        ------
        ValueError
            If begin or end is not whole.

        Examples
        --------
        >>> Roi((2, 0), (3, 4)).to_slices()
        (slice(2, 5, None), slice(0, 4, None))
        """
        if not self.empty:
            try:
                return tuple(map(slice, map(_index, self.offset), map(_index, self.end)))
            except TypeError:
                pass
        return tuple(map(self._slice, self.offset, self.shape, self.end))

    def _slice(self, begin: Any, extent: Any, end: Any) -> slice:
        if extent is None:
            return slice(None, None)
        if extent <= 0:
            return slice(None, 0)
        if type(begin) is int and type(end) is int:
            return slice(begin, end)
        raise ValueError(
            f"{self!r} does not begin and end on whole voxels, so no slices cut it out. If it is "
            f"in world units, divide by the voxel size first; if it is off the voxel grid, use "
            f"snap_to_grid"
        )

    def contains(self, other: Any) -> bool:
        """Say whether a region or a point lies inside.

        An empty region contains nothing. A region that is empty itself is inside where its
        offset is. A point of another number of dimensions is outside.

        Raises
        ------
        TypeError
            If it is neither a region nor an iterable of numbers.
        """
        if self.empty:
            return False
        if type(other) is not Roi:
            if not (hasattr(other, "offset") and hasattr(other, "shape")):
                return unbounded.contains_point(self, other)
            other = Roi.like(other)
        if other.empty:
            return unbounded.contains_point(self, other.offset)
        if len(self.shape) != len(other.shape):
            return False
        if None in self.shape:
            return unbounded.contains(self, other)
        try:
            return all(map(operator.le, self.offset, other.offset)) and all(
                map(operator.le, other.end, self.end)
            )
        except TypeError:
            return unbounded.contains(self, other)

    def intersects(self, other: Any) -> bool:
        """Say whether the two have a volume in common; touching is not enough.

        Raises
        ------
        ValueError
            If the numbers of dimensions differ.
        """
        other = self._comparable(other)
        if self.empty or other.empty:
            return False
        try:
            return all(map(operator.lt, self.offset, other.end)) and all(
                map(operator.lt, other.offset, self.end)
            )
        except TypeError:
            return unbounded.overlap(self, other)

    def intersect(self, other: Any) -> Roi:
        """Give the part that both have in common; the canonical empty region if there is none.

        Raises
        ------
        ValueError
            If the numbers of dimensions differ.

        Examples
        --------
        >>> Roi((0,), (10,)).intersect(Roi((5,), (10,)))
        [5:10] (5)
        """
        other = self._comparable(other)
        if self.empty or other.empty:
            return _nothing(len(self.shape))
        try:
            begin = tuple(map(max, self.offset, other.offset))
            end = tuple(map(min, self.end, other.end))
        except TypeError:
            if not unbounded.overlap(self, other):
                return _nothing(len(self.shape))
            low, high = unbounded.common(self, other)
            return Roi(low, high - low)
        if not all(map(operator.lt, begin, end)):
            return _nothing(len(self.shape))
        # Regions that stay the same object need not be compared further on.
        for region in (self, other):
            if begin == region.offset and end == region.end:
                return region
        return Roi(begin, tuple(map(operator.sub, end, begin)))

    def union(self, other: Any) -> Roi:
        """Give the smallest region that holds both; an empty one adds nothing.

        Raises
        ------
        ValueError
            If the numbers of dimensions differ.
        """
        other = self._comparable(other)
        if self.empty:
            union: Roi = other
            return union
        if other.empty:
            return self
        try:
            begin = Coordinate(tuple(map(min, self.offset, other.offset)))
            end = Coordinate(tuple(map(max, self.end, other.end)))
        except TypeError:
            begin, end = unbounded.hull(self, other)
        return Roi(begin, end - begin)

    def _comparable(self, other: Any) -> Roi:
        region = other if type(other) is Roi else Roi.like(other)
        if len(region.shape) != len(self.shape):
            raise ValueError(
                f"regions of different dimensions: {self!r} has {self.dims}, "
                f"{region!r} has {region.dims}"
            )
        return region

    def shift(self, by: Any) -> Roi:
        """Move by a ``Coordinate`` or a number."""
        return Roi(self.offset + by, self.shape)

    def grow(self, amount_neg: Any = 0, amount_pos: Any = 0) -> Roi:
        """Move the lower faces down by ``amount_neg`` and the upper ones up by ``amount_pos``.

        Both are numbers or iterables, one entry per dimension; negative ones shrink. The
        canonical empty region has no faces and stays what it is.

        >>> Roi((10, 10), (5, 5)).grow(2, (0, 3))
        [8:15, 8:18] (7, 10)
        """
        if self._is_nowhere():
            return self
        below, above = map(_amount, (amount_neg, amount_pos))
        return Roi(self.offset - below, self.shape + below + above)

    def snap_to_grid(self, voxel_size: Iterable[Any], mode: str = "grow") -> Roi:
        """Move the faces to whole multiples of ``voxel_size``.

        Parameters
        ----------
        voxel_size
            The grid, one positive entry per dimension.
        mode
            ``"grow"`` moves outwards, ``"shrink"`` inwards, ``"closest"`` to the nearest multiple,
            halves down. An unbounded dimension and the canonical empty region stay as they are.

        Raises
        ------
        ValueError
            If the voxel size has another length or an entry that is not positive.
        RuntimeError
            If the mode is none of these.

        Examples
        --------
        >>> Roi((3,), (9,)).snap_to_grid((5,))
        [0:15] (15)
        """
        grid = voxel_size if type(voxel_size) is Coordinate else Coordinate(voxel_size)
        if len(grid) != len(self.shape):
            raise ValueError(
                f"cannot snap {self!r} of {self.dims} dimensions to voxel size {grid!r} of "
                f"{grid.dims}"
            )
        for entry in grid:
            if entry is not None and entry <= 0:
                raise ValueError(f"a voxel size is positive in every dimension, got {grid!r}")
        if mode not in ("grow", "shrink", "closest"):
            raise RuntimeError(
                f"unknown mode {mode!r} for snap_to_grid: use 'grow', 'shrink' or 'closest'"
            )
        if self._is_nowhere():
            return self
        if mode == "grow":
            begin, end = self.offset.floor_division(grid), self.end.ceil_division(grid)
        elif mode == "shrink":
            begin, end = self.offset.ceil_division(grid), self.end.floor_division(grid)
        else:
            begin, end = self.offset.round_division(grid), self.end.round_division(grid)
        return Roi(begin * grid, (end - begin) * grid)

    def squeeze(self, dim: int = 0) -> Roi:
        """Leave out dimension ``dim``; unchanged where there is none."""
        return Roi(self.offset.squeeze(dim), self.shape.squeeze(dim))

    def _is_nowhere(self) -> bool:
        """Say whether this is an empty region without a place."""
        return None in self.offset and any(
            begin is None and extent is not None
            for begin, extent in zip(self.offset, self.shape, strict=True)
        )

    def __add__(self, other: Any) -> Roi:
        return Roi(self.offset + other, self.shape)

    def __sub__(self, other: Any) -> Roi:
        return Roi(self.offset - other, self.shape)

    def __mul__(self, other: Any) -> Roi:
        return Roi(self.offset * other, self.shape * other)

    def __truediv__(self, other: Any) -> Roi:
        return Roi(self.offset / other, self.shape / other)

    def __floordiv__(self, other: Any) -> Roi:
        return Roi(self.offset // other, self.shape // other)

    def __mod__(self, other: Any) -> Roi:
        return Roi(self.offset % other, self.shape % other)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, _FunlibRoi):
            return bool(self.offset == other.offset and self.shape == other.shape)
        return NotImplemented

    def __ne__(self, other: object) -> bool:
        if isinstance(other, _FunlibRoi):
            return not (self.offset == other.offset and self.shape == other.shape)
        return NotImplemented

    def __hash__(self) -> int:
        return hash((self.offset, self.shape))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (tuple(self.offset), tuple(self.shape))

    def __repr__(self) -> str:
        if self.empty:
            return "[empty ROI]"
        faces = ", ".join(
            f"{_text(begin, '')}:{_text(end, '')}"
            for begin, end in zip(self.offset, self.end, strict=True)
        )
        extents = ", ".join(_text(extent, "inf") for extent in self.shape)
        return f"[{faces}] ({extents})"


def _text(entry: Exact | None, missing: str) -> str:
    return missing if entry is None else format_exact(entry)


@cache
def _nothing(dims: int) -> Roi:
    """Give the canonical empty region."""
    return Roi((None,) * dims, (0,) * dims)


def _amount(amount: Any) -> Any:
    return Coordinate(amount) if hasattr(amount, "__iter__") else amount
