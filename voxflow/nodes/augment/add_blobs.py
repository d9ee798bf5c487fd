"""Blurry spots that are lighter or darker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from voxflow.nodes.augment.augment import ValueAugment, check_floating, probability
from voxflow.nodes.augment.blobs import Blob, check_ranges, distances, draw_blobs
from voxflow.pipeline.data import Array, Batch, BatchRequest

if TYPE_CHECKING:
    from voxflow.pipeline.data import ArrayKey


class AddBlobs(ValueAugment):
    """Adds blurry blobs (Gaussians) at random places, the same in all channels.

    Parameters
    ----------
    array
        The array, of floating point.
    count
        From how many to how many; uniform.
    diameter
        From which to which full width at half maximum, in voxels (along the axis where they are
        shortest: blobs are round in world units); uniform.
    strength
        The value that is added at the centre, from which to which; uniform.
    clip
        Clip to [0, 1] where something was added.
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
        count: tuple[int, int] = (1, 5),
        diameter: tuple[float, float] = (10, 32),
        strength: tuple[float, float] = (-0.3, 0.3),
        *,
        clip: bool = True,
        p: float = 1.0,
    ) -> None:
        check_ranges(count=count, diameter=diameter, strength=strength)
        self.array = array
        self.count, self.diameter, self.strength = count, diameter, strength
        self.clip = clip
        self.p = probability("p", p)

    def draw(self, request: BatchRequest, rng: np.random.Generator) -> tuple[Blob, ...]:
        """The blobs."""
        dims = request[self.array].region.dims
        return draw_blobs(rng, dims, self.count, self.diameter, self.strength)

    def process(self, batch: Batch, request: BatchRequest) -> Batch:
        """Add them."""
        array = batch[self.array]
        check_floating(self, self.array, array.dtype)
        data, dims = array.view.copy(), array.spec.region.dims
        for blob in self.plan(request):
            where, away = distances(blob, data.shape[-dims:], array.spec.grid, reach=3.0)
            part = data[where]
            part += blob.strength * np.exp2(-(away**2))
            if self.clip:
                np.clip(part, 0, 1, out=part)
        made = Batch()
        made[self.array] = Array(data, array.spec, dict(array.attrs))
        return made
