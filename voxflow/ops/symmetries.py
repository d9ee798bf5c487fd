"""Mirrors and transpositions as such: the symmetries of the square and of the cube."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations, product
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from .resampling.stages import fuse

if TYPE_CHECKING:
    from .maps import Map

__all__ = ["Symmetry", "symmetries", "symmetry_of"]

_WHOLE = 1e-9  # matrix entries closer than this to a whole number are that number


@final
@dataclass(frozen=True)
class Symmetry:
    """Axes are mirrored, then change places, as in ``flipped.transpose(permutation)``.

    Parameters
    ----------
    mirror
        For each input axis, whether it is mirrored.
    permutation
        For each output axis, the input axis that it shows; None: no axes change places.

    Raises
    ------
    ValueError
        If the two do not fit.

    Examples
    --------
    >>> quarter = Symmetry((True, False), (1, 0))
    >>> quarter.move(np.array([[1, 2], [3, 4]]))
    array([[3, 1],
           [4, 2]])
    >>> quarter.inverse.move(quarter.move(np.array([[1, 2], [3, 4]]))).tolist()
    [[1, 2], [3, 4]]
    """

    mirror: Sequence[bool]
    permutation: Sequence[int] | None = None

    def __post_init__(self) -> None:
        mirror = tuple(map(bool, self.mirror))
        given = range(len(mirror)) if self.permutation is None else self.permutation
        order = tuple(map(int, given))
        if sorted(order) != list(range(len(mirror))):
            raise ValueError(
                f"mirror {mirror} and permutation {order} do not fit: give one entry for each "
                "axis, and every axis once in the permutation"
            )
        object.__setattr__(self, "mirror", mirror)
        object.__setattr__(self, "permutation", order)

    @property
    def ndim(self) -> int:
        """Number of spatial axes."""
        return len(self.mirror)

    @property
    def order(self) -> tuple[int, ...]:
        """The permutation."""
        return self.permutation  # type: ignore[return-value]

    @property
    def inverse(self) -> Symmetry:
        """What undoes it."""
        mirror = [self.mirror[axis] for axis in self.order]
        return Symmetry(mirror, np.argsort(self.order).tolist())

    def lifted(self, ndim: int) -> Symmetry:
        """The same with leading axes added (to `ndim`) that are left alone."""
        extra = ndim - self.ndim
        order = (*range(extra), *(extra + axis for axis in self.order))
        return Symmetry((False,) * extra + tuple(self.mirror), order)

    def move(self, data: NDArray[Any]) -> NDArray[Any]:
        """The voxels where they come to lie, as a view; the spatial axes are the last ones."""
        lead = data.ndim - self.ndim
        flips = tuple(lead + axis for axis, flip in enumerate(self.mirror) if flip)
        axes = (*range(lead), *(lead + axis for axis in self.order))
        return np.flip(data, flips).transpose(axes)

    def source_of(self, offset: Sequence[int]) -> tuple[int, ...]:
        """The step in the input that a step in the output shows."""
        step = [0] * self.ndim
        for axis, source in enumerate(self.order):
            step[source] = -offset[axis] if self.mirror[source] else offset[axis]
        return tuple(step)


def symmetries(
    ndim: int,
    *,
    mirror_only: Sequence[int] | None = None,
    transpose_only: Sequence[int] | None = None,
) -> Iterator[Symmetry]:
    """All mirrors and transpositions of so many axes: 8 of the square, 48 of the cube.

    Parameters
    ----------
    ndim
        Number of spatial axes.
    mirror_only, transpose_only
        Which axes are mirrored, and which change places among themselves; None: all. In stacks of
        sections, ``transpose_only=[1, 2]``.

    Raises
    ------
    ValueError
        If an axis is not there.

    Examples
    --------
    >>> len(list(symmetries(2))), len(list(symmetries(3)))
    (8, 48)
    >>> len(list(symmetries(3, transpose_only=[1, 2])))
    16
    """
    axes = range(ndim)
    mirrored = set(axes if mirror_only is None else mirror_only)
    moved = set(axes if transpose_only is None else transpose_only)
    if not mirrored | moved <= set(axes):
        raise ValueError(
            f"of {ndim} axes there is none of {sorted((mirrored | moved) - set(axes))}"
        )
    for order in permutations(axes):
        if all(order[axis] == axis for axis in axes if axis not in moved):
            for mirror in product(
                *((False, True) if axis in mirrored else (False,) for axis in axes)
            ):
                yield Symmetry(mirror, order)


def symmetry_of(warp: Map, voxel_size: Sequence[Any]) -> Symmetry | None:
    """Which symmetry of the voxel grid a map is, but for a shift; None if it is none.

    Parameters
    ----------
    warp
        The map.
    voxel_size
        World units, for each axis of the array; the map may know fewer axes.

    Examples
    --------
    >>> from voxflow.ops.maps import rotation
    >>> symmetry_of(rotation(np.pi / 2, [0.0, 0.0]), (4, 4))
    Symmetry(mirror=(False, True), permutation=(1, 0))
    >>> symmetry_of(rotation(0.3, [0.0, 0.0]), (4, 4)) is None
    True
    """
    stages = fuse(warp.stages())
    if len(stages) > 1 or not all(stage.is_linear for stage in stages):
        return None
    ndim = len(voxel_size)
    if not stages:
        return Symmetry((False,) * ndim)
    size = np.array([float(v) for v in voxel_size])[ndim - warp.ndim :]
    steps = stages[0].matrix * size / size[:, None]
    whole = np.rint(steps)
    per_axis = np.abs(whole).sum(axis=0), np.abs(whole).sum(axis=1)
    if np.abs(steps - whole).max() > _WHOLE or any((count != 1).any() for count in per_axis):
        return None
    order = np.argmax(np.abs(whole), axis=0).tolist()
    return Symmetry((whole.sum(axis=1) < 0).tolist(), order).lifted(ndim)
