"""How far it is to the boundary."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from voxflow.nodes.labels.label_target import LabelTarget
from voxflow.ops.distances import distances
from voxflow.ops.listed import is_listed
from voxflow.pipeline.geometry import Coordinate, exact

if TYPE_CHECKING:
    from voxflow.pipeline.data import ArrayKey, ArraySpec
    from voxflow.pipeline.geometry import Exact


class AddDistances(LabelTarget):
    """Adds the Euclidean distance of each voxel to the boundary of its object, in world units.

    Labels are asked for so far around that distances do not depend on where a block ends. Beyond
    the end of the labels objects are taken to go on.

    Parameters
    ----------
    labels
        The array of ids.
    distances
        The array to make, float32.
    max_distance
        Larger distances become this one (world units).
    to
        Where the boundary lies. "face": on the faces between voxels, the distance is half a voxel
        next to it. "voxel": at the centre of the nearest voxel that is not of the object, the
        distance is one voxel next to it.
    signed
        Background voxels get minus their distance to the nearest object. Otherwise they get 0.
    boundary
        "object": an object ends where any other label begins. "background": where background
        begins; objects that touch are one.
    only_xy
        Distances within planes of the last two axes.
    background
        The label of background.

    Raises
    ------
    ValueError
        If `max_distance` is not positive, or `to` or `boundary` none of their choices. At setup: if
        `only_xy` is asked of a single axis.
    TypeError
        At setup: if the labels are not integers.

    Examples
    --------
    >>> import voxflow as gp
    >>> labels, far = gp.ArrayKey("LABELS"), gp.ArrayKey("DISTANCES")
    >>> ids = np.array([7, 7, 7, 7, 5, 5, 0, 0])
    >>> line = gp.ArraySource(labels, ids, spec=gp.ArraySpec(voxel_size=(4,)))
    >>> with gp.build(line + gp.AddDistances(labels, far, 10, signed=True)) as pipeline:
    ...     pipeline.request_batch(gp.BatchRequest({far: gp.Roi((0,), (32,))}))[far].data
    array([10., 10.,  6.,  2.,  2.,  2., -2., -6.], dtype=float32)
    """

    dtype = np.dtype(np.float32)
    interpolatable = True

    def __init__(
        self,
        labels: ArrayKey,
        distances: ArrayKey,
        max_distance: Exact | float,
        to: Literal["face", "voxel"] = "face",
        signed: bool = False,
        boundary: Literal["object", "background"] = "object",
        only_xy: bool = False,
        background: int = 0,
    ) -> None:
        if max_distance <= 0:
            raise ValueError(f"max_distance has to be above 0 (world units), got {max_distance}")
        if to not in ("face", "voxel"):
            raise ValueError(f'distances are to the nearest "face" or "voxel", got to={to!r}')
        if boundary not in ("object", "background"):
            raise ValueError(
                f'objects end at another "object" or at the "background", got {boundary!r}'
            )
        self.labels = labels
        self.target = distances
        self.max_distance = exact(max_distance)
        self.to = to
        self.signed = signed
        self.boundary = boundary
        self.only_xy = only_xy
        self.background = background

    def check(self, spec: ArraySpec) -> None:
        """Raise if there are no planes."""
        if self.only_xy and len(spec.grid) < 2:
            raise ValueError(f"{self.name()}: only_xy needs two axes, {self.labels} has one")

    def reach(self, voxel_size: Coordinate) -> Coordinate:
        """To the voxel behind the farthest boundary that counts."""
        first = len(voxel_size) - 2 if self.only_xy else 0
        voxels = [ceil(self.max_distance / v) for v in voxel_size]
        return Coordinate(n if axis >= first else 0 for axis, n in enumerate(voxels))

    def make(
        self, labels: np.ndarray[Any, Any], region: tuple[slice, ...], voxel_size: Coordinate
    ) -> np.ndarray[Any, Any]:
        """Measure."""
        background = self.background
        if self.boundary == "background":
            labels, background = is_listed(labels, [background], 0, 1), 0
        found = distances(
            labels,
            [float(length) for length in voxel_size if length is not None],
            background,
            self.to,
            self.only_xy,
            self.signed,
        )[region]
        limit = np.float32(self.max_distance)
        return np.clip(found, -limit, limit)
