"""Where objects end."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from voxflow.nodes.labels.label_target import LabelTarget
from voxflow.ops.boundary import MAX_STEPS
from voxflow.ops.label_edges import label_edges
from voxflow.pipeline.geometry import Coordinate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voxflow.pipeline.data import ArrayKey, ArraySpec


class EdgeTarget(LabelTarget):
    """What is said of voxels at a change of the labels, and of others.

    Parameters
    ----------
    labels
        The array of ids.
    target
        The array to make.
    values
        What is written: for objects, background, objects at an edge, background at an edge.
    thickness, axes, touching_only, background
        As `LabelsToBoundary` has them.
    """

    dtype = np.dtype(np.uint8)

    def __init__(
        self,
        labels: ArrayKey,
        target: ArrayKey,
        values: tuple[int, int, int, int],
        thickness: int,
        axes: Sequence[int] | None,
        touching_only: bool,
        background: int,
    ) -> None:
        if not 1 <= thickness <= MAX_STEPS:
            raise ValueError(
                f"thickness has to lie in 1 ... {MAX_STEPS} voxels on each side, got {thickness}"
            )
        self.labels = labels
        self.target = target
        self.values = values
        self.thickness = operator.index(thickness)
        self.axes = None if axes is None else tuple(axes)
        self.touching_only = touching_only
        self.background = background

    def check(self, spec: ArraySpec) -> None:
        """Raise if there are no such axes."""
        dims = len(spec.grid)
        if self.axes is not None and not all(-dims <= axis < dims for axis in self.axes):
            raise ValueError(
                f"{self.name()} is to look along the axes {self.axes}, but {self.labels} has "
                f"{dims} spatial axes, 0 ... {dims - 1}"
            )

    def reach(self, voxel_size: Coordinate) -> Coordinate:
        """As many voxels as the edge is thick, along the axes that count."""
        dims = len(voxel_size)
        along = range(dims) if self.axes is None else [axis % dims for axis in self.axes]
        return Coordinate(self.thickness if axis in along else 0 for axis in range(dims))

    def make(
        self, labels: np.ndarray[Any, Any], region: tuple[slice, ...], voxel_size: Coordinate
    ) -> np.ndarray[Any, Any]:
        """Tell the voxels apart."""
        told = label_edges(
            labels, self.thickness, self.values, self.axes, self.touching_only, self.background
        )
        return told[region]


class LabelsToBoundary(EdgeTarget):
    """Adds the boundary of objects: 1 at each change of the labels, else 0.

    Neighbours along an axis with different labels are both boundary, so it is two voxels wide;
    each more in `thickness` adds one voxel on either side.

    Parameters
    ----------
    labels
        The array of ids.
    boundary
        The array to make, uint8.
    thickness
        Voxels on each side of a change.
    axes
        The spatial axes along which labels are compared and the boundary grows, counted as numpy
        does; ``(-2, -1)`` works in each section by itself. None: all.
    touching_only
        Only where two objects touch; not where an object meets background, and never on background.
    background
        What background voxels are. "object": nothing special, 0, or 1 where they are next to an
        object. "boundary": all of them are boundary, 1. "class": a class of their own, 2.
    background_value
        The label of background.

    Raises
    ------
    ValueError
        If `thickness` is not in 1 ... 255, or `background` none of the three. At setup: if there
        are no such axes.
    TypeError
        If `thickness` is not whole. At setup: if the labels are not integers.

    Examples
    --------
    >>> import voxflow as gp
    >>> labels, boundary = gp.ArrayKey("LABELS"), gp.ArrayKey("BOUNDARY")
    >>> ids = np.array([7, 7, 7, 7, 5, 5, 5, 5])
    >>> line = gp.ArraySource(labels, ids, spec=gp.ArraySpec(voxel_size=(4,)))
    >>> with gp.build(line + gp.LabelsToBoundary(labels, boundary)) as pipeline:
    ...     pipeline.request_batch(gp.BatchRequest({boundary: gp.Roi((0,), (32,))}))[boundary].data
    array([0, 0, 0, 1, 1, 0, 0, 0], dtype=uint8)
    """

    def __init__(
        self,
        labels: ArrayKey,
        boundary: ArrayKey,
        thickness: int = 1,
        axes: Sequence[int] | None = None,
        touching_only: bool = False,
        background: Literal["object", "boundary", "class"] = "object",
        background_value: int = 0,
    ) -> None:
        values = {"object": (0, 1), "boundary": (1, 1), "class": (2, 2)}
        if background not in values:
            raise ValueError(
                f'background is "object", "boundary" or "class" in the boundary, got {background!r}'
            )
        away, near = values[background]
        super().__init__(
            labels,
            boundary,
            (0, away, 1, away if touching_only else near),
            thickness,
            axes,
            touching_only,
            background_value,
        )
