"""What every map offers: the region it reads, how it moves an array, how it moves points."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from fractions import Fraction
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from ..resampling.footprint import footprint, reach
from ..resampling.resample import Order, resample
from ..resampling.stages import Floats, Stage, fuse
from .positions import apply, derivatives


class Region(Protocol):
    """Anything with an offset and a shape in world units, such as a `Roi`."""

    @property
    def offset(self) -> Sequence[Any]: ...  # noqa: D102

    @property
    def shape(self) -> Sequence[Any]: ...  # noqa: D102


class Map(ABC):
    """A map from output positions to input positions, in world units.

    Positions are continuous; the voxel is a cell, and voxel ``k`` of an array that begins at
    ``offset`` has its centre at ``offset + (k + 1/2) * voxel_size``. One map serves all arrays of a
    request, whatever their voxel sizes, and its points.

    A map knows `ndim` spatial axes, the last ones; leading axes of a region are left alone.
    A kind of map defines `ndim`, `stages` and `points`; all else follows from these.
    """

    @property
    @abstractmethod
    def ndim(self) -> int:
        """Number of spatial axes that the map knows: 1, 2 or 3."""

    @abstractmethod
    def stages(self) -> tuple[Stage, ...]:
        """What the map is made of, in order from output to input; empty for the identity."""

    @abstractmethod
    def points(self, locations: ArrayLike) -> Floats:
        """Where input positions come to lie in the output: the inverse of `pull`.

        Parameters
        ----------
        locations
            input positions (world), shape (n, axes).

        Returns
        -------
        Floats
            Output positions (world), float64, of the same shape.
        """

    def pull(self, locations: ArrayLike) -> Floats:
        """The input position that each output position shows.

        Parameters
        ----------
        locations
            output positions (world), shape (n, axes).

        Returns
        -------
        Floats
            Input positions (world), float64, of the same shape.
        """
        positions, own = split_axes(locations, self.ndim)
        positions[:, own] = apply(self.stages(), positions[:, own])
        return positions

    def derivatives(self, locations: ArrayLike) -> Floats:
        """How fast the input position changes with each output position: those of `pull`.

        Where a section slips, they are those within the section.

        Parameters
        ----------
        locations
            output positions (world), shape (n, axes).

        Returns
        -------
        Floats
            float64, shape (n, axes, axes): entry ``[k, i, j]`` is that of input axis ``i`` by
            output axis ``j``.

        Examples
        --------
        >>> from voxflow.ops.maps import Affine
        >>> Affine([[0.5, 0], [1, 2]], center=[0, 0]).derivatives([[3, 4]]).tolist()
        [[[0.5, 0.0], [1.0, 2.0]]]
        """
        positions, own = split_axes(locations, self.ndim)
        count, axes = positions.shape
        whole = np.tile(np.eye(axes), (count, 1, 1))
        whole[:, own, own] = derivatives(self.stages(), positions[:, own])
        return whole

    def source(
        self, roi: Region, voxel_size: Sequence[Any], order: Order = "linear"
    ) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """The voxels that are read for an array over `roi`: nothing outside them is.

        Parameters
        ----------
        roi
            the output region (world), a whole number of voxels.
        voxel_size
            of the array (world); ints and fractions are kept exact.
        order
            how the array will be resampled: "linear", "nearest" or "majority".

        Returns
        -------
        tuple[tuple[Any, ...], tuple[Any, ...]]
            ``(begin, end)`` in world units, on the voxel grid of `roi`.

        Raises
        ------
        ValueError
            If `roi` is not a whole number of voxels, or empty.
        """
        shape = _in_voxels(roi, voxel_size)
        extra = len(shape) - self.ndim
        low, high = [0] * extra, shape[:extra]
        inner = footprint(
            self.stages(), roi.offset[extra:], shape[extra:], voxel_size[extra:], order
        )
        low, high = low + inner[0], high + inner[1]
        axes = list(zip(roi.offset, voxel_size, strict=True))
        begin = tuple(o + n * v for (o, v), n in zip(axes, low, strict=True))
        return begin, tuple(o + n * v for (o, v), n in zip(axes, high, strict=True))

    def reach(self, begin: Sequence[float], end: Sequence[float]) -> tuple[Floats, Floats]:
        """The box of all input positions that the box `begin` to `end` shows (world).

        Points from outside this box do not come to lie in ``[begin, end)``.
        """
        extra = len(begin) - self.ndim
        own = [float(v) for v in begin[extra:]], [float(v) for v in end[extra:]]
        low, high = reach(self.stages(), *own)
        passive = [float(v) for v in begin[:extra]], [float(v) for v in end[:extra]]
        return np.concatenate([passive[0], low]), np.concatenate([passive[1], high])

    def resample(
        self,
        data: NDArray[Any],
        in_offset: Sequence[Any],
        voxel_size: Sequence[Any],
        out_offset: Sequence[Any],
        out_shape: Sequence[int],
        *,
        order: Order = "linear",
        fill: float = 0,
        dtype: DTypeLike | None = None,
    ) -> NDArray[Any]:
        """What an array looks like through the map.

        A map that only mirrors, transposes and moves by whole voxels copies nothing: the result is
        then a view of `data`, unless voxels outside of `data` are asked for. Everything else is
        interpolated once, from `data`. Within half a voxel of the border of `data` the outermost
        values hold; positions outside of `data` become `fill`.

        Parameters
        ----------
        data
            spatial axes last; leading axes are kept. Any numeric type or bool.
        in_offset
            where `data` begins (world).
        voxel_size
            of `data` and of the result (world).
        out_offset
            where the result begins (world).
        out_shape
            spatial shape of the result, in voxels.
        order
            "linear", or for labels and masks, exact for every type, one of two. "nearest": the
            voxel at the centre of each output voxel; exactly between two it is the upper one.
            "majority": what fills most of each output voxel, for maps that shrink. Its cell is
            looked up at a grid of sub-points, along each axis as many as it spans input voxels,
            at least 2 and at most 8, but 1 where a map takes an axis over voxel by voxel; of
            several values that are equally frequent it is the one at the centre, else the
            smallest (of floats: of their bits).
        fill
            value for what lies outside of `data`.
        dtype
            of a linear result; None keeps that of `data`. Integers are rounded, computed in
            float32 up to 16 bits and in float64 above (exact to 2**53).

        Raises
        ------
        ValueError
            If lengths do not fit, if values cannot be interpolated (bool, complex), or
            if an axis that the map leaves alone has not the voxels that are asked for.

        Examples
        --------
        >>> from voxflow.ops.maps import Affine
        >>> half = Affine([[2.0]], center=[0.0])
        >>> ids = np.array([7, 7, 3, 7, 3, 3], np.uint64)
        >>> half.resample(ids, (0,), (1,), (0,), (3,), order="majority")
        array([7, 7, 3], dtype=uint64)
        """
        return resample(
            self.stages(), self.ndim, data, in_offset, voxel_size, out_offset, out_shape,
            order=order, fill=fill, dtype=dtype,
        )  # fmt: skip

    @cached_property
    def is_identity(self) -> bool:
        """Whether the map leaves every position exactly where it is."""
        fused = fuse(self.stages())
        eye = np.eye(self.ndim)
        return all(
            stage.is_linear and np.array_equal(stage.matrix, eye) and not stage.shift.any()
            for stage in fused
        )


def split_axes(locations: ArrayLike, ndim: int) -> tuple[Floats, slice]:
    """A float64 copy of `locations`, and the columns that a map of `ndim` axes moves."""
    positions = np.array(locations, np.float64)
    if positions.ndim != 2 or positions.shape[1] < ndim:
        raise ValueError(
            f"locations have shape {positions.shape}; a map of {ndim} axes needs (n, {ndim}), "
            "or more columns, of which it moves the last ones"
        )
    return positions, slice(positions.shape[1] - ndim, None)


def _in_voxels(roi: Region, voxel_size: Sequence[Any]) -> list[int]:
    if len(roi.shape) != len(voxel_size):
        raise ValueError(f"{roi} and the voxel size {tuple(voxel_size)} differ in length")
    counts = []
    for extent, size in zip(roi.shape, voxel_size, strict=True):
        if type(extent) is int and type(size) is int and extent > 0 and not extent % size:
            counts.append(extent // size)
            continue
        exact = not isinstance(extent, float) and not isinstance(size, float)
        voxels = Fraction(extent) / Fraction(size) if exact else float(extent) / float(size)
        if abs(float(voxels) - round(voxels)) > 1e-6 or voxels < 0.5:
            raise ValueError(
                f"{roi} has {float(voxels):g} voxels of size {tuple(voxel_size)} along an axis: "
                "ask for a region of whole voxels, at least one"
            )
        counts.append(round(voxels))
    return counts
