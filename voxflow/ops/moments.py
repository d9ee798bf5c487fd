"""Moments of objects under a window that moves with the voxel, and what descriptors are of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from voxflow.pipeline.compiled import kernel

from .pointers import pointer

__all__ = ["ALL", "ROW", "describe"]

# Voxels along x that are worked on together, moments that are known along x, along y too, and all.
WIDE, ROW, PLANE, ALL = 32, 3, 6, 10
# Variances below, in squares of sigma, are not told apart from none.
FLAT = np.float32(1e-4)

# Places are in voxels that are looked at. Moments are kept for a strip of them, `WIDE` along x:
# those along x for one plane, those along x and y for all. Each has a row of zeros at its end that
# stands for all rows without the object. Rows that lie as far before as behind share a product.


@kernel
def describe(
    sources: Any, targets: Any, begin: Any, step: Any, weights: Any, channels: Any, out: Any
) -> None:
    """Write the descriptors of one object.

    Parameters
    ----------
    sources, targets
        Its runs: those that are looked at, in the order of memory; those that are described,
        best with those of equal y one after the other.
    begin, step
        Target x is described as seen from source ``(x + begin) // step``.
    weights
        Along z, y, x: what a source counts for the moments of order 0, 1 and 2 (rows) at a way of
        0, 1, ... sources; along x the sums of these over all sources left of one.
    channels
        Which of the ten descriptors are written: offset, variance, correlation, size.
    out
        float32, shape (channels, z, y, x).
    """
    along_z, along_y, along_x = weights
    low, high = _box(targets)
    for a in range(3):
        low[a] = (low[a] + begin[a]) // step[a]
        high[a] = (high[a] - 1 + begin[a]) // step[a] + 1
    first, last = _box(sources)
    reach_z, reach_y = along_z.shape[1] - 1, along_y.shape[1] - 1
    z0, z1 = max(low[0] - reach_z, first[0]), min(high[0] + reach_z, last[0])
    y0, y1 = max(low[1] - reach_y, first[1]), min(high[1] + reach_y, last[1])
    depth, height, rows = max(z1 - z0, 0), max(y1 - y0, 0), high[1] - low[1]
    row, in_row = np.zeros((height + 1, ROW * WIDE), np.float32), np.empty(height, np.bool_)
    plane = np.zeros((rows * depth + 1, PLANE * WIDE), np.float32)
    in_plane = np.empty((rows, depth), np.bool_)
    planes = high[0] - low[0]
    found, known = np.empty((planes, ALL * WIDE), np.float32), np.empty(planes, np.int64)
    for left in range(low[2], high[2], WIDE):
        wanted = _wanted(targets, begin, step, low[1], rows, left)
        at = 0
        for k in range(depth):
            at = _moments_of_runs(sources, at, z0 + k, y0, left, along_x, row, in_row)
            _sum_rows(row, in_row, low[1] - y0, wanted, along_y, plane[k::depth], in_plane[:, k])
        known[:] = -1
        for run in targets:
            z, j = (run[0] + begin[0]) // step[0], (run[1] + begin[1]) // step[1] - low[1]
            start = max(run[2], left * step[2] - begin[2])
            end = min(run[3], (left + WIDE) * step[2] - begin[2])
            if start >= end:
                continue
            if known[z - low[0]] != j:
                _sum_planes(plane, in_plane, z - z0, j, along_z, found[z - low[0]])
                _normalise(found[z - low[0]])
                known[z - low[0]] = j
            shift = begin[2] - left * step[2]
            _write(found[z - low[0]], start, end, shift, step[2], channels, out[:, run[0], run[1]])


@kernel
def _box(runs: Any) -> Any:
    """The first voxel of runs, and the one behind the last, along each axis."""
    low, high = np.zeros(3, np.int64), np.zeros(3, np.int64)
    for i in range(len(runs)):
        for a in range(3):
            end = runs[i, 3] if a == 2 else runs[i, a] + 1
            low[a] = runs[i, a] if i == 0 else min(low[a], runs[i, a])
            high[a] = max(high[a], end)
    return low, high


@kernel
def _wanted(targets: Any, begin: Any, step: Any, first: int, rows: int, left: int) -> Any:
    """In which rows of the strip there is anything to describe."""
    wanted = np.zeros(rows, np.bool_)
    low, high = left * step[2] - begin[2], (left + WIDE) * step[2] - begin[2]
    for i in range(len(targets)):
        if targets[i, 2] < high and targets[i, 3] > low:
            wanted[(targets[i, 1] + begin[1]) // step[1] - first] = True
    return wanted


@kernel
def _moments_of_runs(
    runs: Any, at: int, z: int, y0: int, left: int, sums: Any, row: Any, in_row: Any
) -> int:
    """Moments along x for each row of plane z; which run comes next."""
    reach = sums.shape[1] // 2 - 1
    row[: len(in_row)] = 0
    in_row[:] = False
    while at < len(runs) and runs[at, 0] <= z:
        y, low, high = runs[at, 1] - y0, runs[at, 2], runs[at, 3]
        inside = runs[at, 0] == z and 0 <= y < len(in_row)
        if inside and low < left + WIDE + reach and high > left - reach:
            in_row[y] = True
            for k in range(ROW):
                for x in range(WIDE):
                    begin = min(max(low - left - x + reach, 0), 2 * reach + 1)
                    end = min(max(high - left - x + reach, 0), 2 * reach + 1)
                    row[y, k * WIDE + x] += np.float32(sums[k, end] - sums[k, begin])
        at += 1
    return at


@kernel(fastmath={"contract"})
def _sum_rows(
    row: Any, in_row: Any, offset: int, wanted: Any, weights: Any, plane: Any, in_plane: Any
) -> None:
    """Moments along x and y of one plane, where they are wanted."""
    height = len(in_row)
    for j in range(len(wanted)):
        in_plane[j] = False
        if not wanted[j]:
            continue
        for t in range(weights.shape[1]):
            low, high = offset + j - t, offset + j + t
            low = low if 0 <= low < height and in_row[low] else height
            high = high if 0 <= high < height and in_row[high] and t else height
            if low == height and high == height:
                continue
            if not in_plane[j]:
                in_plane[j] = True
                plane[j] = 0
            _add_rows(pointer(row[low]), pointer(row[high]), weights[:, t], pointer(plane[j]))


@kernel(fastmath={"contract"})
def _add_rows(low: Any, high: Any, weights: Any, to: Any) -> None:
    w0, w1, w2 = weights
    for x in range(WIDE):
        even, odd = high[x] + low[x], high[x] - low[x]
        to[x] += w0 * even
        to[WIDE + x] += w1 * odd
        to[2 * WIDE + x] += w2 * even
        even, odd = high[WIDE + x] + low[WIDE + x], high[WIDE + x] - low[WIDE + x]
        to[3 * WIDE + x] += w0 * even
        to[4 * WIDE + x] += w1 * odd
        to[5 * WIDE + x] += w0 * (high[2 * WIDE + x] + low[2 * WIDE + x])


@kernel(fastmath={"contract"})
def _sum_planes(plane: Any, in_plane: Any, center: int, j: int, weights: Any, found: Any) -> None:
    """Moments along all axes of one row."""
    rows, depth = in_plane.shape
    nothing, first = rows * depth, j * depth
    found[:] = 0
    for t in range(weights.shape[1]):
        low, high = center - t, center + t
        low = first + low if 0 <= low < depth and in_plane[j, low] else nothing
        high = first + high if 0 <= high < depth and in_plane[j, high] and t else nothing
        if low != nothing or high != nothing:
            _add_planes(pointer(plane[low]), pointer(plane[high]), weights[:, t], pointer(found))


@kernel(fastmath={"contract"})
def _add_planes(low: Any, high: Any, weights: Any, to: Any) -> None:
    w0, w1, w2 = weights
    for x in range(WIDE):
        even, odd = high[x] + low[x], high[x] - low[x]
        to[9 * WIDE + x] += w0 * even
        to[x] += w1 * odd
        to[3 * WIDE + x] += w2 * even
        y = WIDE + x
        to[WIDE + x] += w0 * (high[y] + low[y])
        to[6 * WIDE + x] += w1 * (high[y] - low[y])
        y = 2 * WIDE + x
        to[4 * WIDE + x] += w0 * (high[y] + low[y])
        y = 3 * WIDE + x
        to[2 * WIDE + x] += w0 * (high[y] + low[y])
        to[7 * WIDE + x] += w1 * (high[y] - low[y])
        y = 4 * WIDE + x
        to[8 * WIDE + x] += w0 * (high[y] + low[y])
        y = 5 * WIDE + x
        to[5 * WIDE + x] += w0 * (high[y] + low[y])


@kernel
def _normalise(found: Any) -> None:
    """Turn moments, which lie in the order of the channels, into descriptors."""
    one, half = np.float32(1.0), np.float32(0.5)
    for x in range(WIDE):
        size = found[9 * WIDE + x]
        scale = one / size if size > 0 else np.float32(0.0)
        z, y, x_ = found[x] * scale, found[WIDE + x] * scale, found[2 * WIDE + x] * scale
        zz = found[3 * WIDE + x] * scale - z * z
        yy = found[4 * WIDE + x] * scale - y * y
        xx = found[5 * WIDE + x] * scale - x_ * x_
        zy = _correlation(found[6 * WIDE + x] * scale - z * y, zz, yy)
        zx = _correlation(found[7 * WIDE + x] * scale - z * x_, zz, xx)
        yx = _correlation(found[8 * WIDE + x] * scale - y * x_, yy, xx)
        channels = (
            z * half + half,
            y * half + half,
            x_ * half + half,
            zz,
            yy,
            xx,
            zy,
            zx,
            yx,
            size,
        )
        for c in range(ALL):
            found[c * WIDE + x] = min(max(channels[c], np.float32(0.0)), one)


@kernel
def _correlation(covariance: Any, one: Any, other: Any) -> Any:
    """Pearson's, of 0 ... 1; in the middle if there is no variance along one of the axes."""
    half = np.float32(0.5)
    return half + half * covariance / np.sqrt(max(one, FLAT) * max(other, FLAT))


@kernel
def _write(
    found: Any, start: int, end: int, shift: int, step: int, channels: Any, out: Any
) -> None:
    for c in range(len(channels)):
        first = channels[c] * WIDE
        if step == 1:
            for x in range(start, end):
                out[c, x] = found[first + x + shift]
        else:
            for x in range(start, end):
                out[c, x] = found[first + (x + shift) // step]
