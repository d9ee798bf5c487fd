"""Parts of an image that are taken out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voxflow.nodes.augment.augment import ValueAugment, check_floating, probability
from voxflow.nodes.augment.blobs import Blob, check_ranges, distances, draw_blobs
from voxflow.pipeline.data import Array, Batch, BatchRequest

if TYPE_CHECKING:
    import numpy as np

    from voxflow.pipeline.data import ArrayKey


class Erase(ValueAugment):
    """Erases round blobs at random places, the same in all channels; labels are not told.

    Parameters
    ----------
    array
        The array, of floating point.
    count
        From how many to how many; uniform.
    diameter
        From which to which, in voxels (along the axis where they are shortest: blobs are round in
        world units); uniform.
    value
        What is put there.
    p
        The probability with which the node does anything.

    Raises
    ------
    ValueError
        If a range is wrong.
    TypeError
        At setup, or at a request if its dtype is not known before: if the array is not of floating
        point.
    """

    def __init__(
        self,
        array: ArrayKey,
        count: tuple[int, int] = (5, 15),
        diameter: tuple[float, float] = (10, 32),
        *,
        value: float = 0.0,
        p: float = 1.0,
    ) -> None:
        check_ranges(count=count, diameter=diameter)
        self.array = array
        self.count, self.diameter = count, diameter
        self.value = value
        self.p = probability("p", p)

    def draw(self, request: BatchRequest, rng: np.random.Generator) -> tuple[Blob, ...]:
        """The blobs."""
        return draw_blobs(rng, request[self.array].region.dims, self.count, self.diameter)

    def process(self, batch: Batch, request: BatchRequest) -> Batch:
        """Erase them."""
        array = batch[self.array]
        check_floating(self, self.array, array.dtype)
        data, dims = array.view.copy(), array.spec.region.dims
        for blob in self.plan(request):
            where, away = distances(blob, data.shape[-dims:], array.spec.grid, reach=1.0)
            data[where][..., away <= 1] = self.value
        made = Batch()
        made[self.array] = Array(data, array.spec, dict(array.attrs))
        return made
