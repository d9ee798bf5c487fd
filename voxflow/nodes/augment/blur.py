"""Random blur."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy import ndimage

from voxflow.nodes.augment.augment import ValueAugment, check_floating, probability
from voxflow.pipeline.data import Array, Batch, BatchRequest
from voxflow.pipeline.geometry import Coordinate

if TYPE_CHECKING:
    from voxflow.pipeline.data import ArrayKey

_TRUNCATE = 4.0


class Blur(ValueAugment):
    """Blurs an array with a Gaussian, along all spatial axes alike.

    What lies around the region is asked for too, as far as there is any, such that blocks fit each
    other; beyond it the array goes on mirrored.

    Parameters
    ----------
    array
        The array, of floating point.
    sigma
        From which to which standard deviation; uniform. The Gaussian is cut off at 4 of them.
    unit
        Of sigma: "voxel", or "world" for a blur that is the same in all directions.
    p
        The probability with which the node does anything.

    Raises
    ------
    ValueError
        If the range or the unit is wrong.
    TypeError
        At setup, or at a request if its dtype is not known before: if the array is not of floating
        point.
    """

    def __init__(
        self,
        array: ArrayKey,
        sigma: tuple[float, float] = (0.0, 2.0),
        *,
        unit: Literal["voxel", "world"] = "voxel",
        p: float = 1.0,
    ) -> None:
        if not 0 <= sigma[0] <= sigma[1]:
            raise ValueError(f"sigma goes from low to high and is not negative, got {sigma}")
        if unit not in ("voxel", "world"):
            raise ValueError(f"unit has to be 'voxel' or 'world', got {unit!r}")
        self.array = array
        self.sigma = sigma
        self.unit = unit
        self.p = probability("p", p)

    def draw(self, request: BatchRequest, rng: np.random.Generator) -> float:
        """The standard deviation."""
        return float(rng.uniform(*self.sigma))

    def prepare(self, request: BatchRequest) -> BatchRequest:
        """Need what is around the region too."""
        needed = BatchRequest()
        spec = request[self.array].copy()
        size = self.spec[self.array].grid
        radius = [math.floor(_TRUNCATE * s + 0.5) for s in self._in_voxels(self.plan(request))]
        more = Coordinate(radius) * size
        there = self.get_upstream_provider().spec[self.array].region
        spec.roi = spec.region.grow(more, more).intersect(there)
        needed[self.array] = spec
        return needed

    def working_bytes(self, request: Any, given: Any, made: Any) -> int:
        """Nothing besides."""
        return 0

    def process(self, batch: Batch, request: BatchRequest) -> Batch:
        """Blur."""
        array = batch[self.array]
        check_floating(self, self.array, array.dtype)
        sigma = self._in_voxels(self.plan(request))
        lead = len(array.shape) - len(sigma)
        # float16 is not known to scipy
        data = array.view.astype(np.promote_types(array.dtype, np.float32), copy=False)
        data = ndimage.gaussian_filter(data, [0.0] * lead + sigma, truncate=_TRUNCATE)
        made = Batch()
        blurred = Array(data.astype(array.dtype, copy=False), array.spec, dict(array.attrs))
        made[self.array] = blurred.crop(request[self.array].region, copy=False)
        return made

    def _in_voxels(self, sigma: float) -> list[float]:
        size = self.spec[self.array].grid
        return [sigma / (1.0 if self.unit == "voxel" else float(v)) for v in size]
