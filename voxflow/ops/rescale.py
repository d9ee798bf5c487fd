"""Resample an array to another voxel size, along each axis by itself.

Voxels are cells; a value belongs to the centre of its cell. What a target voxel is made of along an
axis is a table of places and weights: the two nearest voxels, or where voxels become larger, those
two of an array that was smoothed before. Smoothing and interpolation are one pass that way.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from voxflow.pipeline.compiled import kernel

from .pointers import unlocked

__all__ = ["MAX_ORDER", "rescale", "rescale_reach", "rounded"]

MAX_ORDER = 5
TRUNCATE = 4.0
KNOWN = tuple(np.dtype(name) for name in ("u1", "u2", "f4", "f8"))

World = Sequence[int | Fraction]


class Grid(NamedTuple):
    """Where the first voxel begins along each axis, and how large voxels are; world units."""

    begin: World
    voxel_size: World


def rescale(
    data: npt.NDArray[Any],
    source: Grid,
    target: Grid,
    shape: Sequence[int],
    order: int = 1,
) -> npt.NDArray[Any]:
    """What an array looks like in voxels of another size.

    Order 0 takes the voxel in which the centre of the target voxel lies, the upper one if that is a
    border. It works for any dtype, and changes no value. Other orders interpolate with splines;
    along axes whose voxels become larger, the array is first smoothed by a Gaussian of
    ``(ratio - 1) / 2`` source voxels, cut off at four sigma. Beyond its border the array is
    mirrored about the centres of its outermost voxels. That is what ``skimage.transform.rescale``
    does.

    Parameters
    ----------
    data
        Shape (\\*leading, \\*spatial), as many spatial axes as the grids have.
    source, target
        Begin and voxel size, exact.
    shape
        The spatial shape of the result.
    order
        Of the spline, 0 to 5.

    Returns
    -------
    numpy.ndarray
        Shape (\\*leading, \\*shape), of the dtype of the data; integers are rounded, halves up.

    Examples
    --------
    >>> coarse, fine = Grid((0,), (4,)), Grid((0,), (2,))
    >>> rescale(np.array([0.0, 8.0, 16.0]), coarse, fine, (6,))
    array([ 2.,  2.,  6., 10., 14., 14.])
    >>> rescale(np.array([7, 7, 2**62]), coarse, fine, (6,), order=0) % 10
    array([7, 7, 7, 7, 4, 4])
    """
    axes = [_Axis.of(*part) for part in zip(*source, *target, shape, strict=True)]
    if order == 0:
        return _nearest(data, axes)
    if order == 1:
        return rounded(_linear(data, axes), data.dtype)
    return rounded(_spline(data, axes, order), data.dtype)


def rescale_reach(ratio: float | Fraction, order: int) -> int:
    """Source voxels around the centre of a target voxel that its value depends on.

    Splines above order 1 depend on all of them; those further away count less than a millionth.

    Examples
    --------
    >>> rescale_reach(1, 0), rescale_reach(0.5, 1), rescale_reach(4, 1)
    (1, 1, 7)
    """
    if order == 0:
        return 1
    return _radius(_sigma(float(ratio))) + (1 if order == 1 else 4 * order)


class _Axis(NamedTuple):
    """Target voxel ``k`` has its centre at ``start + k * step``, in source voxels, exactly."""

    start: Fraction
    step: Fraction
    size: int

    @classmethod
    def of(cls, begin: Any, voxel: Any, out_begin: Any, out_voxel: Any, size: int) -> _Axis:
        step = Fraction(out_voxel) / Fraction(voxel)
        first = (Fraction(out_begin) - Fraction(begin)) / Fraction(voxel)
        return cls(first + step / 2, step, size)

    @property
    def positions(self) -> npt.NDArray[np.float64]:
        """Where the centres are, counted from the centre of the first source voxel."""
        first = float(self.start - Fraction(1, 2))
        return np.asarray(first + np.arange(self.size) * float(self.step), np.float64)

    @property
    def cells(self) -> npt.NDArray[np.int64]:
        """In which source voxels the centres lie."""
        start, step = self.start, self.step
        common = math.lcm(start.denominator, step.denominator)
        first, way = int(start * common), int(step * common)
        return (first + way * np.arange(self.size, dtype=np.int64)) // common


def _nearest(data: npt.NDArray[Any], axes: Sequence[_Axis]) -> npt.NDArray[Any]:
    lead = data.ndim - len(axes)
    for number in sorted(range(len(axes)), key=lambda a: -axes[a].step):  # shrink first
        places = axes[number].cells.clip(0, data.shape[lead + number] - 1)
        data = np.take(data, places, axis=lead + number)
    return data


def _linear(data: npt.NDArray[Any], axes: Sequence[_Axis]) -> npt.NDArray[Any]:
    lead = data.ndim - len(axes)
    work = np.float64 if data.dtype.itemsize > 2 and data.dtype != np.float32 else np.float32
    made = data if data.dtype in KNOWN else data.astype(work)
    for number in sorted(range(len(axes)), key=lambda a: -axes[a].step):
        axis, length = axes[number], made.shape[lead + number]
        if axis == _Axis(Fraction(1, 2), Fraction(1), length):
            continue
        places, weights = _table(axis, length)
        before, behind = made.shape[: lead + number], made.shape[lead + number + 1 :]
        flat = unlocked(np.ascontiguousarray(made)).reshape(math.prod(before), length, -1)
        out = np.empty((len(flat), axis.size, flat.shape[2]), work)
        _weigh(flat, places, weights.astype(work), out)
        made = out.reshape(*before, axis.size, *behind)
    return made.astype(work) if made is data else made


def _table(axis: _Axis, length: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Source voxels and their weights, shape (targets, taps)."""
    smoothing = _gaussian(_sigma(float(axis.step)))
    radius, positions = len(smoothing) // 2, axis.positions
    below = np.floor(positions)
    part = (positions - below)[:, None]
    weights = np.zeros((axis.size, len(smoothing) + 1))
    weights[:, :-1] += (1 - part) * smoothing
    weights[:, 1:] += part * smoothing
    places = below.astype(np.int64)[:, None] + np.arange(-radius, radius + 2)
    return _mirrored(places, length), weights


def _mirrored(places: npt.NDArray[np.int64], length: int) -> npt.NDArray[np.int64]:
    """Places beyond the border as those that they mirror."""
    if length == 1:
        return np.zeros_like(places)
    period = 2 * length - 2
    folded = places % period
    return np.minimum(folded, period - folded)


def _sigma(step: float) -> float:
    return max(0.0, (step - 1) / 2)


def _radius(sigma: float) -> int:
    return int(TRUNCATE * sigma + 0.5)


def _gaussian(sigma: float) -> npt.NDArray[np.float64]:
    if sigma == 0:
        return np.ones(1)
    way = np.arange(-_radius(sigma), _radius(sigma) + 1) / sigma
    weights = np.exp(-0.5 * way**2)
    return np.asarray(weights / weights.sum())


def _spline(data: npt.NDArray[Any], axes: Sequence[_Axis], order: int) -> npt.NDArray[Any]:
    """Each leading element by itself, with scipy."""
    lead = data.shape[: data.ndim - len(axes)]
    work = np.float32 if data.dtype == np.float32 else np.float64
    out = np.empty((*lead, *(axis.size for axis in axes)), work)
    sigma = [_sigma(float(axis.step)) for axis in axes]
    # The stubs of scipy know neither any order nor any dtype.
    blur: Any = ndimage.gaussian_filter
    transform: Any = ndimage.affine_transform
    for index in np.ndindex(*lead):
        plain = data[index].astype(work)
        smooth = blur(plain, sigma, mode="mirror", truncate=TRUNCATE)
        out[index] = transform(
            smooth,
            np.array([float(axis.step) for axis in axes]),
            [float(axis.start - Fraction(1, 2)) for axis in axes],
            out[index].shape,
            order=order,
            mode="mirror",
        )
    return out


def rounded(values: npt.NDArray[Any], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Floating point values in another dtype: integers are rounded, halves up, and clipped.

    >>> rounded(np.array([-1.0, 2.5, 300.0]), np.dtype(np.uint8))
    array([  0,   3, 255], dtype=uint8)
    """
    if dtype.kind not in "uib":
        return values.astype(dtype, copy=False)
    low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    top = values.dtype.type(high)
    if int(top) > high:  # 2**64 - 1 is no floating point number
        top = np.nextafter(top, values.dtype.type(0))
    np.floor(values + values.dtype.type(0.5), out=values)
    return values.clip(low, top, out=values).astype(dtype)


@kernel
def _weigh(data: Any, places: Any, weights: Any, out: Any) -> None:
    before, count, behind = out.shape
    taps = places.shape[1]
    for b in range(before):
        if behind == 1:
            for k in range(count):
                total = out.dtype.type(0)
                for t in range(taps):
                    total += weights[k, t] * data[b, places[k, t], 0]
                out[b, k, 0] = total
            continue
        for k in range(count):
            for x in range(behind):
                out[b, k, x] = 0
            for t in range(taps):
                weight, place = weights[k, t], places[k, t]
                for x in range(behind):
                    out[b, k, x] += weight * data[b, place, x]
