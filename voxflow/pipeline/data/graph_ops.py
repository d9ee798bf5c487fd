"""Geometry of graphs, on plain arrays: no graph, no nodes."""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import numpy as np

from voxflow.pipeline.data.graph_ids import IntArray, as_ids
from voxflow.pipeline.geometry import Roi, exact

FloatArray = np.ndarray[Any, np.dtype[Any]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

_INT64_MAX = 2**63 - 1
_UINT64_MAX = 2**64 - 1


def limits(roi: Roi, dtype: np.dtype[Any]) -> tuple[FloatArray, FloatArray]:
    """The lowest and the highest location inside a region, that a dtype can tell.

    A location is inside where begin <= location < end. Bounds that are not whole are compared with
    the decimal that a location is written with, as `Roi.contains` does: 9.8 in float32 is 9.8.

    Parameters
    ----------
    roi
        The region, in world units. Unbounded dimensions have no limits.
    dtype
        The dtype of the locations.

    Returns
    -------
    tuple[FloatArray, FloatArray]
        Two arrays of that dtype, shape (dims,); a location is inside where
        ``(lowest <= location) & (location <= highest)`` in all dimensions.

    Examples
    --------
    >>> limits(Roi((0, -5), (10, 5)), np.dtype(int))
    (array([ 0, -5]), array([ 9, -1]))
    """
    lowest = np.empty(roi.dims, dtype)
    highest = np.empty(roi.dims, dtype)
    with np.errstate(over="ignore"):  # a bound beyond a short float's range is an infinite one
        for axis, (begin, end) in enumerate(zip(roi.offset, roi.end, strict=True)):
            lowest[axis] = _lowest(begin, dtype)
            highest[axis] = _highest(end, dtype)
    return lowest, highest


def _lowest(begin: int | Fraction | None, dtype: np.dtype[Any]) -> Any:
    if dtype.kind != "f":
        return np.iinfo(dtype).min if begin is None else max(math.ceil(begin), np.iinfo(dtype).min)
    if begin is None:
        return -np.inf
    value = dtype.type(begin)
    return value if _meant(value, begin) >= begin else np.nextafter(value, dtype.type(np.inf))


def _highest(end: int | Fraction | None, dtype: np.dtype[Any]) -> Any:
    if dtype.kind != "f":
        limit = np.iinfo(dtype).max
        return limit if end is None else min(math.ceil(end) - 1, limit)
    if end is None:
        return np.inf
    value = dtype.type(end)
    return value if _meant(value, end) < end else np.nextafter(value, dtype.type(-np.inf))


def _meant(value: Any, bound: int | Fraction) -> Any:
    if not np.isfinite(value):
        return float(value)
    return int(value) if type(bound) is int else exact(value)


def inside(locations: FloatArray, roi: Any) -> BoolArray:
    """Which locations lie in a region.

    Parameters
    ----------
    locations
        World units, shape (N, dims).
    roi
        A region of as many dimensions.

    Returns
    -------
    BoolArray
        Booleans of shape (N,).

    Raises
    ------
    ValueError
        If the numbers of dimensions differ.
    """
    region = Roi.like(roi)
    if region.empty or not len(locations):
        return np.zeros(len(locations), np.bool_)
    if region.dims != locations.shape[1]:
        raise ValueError(
            f"{region} has {region.dims} dimensions, the locations have {locations.shape[1]}"
        )
    lowest, highest = limits(region, locations.dtype)
    # One axis after another: three passes over N are faster than one over (N, 3).
    held = np.ones(len(locations), np.bool_)
    for axis in range(region.dims):
        held &= locations[:, axis] >= lowest[axis]
        held &= locations[:, axis] <= highest[axis]
    return held


def crossings(inner: FloatArray, outer: FloatArray, roi: Any) -> FloatArray:
    """Where lines from inside a region leave it.

    Parameters
    ----------
    inner
        Where the lines begin, inside the region; world units, shape (N, dims).
    outer
        Where they end, outside of it.
    roi
        The region.

    Returns
    -------
    FloatArray
        The points on the region's faces, in the dtype of `inner`. On an upper face, which lies
        outside, the nearest location inside that the dtype can tell.
    """
    if not len(inner):
        return inner.copy()
    region = Roi.like(roi)
    lowest, highest = limits(region, inner.dtype)
    start = inner.astype(np.float64)
    step = outer.astype(np.float64) - start
    part = np.ones(len(inner))
    for axis, (begin, end) in enumerate(zip(region.offset, region.end, strict=True)):
        for face, beyond in (
            (begin, outer[:, axis] < lowest[axis]),
            (end, outer[:, axis] > highest[axis]),
        ):
            if face is not None and beyond.any():
                way = (float(face) - start[beyond, axis]) / step[beyond, axis]
                part[beyond] = np.minimum(part[beyond], way)
    points = start + np.clip(part, 0, 1)[:, None] * step
    if inner.dtype.kind != "f":
        points = np.rint(points)
    clipped: FloatArray = np.clip(points.astype(inner.dtype), lowest, highest)
    return clipped


def passages(
    first: FloatArray, last: FloatArray, roi: Any
) -> tuple[BoolArray, FloatArray, FloatArray]:
    """Where lines that begin and end outside of a region are inside.

    The part of a line inside a box is what is left of it between each pair of faces (Liang and
    Barsky, "A new concept and method for line clipping", ACM Transactions on Graphics 3, 1984).

    Parameters
    ----------
    first
        Where the lines begin, outside; world units, shape (N, dims).
    last
        Where they end, outside.
    roi
        The region.

    Returns
    -------
    tuple[BoolArray, FloatArray, FloatArray]
        Which lines pass through the region, shape (N,), and where those M that do enter and leave
        it, (M, dims) in the dtype of `first`, as in `crossings`.

    Examples
    --------
    >>> first, last = np.array([[-2.0, 1.0], [-2.0, 5.0]]), np.array([[6.0, 3.0], [6.0, 5.0]])
    >>> which, enter, leave = passages(first, last, Roi((0, 0), (4, 4)))
    >>> which.tolist(), enter.tolist(), leave.round(3).tolist()
    ([True, False], [[0.0, 1.5]], [[4.0, 2.5]])
    """
    region = Roi.like(roi)
    lowest, highest = limits(region, first.dtype)
    start = first.astype(np.float64)
    step = last.astype(np.float64) - start
    enter, leave = np.zeros(len(first)), np.ones(len(first))
    for axis, (begin, end) in enumerate(zip(region.offset, region.end, strict=True)):
        # Along an axis in which a line stands still, it is inside all the way, or nowhere.
        moves = step[:, axis] != 0
        within = (first[:, axis] >= lowest[axis]) & (first[:, axis] <= highest[axis])
        leave[~moves & ~within] = -np.inf
        for face, upper in ((begin, False), (end, True)):
            if face is None:
                continue
            way = (float(face) - start[:, axis]) / np.where(moves, step[:, axis], 1.0)
            out = moves & ((step[:, axis] > 0) == upper)
            into = moves & ~out
            leave[out] = np.minimum(leave[out], way[out])
            enter[into] = np.maximum(enter[into], way[into])
    which = enter < leave
    ends = []
    for part in (enter[which], leave[which]):
        points = start[which] + part[:, None] * step[which]
        if first.dtype.kind != "f":
            points = np.rint(points)
        ends.append(np.clip(points.astype(first.dtype), lowest, highest))
    return which, ends[0], ends[1]


def components(count: int, edges: IntArray) -> IntArray:
    """Which nodes hang together, whatever the direction of the edges.

    Parameters
    ----------
    count
        The number of nodes.
    edges
        Pairs of rows, shape (E, 2).

    Returns
    -------
    IntArray
        The number of each node's component, shape (count,), int64; counted from 0 in the order of
        the components' first nodes.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not count:
        return np.empty(0, np.int64)
    links = (np.ones(len(edges), np.bool_), (edges[:, 0], edges[:, 1]))
    labels: IntArray
    _, labels = connected_components(coo_array(links, shape=(count, count)), directed=False)
    _, first, label = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    labels = rank[label]
    return labels


def as_offset(offset: Any, dims: int) -> FloatArray:
    """Read a shift: a Coordinate, an array, a sequence; one number per dimension.

    Raises
    ------
    ValueError
        If it has another length, or an entry that is None.
    """
    entries: tuple[Any, ...] = tuple(offset) if isinstance(offset, Iterable) else (offset,) * dims
    if len(entries) != dims or any(entry is None for entry in entries):
        raise ValueError(f"locations of {dims} dimensions cannot be shifted by {offset!r}")
    return np.array([e if isinstance(e, int | np.number) else float(e) for e in entries])


def as_locations(
    values: Any, dtype: np.dtype[Any] | None, dims: int | None = None, count: int | None = None
) -> FloatArray:
    """Read locations of nodes.

    Parameters
    ----------
    values
        An array-like of shape (count, dims), world units.
    dtype
        What they have to be; None: what they are.
    dims
        The number of dimensions that is wanted; None: any.
    count
        The number of locations that is wanted; None: any.

    Returns
    -------
    FloatArray
        A new array.

    Raises
    ------
    ValueError
        If the shape differs, a number is not finite, or a whole-number dtype would
        lose a fraction.
    TypeError
        If they are no numbers.
    """
    given = np.asarray(values)
    if given.dtype.kind == "O":
        given = given.astype(np.float64)
    if given.dtype.kind not in "iuf":
        raise TypeError(f"locations are numbers, got {given.dtype}")
    wanted = "N" if count is None else count, "dims" if dims is None else dims
    if given.ndim != 2 or any(
        isinstance(w, int) and n != w for w, n in zip(wanted, given.shape, strict=True)
    ):
        raise ValueError(
            f"locations have the shape {given.shape}, expected ({wanted[0]}, {wanted[1]}), "
            f"one row for each node, one number for each dimension"
        )
    if given.dtype.kind == "f" and not np.isfinite(given).all():
        lost = np.flatnonzero(~np.isfinite(given).all(axis=1))
        raise ValueError(
            f"{len(lost)} locations are not finite, the first is that of row {lost[0]}: "
            f"{tuple(given[lost[0]].tolist())}; leave out nodes that have no place"
        )
    cast = given.astype(given.dtype if dtype is None else dtype)
    if cast.dtype.kind in "iu" and not np.array_equal(cast, given):
        row = int(np.flatnonzero((cast != given).any(axis=1))[0])
        raise ValueError(
            f"the location {tuple(given[row].tolist())} cannot be held as {cast.dtype}; "
            f"use GraphSpec(dtype=np.float32) or round it yourself"
        )
    return cast


def as_pairs(edges: Any) -> IntArray:
    """Read pairs of ids: an array-like of shape (E, 2). ValueError for another shape."""
    if hasattr(edges, "__array__"):
        pairs = as_ids(np.asarray(edges))
    else:
        rows = [tuple(edge) for edge in edges]
        lengths = {len(row) for row in rows} - {2}
        if lengths:
            raise ValueError(f"an edge is a pair of ids, got one of {lengths.pop()} entries")
        pairs = as_ids(end for row in rows for end in row).reshape(-1, 2)
    if pairs.shape == (0,):
        pairs = pairs.reshape(0, 2)
    if pairs.ndim != 2 or pairs.shape[1] != 2:
        raise ValueError(f"edges have the shape {pairs.shape}, expected (E, 2): pairs of ids")
    return pairs


def has_duplicates(edges: IntArray, count: int, directed: bool) -> bool:
    """Whether an edge is there twice.

    Parameters
    ----------
    edges
        Pairs of rows, shape (E, 2).
    count
        The number of nodes.
    directed
        Whether (u, v) and (v, u) are two edges.
    """
    first, second = edges[:, 0], edges[:, 1]
    if not directed:
        first, second = np.minimum(first, second), np.maximum(first, second)
    numbers = np.sort(first.astype(np.int64) * count + second)
    return bool((numbers[1:] == numbers[:-1]).any())
