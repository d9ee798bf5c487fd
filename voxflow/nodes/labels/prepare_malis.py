"""What the MALIS loss reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.nodes.labels.label_target import id_spec
from voxflow.pipeline.data import Array, ArraySpec, Batch, BatchRequest
from voxflow.pipeline.engine import BatchFilter

if TYPE_CHECKING:
    from voxflow.pipeline.data import ArrayKey


class PrepareMalis(BatchFilter):
    """Adds the two label arrays of constrained MALIS, one behind the other.

    In the first, which is for the negative pass, all ignored voxels are one more object. The second
    are the labels.

    Parameters
    ----------
    labels_array_key
        The array of ids.
    malis_comp_array_key
        The array to make, of the dtype of the labels, with a leading axis of two.
    ignore_array_key
        Where it is 0, voxels are ignored. None: no voxel is.

    Raises
    ------
    TypeError
        At setup: if the labels are not integers.
    ValueError
        At setup: if the mask has other voxels than the labels. At a request: if their shapes
        differ.

    Examples
    --------
    >>> import voxflow as gp
    >>> labels, mask, both = gp.ArrayKey("LABELS"), gp.ArrayKey("MASK"), gp.ArrayKey("BOTH")
    >>> line = gp.ArraySpec(voxel_size=(4,))
    >>> ids = gp.ArraySource(labels, np.array([7, 7, 5, 0]), spec=line)
    >>> known = gp.ArraySource(mask, np.array([1, 0, 1, 1]), spec=line)
    >>> pipeline = (ids, known) + gp.MergeProvider() + gp.contrib.PrepareMalis(labels, both, mask)
    >>> with gp.build(pipeline):
    ...     pipeline.request_batch(gp.BatchRequest({both: gp.Roi((0,), (16,))}))[both].data
    array([[7, 8, 5, 0],
           [7, 7, 5, 0]])
    """

    def __init__(
        self,
        labels_array_key: ArrayKey,
        malis_comp_array_key: ArrayKey,
        ignore_array_key: ArrayKey | None = None,
    ) -> None:
        self.labels_array_key = labels_array_key
        self.malis_comp_array_key = malis_comp_array_key
        self.ignore_array_key = ignore_array_key

    def setup(self) -> None:
        """Offer both arrays where the labels are."""
        self.enable_autoskip()
        spec = id_spec(self, self.labels_array_key)
        mask = self.ignore_array_key
        if mask is not None and self.spec[mask].voxel_size != spec.voxel_size:
            raise ValueError(
                f"{self.name()} needs a mask for each voxel of {self.labels_array_key}, which are "
                f"of {spec.voxel_size}, but those of {mask} are of {self.spec[mask].voxel_size}"
            )
        self.provides(self.malis_comp_array_key, spec)

    def prepare(self, request: BatchRequest) -> BatchRequest:
        """Need labels and mask where the result is asked for."""
        needed = BatchRequest()
        for key in self._sources():
            needed[key] = ArraySpec(roi=request[self.malis_comp_array_key].roi)
        return needed

    def _sources(self) -> list[ArrayKey]:
        keys = (self.labels_array_key, self.ignore_array_key)
        return [key for key in keys if key is not None]

    def process(self, batch: Batch, request: BatchRequest) -> Batch:
        """Put them together."""
        roi = request[self.malis_comp_array_key].region
        parts = [batch[key].crop(roi, copy=False).view for key in self._sources()]
        labels = parts[0]
        both = np.stack([labels, labels])
        if len(parts) == 2:
            if parts[1].shape != labels.shape:
                raise ValueError(
                    f"{self.name()}: {self.ignore_array_key} has the shape {parts[1].shape}, "
                    f"{self.labels_array_key} has {labels.shape}; they have to be the same"
                )
            both[0][parts[1] == 0] = _free_id(labels)
        spec = self.spec[self.malis_comp_array_key].copy()
        spec.roi = roi
        made = Batch()
        made[self.malis_comp_array_key] = Array(both, spec)
        return made


def _free_id(labels: np.ndarray[Any, Any]) -> int:
    """An id that no voxel has: one more than the largest, or where there is none, the smallest."""
    highest = max(0, int(labels.max())) if labels.size else 0
    most = 1 if labels.dtype == bool else int(np.iinfo(labels.dtype).max)
    if highest < most:
        return highest + 1
    used = np.unique(labels[labels > 0])
    gaps = np.flatnonzero(used != np.arange(1, len(used) + 1, dtype=used.dtype))
    if not len(gaps):
        raise ValueError(f"{labels.dtype} has no id left for ignored voxels; use a wider dtype")
    return int(gaps[0]) + 1
