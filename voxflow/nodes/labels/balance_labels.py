"""Weights that make rare classes count as much as frequent ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voxflow.ops.balance import balance
from voxflow.pipeline.data import Array, ArrayKey, Batch, BatchRequest
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
        One or more arrays of the shape of the labels, multiplied into the weights.
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
        At a request: if a label is not a class, or shapes differ.
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
        self.labels = labels
        self.scales = scales
        self.masks = [mask] if isinstance(mask, ArrayKey) else list(mask or ())
        self.slab = slab
        self.num_classes = num_classes
        self.clipmin = clipmin
        self.clipmax = clipmax

    def setup(self) -> None:
        """Offer weights where the labels are."""
        self.enable_autoskip()
        spec = self.spec[self.labels].copy()
        spec.dtype = "float32"
        spec.interpolatable = True
        self.provides(self.scales, spec)

    def prepare(self, request: BatchRequest) -> BatchRequest:
        """Need labels and masks where weights are asked for."""
        needed = BatchRequest()
        for key in (self.labels, *self.masks):
            needed[key] = request[self.scales].copy()
            needed[key].dtype = None
        return needed

    def process(self, batch: Batch, request: BatchRequest) -> Batch:
        """Weigh."""
        labels = batch[self.labels]
        weights = balance(
            labels.data,
            [batch[key].data for key in self.masks],
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
