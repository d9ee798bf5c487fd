"""Weights that make rare classes count as much as frequent ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voxflow.ops.balance import balance
from voxflow.pipeline.data import Array, ArrayKey, ArraySpec, Batch, BatchRequest
from voxflow.pipeline.engine import BatchFilter

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class BalanceLabels(BatchFilter):
    """Adds a weight for every voxel: ``mask / (num_classes * fraction of its class)``.

    Parameters
    ----------
    labels
        The array of classes, 0 ... `num_classes` - 1, such as affinities.
    scales
        The array of weights to make, float32, of the shape of the labels.
    mask
        One or more arrays of the shape of the labels, multiplied into the weights. Only where they
        are positive, voxels are counted.
    slab
        The size of the pieces that are balanced by themselves, an entry for each axis of the data;
        -1: the whole axis. None: all in one.
    num_classes
        How many classes there are.
    clipmin, clipmax
        Bounds for the fraction of a class; None: no bound.

    Raises
    ------
    ValueError
        If there is no class, or a slab is empty. At setup: if a mask has other voxels than the
        labels. At a request: if a label is not a class, or shapes differ.
    """

    def __init__(
        self,
        labels: ArrayKey,
        scales: ArrayKey,
        mask: ArrayKey | Iterable[ArrayKey] | None = None,
        slab: Sequence[int] | None = None,
        num_classes: int = 2,
        clipmin: float | None = 0.05,
        clipmax: float | None = 0.95,
    ) -> None:
        if num_classes < 1:
            raise ValueError(f"BalanceLabels needs num_classes of 1 or more, got {num_classes}")
        if slab is not None and any(size == 0 or size < -1 for size in slab):
            raise ValueError(f"sizes of a slab are 1 or more, or -1 for all; got {tuple(slab)}")
        self.labels = labels
        self.scales = scales
        self.masks = [mask] if isinstance(mask, ArrayKey) else list(mask or ())
        self.slab = None if slab is None else tuple(slab)
        self.num_classes = num_classes
        self.clipmin = clipmin
        self.clipmax = clipmax

    def setup(self) -> None:
        """Offer weights where the labels are."""
        self.enable_autoskip()
        spec = self.spec[self.labels].copy()
        for mask in self.masks:
            if self.spec[mask].voxel_size != spec.voxel_size:
                raise ValueError(
                    f"{self.name()} needs a mask for each voxel of {self.labels}, which are of "
                    f"{spec.voxel_size}, but those of {mask} are of {self.spec[mask].voxel_size}"
                )
        spec.dtype = "float32"  # interpolatable as the labels are: a weight belongs to a class
        self.provides(self.scales, spec)

    def prepare(self, request: BatchRequest) -> BatchRequest:
        """Need labels and masks where weights are asked for."""
        needed = BatchRequest()
        for key in (self.labels, *self.masks):
            needed[key] = ArraySpec(roi=request[self.scales].roi)
        return needed

    def process(self, batch: Batch, request: BatchRequest) -> Batch:
        """Weigh."""
        labels = batch[self.labels]
        weights = balance(
            labels.view,
            [batch[key].view for key in self.masks],
            self.slab,
            self.num_classes,
            self.clipmin,
            self.clipmax,
        )
        spec = self.spec[self.scales].copy()
        spec.roi = labels.spec.roi
        made = Batch()
        made[self.scales] = Array(weights, spec)
        return made
