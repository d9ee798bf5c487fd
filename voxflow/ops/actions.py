"""How mirrors, transpositions and other maps act on the values of each kind of array.

============  ==================================  ===============================================
kind          mirrors and transpositions          any other map
============  ==================================  ===============================================
None          values stay as they are             values stay as they are
Affinities    channels change places; where only  not possible: what a voxel is compared with is
              the opposite of an offset is there  a place between voxels
              its channel is read that far away
Vectors       components change places and signs  multiplied by the inverse of the derivatives
Descriptors   offsets, variances, correlations    not possible: clipped, and the window is a box
              change places and signs
============  ==================================  ===============================================

Values are first taken to where their voxels go, then turned there. With A the linear part of a
symmetry, from output to input:

- an affinity of offset v shows the pair of voxels that were A v apart. If there is no channel of
  A v, but one of -A v, that one holds the pair at the other of its two voxels, v away;
- a vector u becomes A^-1 u;
- a covariance C of such vectors becomes A^-1 C A^-T.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from voxflow.pipeline.data.kinds import Affinities, Descriptors, Kind, Vectors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .symmetries import Symmetry

__all__ = ["act", "context", "obstacle", "turn", "turn_vectors"]

Steps = tuple[tuple[int, ...], tuple[int, ...]]


def act(
    symmetry: Symmetry, data: NDArray[Any], kind: Kind | None = None, fill: float | None = None
) -> NDArray[Any]:
    """An array as it would be had everything been mirrored and transposed before it was made.

    ``act(symmetry.inverse, act(symmetry, data, kind), kind)`` is the array again, but for what is
    read from beyond it. So a network's answer to a mirrored image is put straight again.

    Parameters
    ----------
    symmetry
        What is done.
    data
        Shape (\\*leading, \\*spatial); unless the kind is None the last leading axis is that of the
        channels.
    kind
        What the values mean.
    fill
        What stands in for affinities that are read from beyond the array. None: the result is
        smaller by the `context` instead.

    Returns
    -------
    numpy.ndarray
        A view for plain values, else a new array.

    Raises
    ------
    ValueError
        If the kind cannot be turned so (see `obstacle`), or the channels do not fit it.

    Examples
    --------
    >>> from voxflow.ops.affinities import affinities
    >>> from voxflow.ops.symmetries import Symmetry
    >>> labels = np.array([9, 9, 5, 5, 5, 5])
    >>> before = affinities(labels, [[-1]])  # of all but the first
    >>> before
    array([[1, 0, 1, 1, 1]], dtype=uint8)
    >>> act(Symmetry([True]), before, Affinities([[-1]]))
    array([[1, 1, 1, 0]], dtype=uint8)
    >>> affinities(labels[::-1], [[-1]])  # and the last one
    array([[1, 1, 1, 0, 1]], dtype=uint8)
    """
    moved = symmetry.move(data)
    if kind is None:
        return moved
    if fill is not None:
        around = list(zip(*context(kind, symmetry), strict=True))
        lead = [(0, 0)] * (data.ndim - symmetry.ndim)
        moved = np.pad(moved, lead + around, constant_values=fill)
    return turn(moved, kind, symmetry)


def obstacle(
    kind: Kind | None, symmetry: Symmetry | None, dtype: np.dtype[Any] | None = None
) -> str | None:
    """Why values cannot be turned, and what to do; None if they can.

    Parameters
    ----------
    kind
        What the values mean.
    symmetry
        What is done; None: what is no symmetry of the voxel grid.
    dtype
        Of the values; None: not known.

    >>> from voxflow.ops.symmetries import Symmetry
    >>> print(obstacle(Affinities([[0, -2], [-1, 0]]), Symmetry((False, False), (1, 0))))
    affinities of the offsets (0, -2), (-1, 0) would have to show those of (-2, 0), (0, -1), ...
    """
    if kind is None:
        return None
    if type(kind) not in ACTIONS:
        return f"{kind} is no kind of array that is known how to turn: see voxflow.ops.actions"
    return ACTIONS[type(kind)].obstacle(kind, symmetry, dtype)


def context(kind: Kind | None, symmetry: Symmetry) -> Steps:
    """How many voxels around the result are read, below and above along each of its axes."""
    if isinstance(kind, Affinities):
        steps = [step for _, step in _sources(kind, symmetry)]
        axes = list(zip(*steps, strict=True))
        return tuple(max(0, -min(a)) for a in axes), tuple(max(0, *a) for a in axes)
    return (0,) * symmetry.ndim, (0,) * symmetry.ndim


def turn(moved: NDArray[Any], kind: Kind, symmetry: Symmetry) -> NDArray[Any]:
    """What `act` does after the voxels have been taken to their places.

    Parameters
    ----------
    moved
        Shape (\\*leading, channels, \\*spatial), larger than the result by the `context`.
    kind
        What the values mean.
    symmetry
        What was done.

    Raises
    ------
    ValueError
        If they cannot be turned so, or the channels do not fit the kind.
    """
    problem = obstacle(kind, symmetry, moved.dtype)
    if problem is not None:
        raise ValueError(problem)
    action = ACTIONS[type(kind)]
    lead = moved.ndim - symmetry.ndim - 1
    channels = action.channels(kind, symmetry.ndim)
    if lead < 0 or moved.shape[lead] != channels:
        raise ValueError(
            f"{kind} of {symmetry.ndim} axes has {channels} channels, in the axis before the "
            f"spatial ones; the array has the shape {moved.shape}"
        )
    turned = action.turn(np.moveaxis(moved, lead, 0), kind, symmetry)
    return np.moveaxis(turned, 0, lead)


def turn_vectors(
    moved: NDArray[Any],
    kind: Vectors,
    derivatives: NDArray[np.float64],
    voxel_size: Sequence[Any],
) -> NDArray[Any]:
    """Vectors seen through a map, after the voxels have been taken to their places.

    Parameters
    ----------
    moved
        Shape (\\*leading, axes, voxels), floating point.
    kind
        Their units.
    derivatives
        Of input by output positions (world units), shape (axes, axes), or (voxels, axes, axes).
    voxel_size
        World units.

    Raises
    ------
    ValueError
        If they are integers.
    """
    problem = _vectors_obstacle(kind, None, moved.dtype)
    if problem is not None:
        raise ValueError(problem)
    back = np.linalg.inv(derivatives)
    if kind.units == "voxels":
        size = np.array([float(v) for v in voxel_size])
        back = back * size / size[:, None]
    if back.ndim == 2:
        turned = np.einsum("ij,...jn->...in", back, moved)
    else:
        turned = np.einsum("nij,...jn->...in", back, moved)
    return np.asarray(turned.astype(moved.dtype, copy=False))


# -- affinities ---------------------------------------------------------------------------------


def _sources(kind: Affinities, symmetry: Symmetry) -> list[tuple[int, tuple[int, ...]]]:
    """For each channel: which one it shows, and how far away. -1: there is none."""
    numbers = {offset: number for number, offset in reversed(list(enumerate(kind.offsets)))}
    found = []
    for offset in kind.offsets:
        source = symmetry.source_of(offset)
        opposite = tuple(-step for step in source)
        if source in numbers:
            found.append((numbers[source], (0,) * len(offset)))
        else:
            found.append((numbers.get(opposite, -1), offset))
    return found


def _affinities_obstacle(
    kind: Affinities, symmetry: Symmetry | None, dtype: np.dtype[Any] | None
) -> str | None:
    remedy = "put AddAffinities downstream of it"
    if symmetry is None:
        return f"affinities compare whole voxels, and can only be mirrored and transposed; {remedy}"
    if len(kind.offsets[0]) != symmetry.ndim:
        return (
            f"affinities of offsets with {len(kind.offsets[0])} entries are in an array of "
            f"{symmetry.ndim} spatial axes; correct the kind in its spec"
        )
    missing = [
        offset
        for offset, (number, _) in zip(kind.offsets, _sources(kind, symmetry), strict=True)
        if number < 0
    ]
    if not missing:
        return None
    shown = ", ".join(str(symmetry.source_of(offset)) for offset in missing)
    return (
        f"affinities of the offsets {', '.join(map(str, missing))} would have to show those of "
        f"{shown}, and neither these nor their opposites are in the neighbourhood; {remedy}, or "
        "restrict the axes that are mirrored and transposed (mirror_only=, transpose_only=)"
    )


def _turn_affinities(moved: NDArray[Any], kind: Affinities, symmetry: Symmetry) -> NDArray[Any]:
    below, above = context(kind, symmetry)
    lead = moved.ndim - symmetry.ndim
    shape = [n - a - b for n, a, b in zip(moved.shape[lead:], below, above, strict=True)]
    turned = np.empty((*moved.shape[:lead], *(max(n, 0) for n in shape)), moved.dtype)
    for channel, (source, step) in enumerate(_sources(kind, symmetry)):
        begins = [b + s for b, s in zip(below, step, strict=True)]
        where = tuple(slice(b, b + max(n, 0)) for b, n in zip(begins, shape, strict=True))
        turned[channel] = moved[source][(..., *where)]
    return turned


# -- vectors ------------------------------------------------------------------------------------


def _vectors_obstacle(
    kind: Vectors, symmetry: Symmetry | None, dtype: np.dtype[Any] | None
) -> str | None:
    if dtype is None or dtype.kind == "f":
        return None
    if symmetry is None:
        return f"vectors of {dtype} cannot be turned without rounding; put AsType upstream"
    if any(symmetry.mirror) and dtype.kind != "i":
        return f"vectors of {dtype} have no sign that a mirror could change; put AsType upstream"
    return None


def _turn_vectors(moved: NDArray[Any], kind: Vectors, symmetry: Symmetry) -> NDArray[Any]:
    turned = np.take(moved, symmetry.order, axis=0)
    for axis, source in enumerate(symmetry.order):
        if symmetry.mirror[source]:
            np.negative(turned[axis], out=turned[axis])
    return turned


# -- local shape descriptors ----------------------------------------------------------------------


def _descriptors_obstacle(
    kind: Descriptors, symmetry: Symmetry | None, dtype: np.dtype[Any] | None
) -> str | None:
    remedy = "make them downstream of it"
    if symmetry is None:
        return (
            "local shape descriptors are clipped, and of a window along the axes; they can only "
            f"be mirrored and transposed, so {remedy}"
        )
    sigma = kind.along(symmetry.ndim)
    if symmetry.ndim not in (2, 3) or len(sigma) != symmetry.ndim:
        return (
            f"local shape descriptors are of 2 or 3 axes, with as many sigmas; the array has "
            f"{symmetry.ndim}, sigma is {kind.sigma}: correct the kind in its spec"
        )
    if any(sigma[axis] != sigma[source] for axis, source in enumerate(symmetry.order)):
        return (
            f"local shape descriptors of a window of sigma {sigma} cannot be transposed between "
            f"axes that differ in it; {remedy}, or restrict the axes (transpose_only=)"
        )
    return None


def _turn_descriptors(moved: NDArray[Any], kind: Descriptors, symmetry: Symmetry) -> NDArray[Any]:
    order, mirror, dims = symmetry.order, symmetry.mirror, symmetry.ndim
    pairs = list(combinations(range(dims), 2))
    sources, signed = [], []
    for source in order:
        sources.append(source)
        signed.append(mirror[source])
    sources += [dims + source for source in order]
    signed += [False] * dims
    for i, j in pairs:
        first, second = sorted((order[i], order[j]))
        sources.append(2 * dims + pairs.index((first, second)))
        signed.append(mirror[first] != mirror[second])
    turned = np.take(moved, [*sources, len(moved) - 1], axis=0)
    if any(signed):
        of_object = moved.any(axis=0)  # where there is none, all is 0 and stays so
        for channel in np.flatnonzero(signed):
            np.subtract(1, turned[channel], out=turned[channel], where=of_object)
    return turned


# -- the table ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Action:
    """What is to be known of a kind.

    Attributes
    ----------
    channels
        How many an array has, of a kind and a number of spatial axes.
    obstacle
        Why its values cannot be turned; see `obstacle`.
    turn
        Turn them: channels first, larger by the `context`.
    """

    channels: Callable[[Any, int], int]
    obstacle: Callable[[Any, Symmetry | None, np.dtype[Any] | None], str | None]
    turn: Callable[[NDArray[Any], Any, Symmetry], NDArray[Any]]


ACTIONS: dict[type[Kind], Action] = {
    Affinities: Action(lambda kind, _: len(kind.offsets), _affinities_obstacle, _turn_affinities),
    Vectors: Action(lambda _, dims: dims, _vectors_obstacle, _turn_vectors),
    Descriptors: Action(
        lambda _, dims: {2: 6, 3: 10}[dims], _descriptors_obstacle, _turn_descriptors
    ),
}
