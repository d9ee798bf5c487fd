"""Another voxel size."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from voxflow.ops.rescale import MAX_ORDER, Grid, rescale, rescale_reach
from voxflow.pipeline.data import Array, ArrayKey, ArraySpec, Batch, BatchRequest
from voxflow.pipeline.data.kinds import (
    attrs_of_kind,
    attrs_without_kind,
    kind_at_other_voxels,
)
from voxflow.pipeline.engine import BatchFilter
from voxflow.pipeline.geometry import Coordinate

if TYPE_CHECKING:
    from collections.abc import Iterable

    from voxflow.pipeline.geometry import Exact, Roi

logger = logging.getLogger(__name__)


class Resample(BatchFilter):
    """Adds an array as it looks in voxels of another size.

    Images are interpolated, and smoothed before along axes whose voxels become larger, as
    `skimage.transform.rescale` does it. Arrays that are not interpolatable (labels, masks) are
    not: each voxel takes the value of the one in which its centre lies, whatever its dtype. The
    source is asked for as far around as it counts, so the result does not depend on where a block
    ends; beyond the end of the source it is mirrored.

    Parameters
    ----------
    source
        The array that there is.
    target_voxel_size
        The voxel size of the result, world units.
    target
        The array to make, of the dtype of the source. It is offered where the source is, in whole
        voxels.
    ndim
        Not needed: the axes of the voxel size are resampled, those before are not.
    interp_order
        Of the interpolation: 0 nearest, 1 linear, up to 5; None: linear, or nearest for arrays that
        are not interpolatable.

    Raises
    ------
    ValueError
        If the order is not one of these. At setup: if the voxel sizes do not have the same number
        of axes, or no whole voxel fits into the source.

    Examples
    --------
    >>> import numpy as np
    >>> import voxflow as gp
    >>> raw, fine = gp.ArrayKey("RAW"), gp.ArrayKey("FINE")
    >>> image = np.array([0, 80, 160, 240], np.float32)
    >>> line = gp.ArraySource(raw, image, spec=gp.ArraySpec(voxel_size=(4,)))
    >>> with gp.build(line + gp.Resample(raw, gp.Coordinate(2), fine)) as pipeline:
    ...     pipeline.request_batch(gp.BatchRequest({fine: gp.Roi((4,), (8,))}))[fine].data
    array([ 60., 100., 140., 180.], dtype=float32)
    """

    def __init__(
        self,
        source: ArrayKey,
        target_voxel_size: Iterable[Exact | float],
        target: ArrayKey,
        ndim: int | None = None,
        interp_order: int | None = None,
    ) -> None:
        if interp_order is not None and not 0 <= interp_order <= MAX_ORDER:
            raise ValueError(f"interp_order has to lie in 0 ... {MAX_ORDER}, got {interp_order}")
        self.source = source
        self.target_voxel_size = Coordinate(target_voxel_size)
        self.target = target
        self.ndim = ndim
        self.interp_order = interp_order

    def setup(self) -> None:
        """Offer the target where the source is, in whole voxels."""
        self.enable_autoskip()
        spec = self.spec[self.source].copy()
        if len(spec.grid) != len(self.target_voxel_size):
            raise ValueError(
                f"{self.name()} is to make voxels of {self.target_voxel_size}, but those of "
                f"{self.source} are of {spec.grid}; they need as many axes"
            )
        if self.interp_order and not spec.interpolatable:
            logger.warning(
                "%s: %s is not interpolatable, each voxel takes the nearest value instead of "
                "interp_order=%d",
                self.name(), self.source, self.interp_order,
            )  # fmt: skip
        if spec.roi is not None:
            spec.roi = spec.roi.snap_to_grid(self.target_voxel_size, "shrink")
            if spec.roi.empty:
                raise ValueError(
                    f"{self.name()} makes voxels of {self.target_voxel_size}, but {self.source} "
                    f"are only {self.spec[self.source].roi} (world units)"
                )
        spec.voxel_size = self.target_voxel_size
        spec.kind = kind_at_other_voxels(spec.kind)
        self.provides(self.target, spec)

    def prepare(self, request: BatchRequest) -> BatchRequest:
        """Need the source around what is asked for."""
        needed = BatchRequest()
        needed[self.source] = ArraySpec(roi=self._around(request[self.target].region))
        return needed

    def _order(self) -> int:
        if not self.spec[self.source].interpolatable:
            return 0
        return 1 if self.interp_order is None else self.interp_order

    def _around(self, roi: Roi) -> Roi:
        spec, order = self.spec[self.source], self._order()
        ratios = self.target_voxel_size / spec.grid
        reach = Coordinate(rescale_reach(float(ratio), order) for ratio in ratios) * spec.grid
        grown = roi.grow(reach, reach).snap_to_grid(spec.grid)
        return grown if spec.roi is None else grown.intersect(spec.roi)

    def process(self, batch: Batch, request: BatchRequest) -> Batch:
        """Resample."""
        roi = request[self.target].region
        source = batch[self.source].crop(self._around(roi), copy=False)
        data = rescale(
            source.view,
            Grid(source.spec.region.offset, source.spec.grid),
            Grid(roi.offset, self.target_voxel_size),
            tuple(int(n) for n in roi.shape / self.target_voxel_size),
            self._order(),
        )
        spec = self.spec[self.target].copy()
        spec.roi = roi
        attrs = {**attrs_without_kind(source.attrs), **attrs_of_kind(spec.kind)}
        made = Batch()
        made[self.target] = Array(data, spec, attrs)
        return made
