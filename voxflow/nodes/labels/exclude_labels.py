"""Labels that are not wanted."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.nodes.labels.label_target import by_channel, id_spec, region_around
from voxflow.ops.distances import distances
from voxflow.ops.listed import is_listed, replace_listed, whole_ids
from voxflow.pipeline.data import Array, ArraySpec, Batch, BatchRequest
from voxflow.pipeline.engine import BatchFilter
from voxflow.pipeline.geometry import Coordinate, exact

if TYPE_CHECKING:
    from collections.abc import Iterable

    from voxflow.pipeline.data import ArrayKey
    from voxflow.pipeline.geometry import Exact, Roi


class ExcludeLabels(BatchFilter):
    """Makes background of some labels, and a mask of what is left and its surroundings.

    Parameters
    ----------
    labels
        The array of ids, changed in place.
    exclude
        The ids that become background. Those that the dtype of the labels cannot hold are nowhere.
    ignore_mask
        A mask to make, uint8: 1 where the distance to the nearest voxel of any other label
        (background too) is smaller than `ignore_mask_erode`, else 0. Labels are asked for so far
        around it that it does not depend on where a block ends.
    ignore_mask_erode
        In world units; by default the mask is 0 everywhere.
    background_value
        What excluded labels become.

    Raises
    ------
    TypeError
        If an id is not whole. At setup: if the labels are not integers.
    ValueError
        If `ignore_mask_erode` is negative. At a request: if `background_value` does not fit into
        the dtype of the labels.

    Examples
    --------
    >>> import voxflow as gp
    >>> labels, mask = gp.ArrayKey("LABELS"), gp.ArrayKey("MASK")
    >>> ids = np.array([5, 7, 7, 7, 7, 7, 0, 0])
    >>> line = gp.ArraySource(labels, ids, spec=gp.ArraySpec(voxel_size=(4,)))
    >>> with gp.build(line + gp.ExcludeLabels(labels, [7], mask, 9)) as pipeline:
    ...     whole = gp.Roi((0,), (32,))
    ...     batch = pipeline.request_batch(gp.BatchRequest({labels: whole, mask: whole}))
    >>> batch[labels].data, batch[mask].data
    (array([5, 0, 0, 0, 0, 0, 0, 0]), array([1, 1, 1, 0, 1, 1, 1, 1], dtype=uint8))
    """

    def __init__(
        self,
        labels: ArrayKey,
        exclude: Iterable[int],
        ignore_mask: ArrayKey | None = None,
        ignore_mask_erode: Exact | float = 0,
        background_value: int = 0,
    ) -> None:
        if ignore_mask_erode < 0:
            raise ValueError(f"ignore_mask_erode has to be 0 or more, got {ignore_mask_erode}")
        self.labels = labels
        self.exclude = whole_ids(exclude)
        self.ignore_mask = ignore_mask
        self.ignore_mask_erode = exact(ignore_mask_erode)
        self.background_value = background_value

    def setup(self) -> None:
        """Say that the labels change, and offer the mask where they are."""
        self.enable_autoskip()
        spec = id_spec(self, self.labels)
        self.updates(self.labels, spec)
        if self.ignore_mask is not None:
            mask = spec.copy()
            mask.dtype = "uint8"
            mask.interpolatable = False
            self.provides(self.ignore_mask, mask)

    def prepare(self, request: BatchRequest) -> BatchRequest:
        """Need the labels, and around the mask."""
        needed = BatchRequest()
        if self.labels in request:
            needed[self.labels] = request[self.labels].copy()
        if self.ignore_mask is not None and self.ignore_mask in request:
            around = ArraySpec(roi=self._around(request[self.ignore_mask].region))
            if self.labels in needed:
                needed[self.labels].update_with(around)
            else:
                needed[self.labels] = around
        return needed

    def _around(self, roi: Roi) -> Roi:
        spec = self.spec[self.labels]
        reach = Coordinate(ceil(self.ignore_mask_erode / v) for v in spec.grid)
        return region_around(roi, reach, spec)

    def process(self, batch: Batch, request: BatchRequest) -> Batch:
        """Exclude."""
        labels, made = batch[self.labels], Batch()
        if self.labels in request:
            data = replace_listed(labels.view, self.exclude, self.background_value)
            made[self.labels] = Array(data, labels.spec, dict(labels.attrs))
        if self.ignore_mask is not None and self.ignore_mask in request:
            roi = request[self.ignore_mask].region
            spec = self.spec[self.ignore_mask].copy()
            spec.roi = roi
            part = labels.crop(self._around(roi), copy=False)
            made[self.ignore_mask] = Array(self._mask(part, roi), spec)
        return made

    def _mask(self, labels: Array, roi: Roi) -> np.ndarray[Any, Any]:
        where: Any = (roi - labels.spec.region.offset) / labels.spec.grid
        size = [float(length) for length in labels.spec.grid if length is not None]
        # Distances are of single precision, in which one of just the limit may lie below it.
        limit = float(self.ignore_mask_erode) * (1 - 1e-6)

        def near(ids: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
            away = distances(is_listed(ids, self.exclude), size)[where.to_slices()]
            return np.asarray(away < limit).view(np.uint8)

        return by_channel(roi.dims, near, labels.view)
