"""Where labels may be trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from voxflow.ops.listed import is_listed, whole_ids
from voxflow.pipeline.data import Array, ArraySpec, Batch, BatchRequest
from voxflow.pipeline.data.kinds import Descriptors, Vectors
from voxflow.pipeline.engine import BatchFilter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from voxflow.pipeline.data import ArrayKey


class AddMask(BatchFilter):
    """Adds the mask of an array of labels or targets: 1 where it says something, else 0.

    Nothing is said by values below 0 and by not-a-number. What nodes, sampling and losses take as a
    mask is such an array.

    Parameters
    ----------
    labels
        The array of labels or of other targets.
    mask
        The array to make, uint8, of the shape of the labels. Where one component of a vector or of
        a descriptor says nothing, all of it does.
    ignore
        More labels that say nothing, such as that of regions too hard to annotate.
    negative
        Whether values below 0 say something: True for targets such as signed distances.

    Raises
    ------
    TypeError
        If a label to ignore is not whole. At setup: if there are some, and the array is not of
        integers.

    Examples
    --------
    >>> import voxflow as gp
    >>> labels, mask = gp.ArrayKey("LABELS"), gp.ArrayKey("MASK")
    >>> line = gp.ArraySource(labels, np.array([-1, 0, 1, 2]), spec=gp.ArraySpec(voxel_size=(4,)))
    >>> with gp.build(line + gp.AddMask(labels, mask, ignore=[1])) as pipeline:
    ...     pipeline.request_batch(gp.BatchRequest({mask: gp.Roi((0,), (16,))}))[mask].data
    array([0, 1, 0, 1], dtype=uint8)
    """

    def __init__(
        self,
        labels: ArrayKey,
        mask: ArrayKey,
        ignore: Iterable[int] = (),
        negative: bool = False,
    ) -> None:
        self.labels = labels
        self.mask = mask
        self.ignore = whole_ids(ignore)
        self.negative = negative

    def setup(self) -> None:
        """Offer the mask where the labels are."""
        self.enable_autoskip()
        spec = self.spec[self.labels].copy()
        if self.ignore and spec.dtype is not None and spec.dtype.kind not in "uib":
            raise TypeError(
                f"{self.name()} is to ignore labels {self.ignore}, but {self.labels} is "
                f"{spec.dtype}; put AsType upstream"
            )
        # A mask of affinities goes along with them; that of vectors is the same for all components.
        self._together = isinstance(spec.kind, (Vectors, Descriptors))
        if self._together:
            spec.kind = None
        spec.dtype = "uint8"
        spec.interpolatable = False
        self.provides(self.mask, spec)

    def prepare(self, request: BatchRequest) -> BatchRequest:
        """Need the labels where the mask is asked for."""
        needed = BatchRequest()
        needed[self.labels] = ArraySpec(
            roi=request[self.mask].roi, nonspatial=self.spec[self.labels].nonspatial
        )
        return needed

    def process(self, batch: Batch, request: BatchRequest) -> Batch:
        """Look at the labels."""
        labels = batch[self.labels]
        data = labels.view
        known = np.ones(data.shape, np.uint8)
        if self.ignore:
            known = is_listed(data, self.ignore, 0, 1)
        if data.dtype.kind in "fc":
            known[np.isnan(data)] = 0
        if data.dtype.kind in "if" and not self.negative:
            known[data < 0] = 0
        if self._together:
            channels = known.ndim - labels.spec.region.dims - 1
            known[...] = known.min(axis=channels, keepdims=True)
        spec = self.spec[self.mask].copy()
        spec.roi = labels.spec.roi
        made = Batch()
        made[self.mask] = Array(known, spec)
        return made
