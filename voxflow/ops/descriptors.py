"""Local shape descriptors: what the object of a voxel looks like, seen from there.

For each labelled voxel: size, mean and covariance of its object under a Gaussian window (Sheridan
et al., "Local shape descriptors for neuron segmentation", Nature Methods 20, 2023). These follow
from moments up to the second order, seen from the voxel, and a Gaussian window is separable. So
three moments along x give six along x and y, and ten along all axes. Objects go through one by one
as runs of voxels along x; moments of a run are differences of sums that are known beforehand.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .moments import ALL, ROW, describe
from .objects import Objects

__all__ = ["descriptor_reach", "local_shape_descriptors"]

TRUNCATE = 3.0
# Channels that a plane has, of those that a volume has.
CHANNELS = {2: (1, 2, 4, 5, 8, 9), 3: tuple(range(ALL))}

Lengths = float | Sequence[float]


def local_shape_descriptors(
    labels: npt.NDArray[Any],
    sigma: Lengths,
    voxel_size: Sequence[float] | None = None,
    background: int = 0,
    region: Sequence[slice] | None = None,
    downsample: int | Sequence[int] = 1,
) -> npt.NDArray[np.float32]:
    """Statistics of each voxel's own object under a Gaussian window around the voxel.

    The channels of a volume, of a plane:

    =======  =======  ====================================================  ==================
    0 1 2    0 1      mean offset along z, y, x, in units of sigma          0.5 + offset / 2
    3 4 5    2 3      variance along z, y, x, in units of sigma squared     variance
    6 7 8    4        correlation (Pearson) of zy, zx, yx                   0.5 + correlation / 2
    9        5        size: the part of the window that the object fills    size
    =======  =======  ====================================================  ==================

    All are clipped to [0, 1]. Order and scale are those of the package lsd. The window ends at
    three sigma; beyond the array there are no objects.

    Parameters
    ----------
    labels
        Integer or bool, shape (y, x) or (z, y, x).
    sigma
        Of the window, world units: a number, or one per axis.
    voxel_size
        World units, one entry per axis. None: 1 along each axis.
    background
        The value of free voxels.
    region
        Slices, one per axis, of the labels whose descriptors are wanted; the labels around them
        are context, see `descriptor_reach`. None: all.
    downsample
        Look at every n-th voxel only, counted from the first of the labels, and give the
        descriptors found there to all voxels up to the next: a number, or one per axis.

    Returns
    -------
    numpy.ndarray
        float32, shape (channels, \\*region), 10 channels for a volume, 6 for a plane. Background
        voxels are 0. Where no voxel that is looked at is of the object: offset, covariance and
        size of nothing, which are 0.5, 0, 0.5 and 0.

    Raises
    ------
    TypeError
        The labels are not of an integer (or bool) dtype.
    ValueError
        The labels have not 2 or 3 axes, `background` does not fit into their dtype, a length is
        not above 0, `downsample` is below 1, or there is not one of them for each axis.

    Examples
    --------
    >>> labels = np.zeros((1, 9), int)
    >>> labels[0, 2:7] = 5
    >>> found = local_shape_descriptors(labels, sigma=4)
    >>> [round(float(offset), 2) for offset in found[1, 0]]  # right of it, ..., left of it
    [0.0, 0.0, 0.72, 0.61, 0.5, 0.39, 0.28, 0.0, 0.0]
    """
    grid = _Grid(labels, sigma, voxel_size, background, region, downsample)
    channels = np.array(CHANNELS[labels.ndim])
    out = np.zeros((len(channels), *grid.shape), dtype=np.float32)
    volume = out.reshape(len(channels), *(1,) * (3 - labels.ndim), *grid.shape)
    for sources, targets in grid.objects():
        describe(sources, targets, grid.begin, grid.step, grid.weights, channels, volume)
    return out


def descriptor_reach(
    sigma: Lengths, voxel_size: Sequence[float], downsample: int | Sequence[int] = 1
) -> tuple[int, ...]:
    """Voxels that descriptors look at on each side of a voxel, per axis.

    With `downsample` this is counted from a voxel that is looked at.

    Examples
    --------
    >>> descriptor_reach(100.0, (40, 4, 4))
    (8, 75, 75)
    """
    step = _steps(downsample, len(voxel_size))
    lengths = _in_voxels(sigma, voxel_size, step)
    return tuple(_reach(length) * n for length, n in zip(lengths, step, strict=True))


class _Grid:
    """What is asked for, as a volume."""

    def __init__(
        self,
        labels: npt.NDArray[Any],
        sigma: Lengths,
        voxel_size: Sequence[float] | None,
        background: int,
        region: Sequence[slice] | None,
        downsample: int | Sequence[int],
    ) -> None:
        ndim = labels.ndim
        if ndim not in CHANNELS:
            raise ValueError(
                f"local shape descriptors are of labels with 2 or 3 axes; got shape {labels.shape}"
            )
        bounds = _bounds(region, labels.shape)
        step = _steps(downsample, ndim)
        lengths = _in_voxels(sigma, 1.0 if voxel_size is None else voxel_size, step)
        fill = (1,) * (3 - ndim)
        self.shape = tuple(end - begin for begin, end in bounds)
        self.seen = Objects.of(labels[tuple(slice(None, None, n) for n in step)], background)
        self.wanted = Objects.of(labels[tuple(slice(*b) for b in bounds)], background)
        self.begin = np.array((0,) * len(fill) + tuple(b for b, _ in bounds))
        self.step = np.array(fill + step)
        flat = [np.array([[1], [0], [0]], np.float32)] * len(fill)
        z, y, x = flat + [_weights(length) for length in lengths]
        self.weights = z, y, _sums(x)

    def objects(self) -> Iterator[tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]]:
        """The runs of each object that is wanted: those that are looked at, and the wanted ones."""
        seen, nothing = self.seen, np.empty((0, 4), np.int32)
        places = np.searchsorted(seen.ids, self.wanted.ids)
        for place, value, runs in zip(places, *self.wanted, strict=True):
            there = place < len(seen.ids) and seen.ids[place] == value
            yield (
                seen.runs[place] if there else nothing,
                runs[np.argsort(runs[:, 1], kind="stable")],
            )


def _bounds(region: Sequence[slice] | None, shape: tuple[int, ...]) -> list[tuple[int, int]]:
    if region is None:
        return [(0, n) for n in shape]
    if len(region) != len(shape) or any(part.step not in (None, 1) for part in region):
        raise ValueError(f"a region is a slice without step for each axis of {shape}; got {region}")
    parts = [part.indices(n) for part, n in zip(region, shape, strict=True)]
    return [(begin, max(begin, end)) for begin, end, _ in parts]


def _in_voxels(sigma: Lengths, voxel_size: Lengths, step: tuple[int, ...]) -> list[float]:
    """Sigma along each axis, in voxels that are looked at."""
    ndim = len(step)
    lengths = _lengths("sigma", sigma, ndim), _lengths("voxel_size", voxel_size, ndim)
    return [s / (v * n) for s, v, n in zip(*lengths, step, strict=True)]


def _lengths(what: str, given: Lengths, ndim: int) -> tuple[float, ...]:
    numbers = given if isinstance(given, Iterable) else (given,) * ndim
    lengths = tuple(float(length) for length in numbers)
    if len(lengths) != ndim or not all(0 < length < np.inf for length in lengths):
        raise ValueError(f"{what} is a length above 0, or one for each of {ndim} axes; got {given}")
    return lengths


def _steps(downsample: int | Sequence[int], ndim: int) -> tuple[int, ...]:
    steps = tuple(downsample) if isinstance(downsample, Iterable) else (downsample,) * ndim
    if len(steps) != ndim or not all(int(n) == n >= 1 for n in steps):
        raise ValueError(
            f"downsample is a whole number from 1 on, or one for each of {ndim} axes; "
            f"got {downsample}"
        )
    return tuple(int(n) for n in steps)


def _reach(sigma: float) -> int:
    return int(TRUNCATE * sigma + 0.5)


def _weights(sigma: float) -> npt.NDArray[np.float32]:
    """Window, window times way, window times way squared, at 0, 1, ... voxels; ways in sigma."""
    way = np.arange(_reach(sigma) + 1) / sigma
    window = np.exp(-0.5 * way**2)
    window /= 2 * window.sum() - 1
    return np.stack([window, window * way, window * way**2]).astype(np.float32)


def _sums(weights: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """The sums of such weights over all voxels left of one, from the leftmost in reach on."""
    left = weights[:, :0:-1] * np.array([[1.0], [-1.0], [1.0]])
    whole = np.concatenate([np.zeros((ROW, 1)), left, weights], axis=1)
    return np.cumsum(whole, axis=1)
