"""What DownSample and UpSample have in common: a whole number of voxels for one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.pipeline.data import Array, ArrayKey, ArraySpec, Batch, BatchRequest
from voxflow.pipeline.data.kinds import (
    attrs_of_kind,
    attrs_without_kind,
    kind_at_other_voxels,
)
from voxflow.pipeline.engine import BatchFilter
from voxflow.pipeline.geometry import Coordinate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voxflow.pipeline.geometry import Roi

Voxels = np.ndarray[Any, Any]


class ByFactor(BatchFilter):
    """Makes `target` from `source` in voxels that are a whole number of times larger or smaller.

    Parameters
    ----------
    source
        The array that there is.
    factor
        How many times: one number, or one for each spatial axis.
    target
        The array to make.

    Raises
    ------
    TypeError
        If `source` or `target` is no `ArrayKey`, or a factor is not whole.
    ValueError
        If a factor is below 1. At setup: if there is not one for each axis.
    """

    def __init__(self, source: ArrayKey, factor: int | Sequence[int], target: ArrayKey) -> None:
        for name, key in (("source", source), ("target", target)):
            if not isinstance(key, ArrayKey):
                raise TypeError(f"{name} has to be an ArrayKey, got {key!r}")
        numbers = (factor,) if isinstance(factor, (int, np.integer)) else tuple(factor)
        if not all(isinstance(n, (int, np.integer)) for n in numbers):
            raise TypeError(f"{self.name()} takes whole factors, got {factor}; see Resample")
        if not all(n >= 1 for n in numbers):
            raise ValueError(f"{self.name()} takes factors from 1 on, got {factor}")
        self.source = source
        self.factor = factor
        self.target = target

    def resized(self, voxel_size: Coordinate, factor: Coordinate) -> Coordinate:
        """The voxel size of the target."""
        raise NotImplementedError

    def make(self, source: Voxels, factor: Coordinate) -> Voxels:
        """All of the target that a part of the source says."""
        raise NotImplementedError

    def setup(self) -> None:
        """Offer the target where the source is, in whole voxels."""
        self.enable_autoskip()
        spec = self.spec[self.source].copy()
        spec.voxel_size = self.resized(spec.grid, self._factor(len(spec.grid)))
        if spec.roi is not None:
            spec.roi = spec.roi.snap_to_grid(spec.grid, "shrink")
            if spec.roi.empty:
                raise ValueError(
                    f"{self.name()} makes voxels of {spec.voxel_size}, but {self.source} are only "
                    f"{self.spec[self.source].roi} (world units)"
                )
        spec.kind = kind_at_other_voxels(spec.kind)
        self.provides(self.target, spec)

    def _factor(self, dims: int) -> Coordinate:
        given = self.factor
        numbers = (given,) * dims if isinstance(given, (int, np.integer)) else tuple(given)
        if len(numbers) != dims:
            raise ValueError(
                f"{self.name()} got factors {numbers}, but {self.source} has {dims} spatial axes; "
                "give one for each"
            )
        return Coordinate(int(n) for n in numbers)

    def prepare(self, request: BatchRequest) -> BatchRequest:
        """Need the source there, in whole voxels."""
        needed = BatchRequest()
        needed[self.source] = ArraySpec(roi=self._there(request[self.target].region))
        return needed

    def _there(self, roi: Roi) -> Roi:
        return roi.snap_to_grid(self.spec[self.source].grid)

    def process(self, batch: Batch, request: BatchRequest) -> Batch:
        """Make the target."""
        roi = request[self.target].region
        source = batch[self.source].crop(self._there(roi), copy=False)
        spec = self.spec[self.target].copy()
        spec.roi = source.spec.roi
        made = self.make(source.view, self._factor(roi.dims))
        attrs = {**attrs_without_kind(source.attrs), **attrs_of_kind(spec.kind)}
        batch = Batch()
        batch[self.target] = Array(made, spec, attrs).crop(roi, copy=False)
        return batch
