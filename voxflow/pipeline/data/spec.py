"""What is known of an array or a graph before its data exist."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.pipeline.data.kinds import Kind
from voxflow.pipeline.geometry import Coordinate, Roi

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import DTypeLike


class _Spec:
    """Fields, equality and copying shared by both kinds of spec.

    The fields hold immutable values, so a shallow copy is a full one.
    """

    __slots__ = ("_dtype", "_roi", "placeholder")

    placeholder: bool
    _roi: Roi | None
    _dtype: np.dtype[Any] | None

    @property
    def roi(self) -> Roi | None:
        """The region, in world units; None if it is not known or does not apply."""
        return self._roi

    @roi.setter
    def roi(self, roi: Any) -> None:
        self._roi = roi if roi is None or type(roi) is Roi else Roi(roi.offset, roi.shape)

    @property
    def region(self) -> Roi:
        """The roi, where there has to be one.

        Raises
        ------
        ValueError
            If there is none.
        """
        if self._roi is None:
            raise ValueError(f"a region is needed here, and there is none: {self}")
        return self._roi

    @property
    def dtype(self) -> np.dtype[Any] | None:
        """The type of the values; None if it is not known."""
        return self._dtype

    @dtype.setter
    def dtype(self, dtype: DTypeLike | None) -> None:
        self._dtype = None if dtype is None else np.dtype(dtype)

    def _fields(self) -> tuple[Any, ...]:
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._fields() == other._fields()

    __hash__ = None  # type: ignore[assignment]


class ArraySpec(_Spec):
    """What is known of an array: where it lies, how fine it is, what its values are.

    Parameters
    ----------
    roi
        The region in world units. None in its shape: unbounded along that axis.
    voxel_size
        The size of a voxel in world units, held exactly.
    interpolatable
        Whether values between voxels mean something (True for images, False for
        labels). None: not known.
    nonspatial
        The array has no place in the world, and neither `roi` nor `voxel_size`.
    dtype
        The type of the values.
    placeholder
        Only the region matters, no data is wanted.
    kind
        What the values mean, where they change with the axes: `Affinities`, `Vectors` or
        `Descriptors`. None: plain values.

    Raises
    ------
    TypeError
        If `kind` is none.
    ValueError
        If the array is nonspatial and has a `roi` or a `voxel_size`, if the two differ in
        their number of dimensions, or if a voxel size is not positive.

    Examples
    --------
    >>> ArraySpec(roi=Roi((0, 0), (98, 40)), voxel_size=(9.8, 4)).voxel_size
    (9.8, 4)
    """

    __slots__ = ("_kind", "_voxel_size", "interpolatable", "nonspatial")

    interpolatable: bool | None
    nonspatial: bool
    _voxel_size: Coordinate | None
    _kind: Kind | None

    def __init__(
        self,
        roi: Any = None,
        voxel_size: Iterable[Any] | None = None,
        interpolatable: bool | None = None,
        nonspatial: bool = False,
        dtype: DTypeLike | None = None,
        placeholder: bool = False,
        *,
        kind: Kind | None = None,
    ) -> None:
        self.roi = roi
        self.voxel_size = voxel_size
        self.interpolatable = interpolatable
        self.nonspatial = nonspatial
        self.dtype = dtype
        self.placeholder = placeholder
        self.kind = kind
        if nonspatial and (roi is not None or voxel_size is not None):
            raise ValueError(
                f"a nonspatial array has neither roi nor voxel_size, got roi={roi}, "
                f"voxel_size={voxel_size}"
            )
        own, size = self._roi, self._voxel_size
        if own is not None and size is not None and own.dims != len(size):
            raise ValueError(
                f"the roi {own} has {own.dims} dimensions, the voxel size {size} has {len(size)}; "
                "give both one entry for each spatial axis (channel axes have none)"
            )

    @property
    def voxel_size(self) -> Coordinate | None:
        """The size of a voxel in world units; None if it is not known or does not apply."""
        return self._voxel_size

    @voxel_size.setter
    def voxel_size(self, voxel_size: Iterable[Any] | None) -> None:
        if voxel_size is not None:
            if type(voxel_size) is not Coordinate:
                voxel_size = Coordinate(voxel_size)
            if not all(step is not None and step > 0 for step in voxel_size):
                raise ValueError(f"a voxel size is positive along each axis, got {voxel_size}")
        self._voxel_size = voxel_size

    @property
    def kind(self) -> Kind | None:
        """What the values mean, where they change with the axes; None for plain values."""
        return self._kind

    @kind.setter
    def kind(self, kind: Kind | None) -> None:
        if kind is not None and not isinstance(kind, Kind):
            raise TypeError(
                f"the kind of an array is Affinities, Vectors or Descriptors, or None; got {kind!r}"
            )
        self._kind = kind

    @property
    def grid(self) -> Coordinate:
        """The voxel size, where there has to be one.

        Raises
        ------
        ValueError
            If there is none.
        """
        if self._voxel_size is None:
            raise ValueError(f"a voxel size is needed here, and there is none: {self}")
        return self._voxel_size

    def copy(self) -> ArraySpec:
        """A copy that can be changed without changing this one."""
        new = object.__new__(ArraySpec)
        new._roi = self._roi
        new._voxel_size = self._voxel_size
        new._dtype = self._dtype
        new.interpolatable = self.interpolatable
        new.nonspatial = self.nonspatial
        new.placeholder = self.placeholder
        new._kind = self._kind
        return new

    def update_with(self, spec: ArraySpec) -> None:
        """Take over what another spec knows: the union of the rois, its other fields where set."""
        _unite_rois(self, spec)
        if spec._voxel_size is not None:
            self._voxel_size = spec._voxel_size
        if spec._dtype is not None:
            self._dtype = spec._dtype
        if spec.interpolatable is not None:
            self.interpolatable = spec.interpolatable
        if spec._kind is not None:
            self._kind = spec._kind
        self.nonspatial = spec.nonspatial
        self.placeholder = spec.placeholder

    def _fields(self) -> tuple[Any, ...]:
        return (
            self._roi,
            self._voxel_size,
            self.interpolatable,
            self.nonspatial,
            self._dtype,
            self.placeholder,
            self._kind,
        )

    def __repr__(self) -> str:
        return (
            f"ROI: {self.roi}, voxel size: {self.voxel_size}, "
            f"interpolatable: {self.interpolatable}, non-spatial: {self.nonspatial}, "
            f"dtype: {self.dtype}, placeholder: {self.placeholder}"
            + ("" if self._kind is None else f", kind: {self._kind}")
        )


class GraphSpec(_Spec):
    """What is known of a graph: where it lies and whether its edges have a direction.

    Parameters
    ----------
    roi
        The region in world units.
    directed
        Whether edges have a direction. None: not known.
    dtype
        The type of the node locations.
    placeholder
        Only the region matters, no data is wanted.

    Examples
    --------
    >>> GraphSpec(roi=Roi((0,), (10,)), directed=False).directed
    False
    """

    __slots__ = ("directed",)

    directed: bool | None

    def __init__(
        self,
        roi: Any = None,
        directed: bool | None = None,
        dtype: DTypeLike | None = np.float32,
        placeholder: bool = False,
    ) -> None:
        self.roi = roi
        self.directed = directed
        self.dtype = dtype
        self.placeholder = placeholder

    def copy(self) -> GraphSpec:
        """A copy that can be changed without changing this one."""
        new = object.__new__(GraphSpec)
        new._roi = self._roi
        new._dtype = self._dtype
        new.directed = self.directed
        new.placeholder = self.placeholder
        return new

    def update_with(self, spec: GraphSpec) -> None:
        """Take over what another spec knows: the union of the rois, its other fields where set."""
        _unite_rois(self, spec)
        if spec._dtype is not None:
            self._dtype = spec._dtype
        if spec.directed is not None:
            self.directed = spec.directed
        self.placeholder = spec.placeholder

    def _fields(self) -> tuple[Any, ...]:
        return (self._roi, self.directed, self._dtype, self.placeholder)

    def __repr__(self) -> str:
        return (
            f"ROI: {self.roi}, dtype: {self.dtype}, directed: {self.directed}, "
            f"placeholder: {self.placeholder}"
        )


Spec = ArraySpec | GraphSpec
"""Either kind of spec."""


def _unite_rois(spec: _Spec, other: _Spec) -> None:
    if spec._roi is None:
        spec._roi = other._roi
    elif other._roi is not None and other._roi is not spec._roi:
        spec._roi = spec._roi.union(other._roi)
