"""A boundary between objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voxflow.ops.boundary import grow_boundary
from voxflow.pipeline.data import Array, Batch, BatchRequest
from voxflow.pipeline.engine import BatchFilter

if TYPE_CHECKING:
    from voxflow.pipeline.data import ArrayKey


class GrowBoundary(BatchFilter):
    """Takes voxels away from every object, on each side; what is set free becomes background.

    Objects keep their voxels at the border of the array.

    Parameters
    ----------
    labels
        The array of ids.
    mask
        Where it is 0, the object is not known: nothing is taken away there. Only where both
        regions overlap.
    steps
        How many voxels are taken away, on each side.
    background
        The value of the background.
    only_xy
        Work in each section of a 3D array by itself.

    Raises
    ------
    ValueError
        If `steps` is negative. At a request: if the array is not 3D and `only_xy` is asked for.
    """

    def __init__(
        self,
        labels: ArrayKey,
        mask: ArrayKey | None = None,
        steps: int = 1,
        background: int = 0,
        only_xy: bool = False,
    ) -> None:
        if steps < 0:
            raise ValueError(f"steps has to be 0 or more, got {steps}")
        self.labels = labels
        self.mask = mask
        self.steps = steps
        self.background = background
        self.only_xy = only_xy

    def setup(self) -> None:
        """Say that the labels change."""
        self.enable_autoskip()
        self.updates(self.labels, self.spec[self.labels].copy())

    def prepare(self, request: BatchRequest) -> BatchRequest:
        """Need the labels, and the mask where they are."""
        needed = BatchRequest()
        needed[self.labels] = request[self.labels]
        if self.mask is not None:
            roi, there = request[self.labels].region, self.spec[self.mask].roi
            needed[self.mask] = roi if there is None else roi.intersect(there)
        return needed

    def process(self, batch: Batch, request: BatchRequest) -> Batch:
        """Grow the boundary."""
        labels = batch[self.labels]
        made = Batch()
        data = labels.data
        if self.mask is None:
            data = grow_boundary(data, self.steps, self.background, self.only_xy)
        else:
            mask = batch[self.mask]
            roi = labels.spec.region.intersect(mask.spec.region)
            part = labels.crop(roi, copy=False)
            where = ((roi - labels.spec.region.offset) / labels.spec.grid).to_slices()
            data = data.copy()
            data[where] = grow_boundary(
                part.data,
                self.steps,
                self.background,
                self.only_xy,
                mask.crop(roi, copy=False).data,
            )
        made[self.labels] = Array(data, labels.spec, dict(labels.attrs))
        return made
