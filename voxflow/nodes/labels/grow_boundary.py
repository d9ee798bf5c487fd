"""A boundary between objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.ops.boundary import MAX_STEPS, grow_boundary
from voxflow.pipeline.data import Array, ArraySpec, Batch, BatchRequest
from voxflow.pipeline.engine import BatchFilter
from voxflow.pipeline.geometry import Coordinate

if TYPE_CHECKING:
    from voxflow.pipeline.data import ArrayKey
    from voxflow.pipeline.geometry import Roi


class GrowBoundary(BatchFilter):
    """Takes voxels away from every object, on each side; what is set free becomes background.

    Objects keep their voxels at the border of the array, as if they went on there.

    Parameters
    ----------
    labels
        The array of ids.
    mask
        Where it is 0, the object is not known: such voxels count as part of whichever object is
        next to them, so that no boundary grows at their edge. Only where both regions overlap.
    steps
        How many voxels are taken away, on each side.
    background
        The value of the background.
    only_xy
        Work in each plane of the last two axes by itself.
    context
        Ask for the labels around the region too, as far as there are any, such that a boundary
        does not depend on where a block ends. False: objects next to the region are not seen.

    Raises
    ------
    ValueError
        If `steps` is not in 0 ... 255. At setup: if `only_xy` is asked of a single axis, or the
        mask has other voxels than the labels.
    TypeError
        At setup: if the labels are not integers.

    Examples
    --------
    >>> import voxflow as gp
    >>> labels = gp.ArrayKey("LABELS")
    >>> ids = np.array([7, 7, 7, 7, 5, 5, 5, 5])
    >>> line = gp.ArraySource(labels, ids, spec=gp.ArraySpec(voxel_size=(4,)))
    >>> with gp.build(line + gp.GrowBoundary(labels, steps=1)) as pipeline:
    ...     pipeline.request_batch(gp.BatchRequest({labels: gp.Roi((0,), (32,))}))[labels].data
    array([7, 7, 7, 0, 0, 5, 5, 5])
    """

    def __init__(
        self,
        labels: ArrayKey,
        mask: ArrayKey | None = None,
        steps: int = 1,
        background: int = 0,
        only_xy: bool = False,
        *,
        context: bool = False,
    ) -> None:
        if not 0 <= steps <= MAX_STEPS:
            raise ValueError(f"steps has to lie in 0 ... {MAX_STEPS}, got {steps}")
        self.labels = labels
        self.mask = mask
        self.steps = steps
        self.background = background
        self.only_xy = only_xy
        self.context = context

    def setup(self) -> None:
        """Say that the labels change."""
        self.enable_autoskip()
        spec = self.spec[self.labels]
        if spec.dtype is not None and spec.dtype.kind not in "uib":
            raise TypeError(
                f"{self.name()} works on ids, but {self.labels} is {spec.dtype}; put AsType "
                "upstream"
            )
        if self.only_xy and len(spec.grid) < 2:
            raise ValueError(f"{self.name()}: only_xy needs two axes, {self.labels} has one")
        if self.mask is not None and self.spec[self.mask].voxel_size != spec.voxel_size:
            raise ValueError(
                f"{self.name()} needs a mask for each voxel of {self.labels}, which are of "
                f"{spec.voxel_size}, but those of {self.mask} are of "
                f"{self.spec[self.mask].voxel_size}"
            )
        self.updates(self.labels, spec.copy())

    def prepare(self, request: BatchRequest) -> BatchRequest:
        """Need the labels, and the mask where they are."""
        roi = self._around(request[self.labels].region)
        needed = BatchRequest()
        needed[self.labels] = request[self.labels]
        needed[self.labels].roi = roi
        if self.mask is not None:
            known = self._known(roi)
            if not known.empty:
                needed[self.mask] = ArraySpec(roi=known)
        return needed

    def _around(self, roi: Roi) -> Roi:
        if not self.context:
            return roi
        voxel_size, there = self.spec[self.labels].grid, self.spec[self.labels].roi
        first = len(voxel_size) - 2 if self.only_xy else 0
        reach = Coordinate(0 if a < first else self.steps * v for a, v in enumerate(voxel_size))
        grown = roi.grow(reach, reach)
        return grown if there is None else grown.intersect(there)

    def _known(self, roi: Roi) -> Roi:
        there = None if self.mask is None else self.spec[self.mask].roi
        return roi if there is None else roi.intersect(there)

    def process(self, batch: Batch, request: BatchRequest) -> Batch:
        """Grow the boundary."""
        labels = batch[self.labels]
        known = self._known(labels.spec.region)
        if self.mask is None:
            data = self._grown(labels, None)
        elif known.empty:
            data = labels.data
        else:
            where: Any = (known - labels.spec.region.offset) / labels.spec.grid
            data = labels.data.copy()
            mask = batch[self.mask].crop(known, copy=False).view
            data[(..., *where.to_slices())] = self._grown(labels.crop(known, copy=False), mask)
        made = Batch()
        made[self.labels] = Array(data, labels.spec, dict(labels.attrs))
        return made

    def _grown(self, labels: Array, mask: np.ndarray[Any, Any] | None) -> np.ndarray[Any, Any]:
        """Each channel by itself, which the spatial axes do not tell from one another."""
        data = labels.view
        lead = data.shape[: data.ndim - labels.spec.region.dims]
        if mask is not None and mask.shape != data.shape:
            raise ValueError(
                f"{self.name()}: {self.mask} has the shape {mask.shape}, {self.labels} has "
                f"{data.shape} there; they have to be the same"
            )
        if not lead:
            return grow_boundary(data, self.steps, self.background, self.only_xy, mask)
        out = np.empty(data.shape, data.dtype)
        for index in np.ndindex(*lead):
            known = None if mask is None else mask[index]
            out[index] = grow_boundary(
                data[index], self.steps, self.background, self.only_xy, known
            )
        return out
