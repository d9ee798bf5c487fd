"""Regions that are too hard to annotate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from voxflow.nodes.labels.label_target import id_spec
from voxflow.ops.listed import is_listed, replace_listed
from voxflow.pipeline.data import Array, ArraySpec, Batch, BatchRequest
from voxflow.pipeline.engine import BatchFilter
from voxflow.pipeline.geometry import voxel_slices

if TYPE_CHECKING:
    from voxflow.pipeline.data import ArrayKey
    from voxflow.pipeline.geometry import Roi


class HandleBlobs(BatchFilter):
    """Decides on regions that were labelled as a blob: something is there, but not which objects.

    Parameters
    ----------
    labels
        The array of ids.
    mode
        "ignore": make a mask that is 0 in blobs, for the loss. "remove": blobs become 0 in the
        labels and in the image. "object": a blob is an object as any other; nothing changes.
    raw
        The image, changed by "remove". Its voxels are those of the labels; it may have channels.
    mask
        The mask, made by "ignore": uint8, 1 outside of blobs.
    blob
        The label of blobs.

    Raises
    ------
    ValueError
        If `mode` is none of the three, or the array is missing that it makes. At setup: if labels
        and image have other voxels.
    TypeError
        At setup: if the labels are not integers.

    Examples
    --------
    >>> import voxflow as gp
    >>> labels, mask = gp.ArrayKey("LABELS"), gp.ArrayKey("MASK")
    >>> line = gp.ArraySource(labels, np.array([0, 1, 2, 3]), spec=gp.ArraySpec(voxel_size=(4,)))
    >>> with gp.build(line + gp.HandleBlobs(labels, "ignore", mask=mask)) as pipeline:
    ...     pipeline.request_batch(gp.BatchRequest({mask: gp.Roi((0,), (16,))}))[mask].data
    array([1, 0, 1, 1], dtype=uint8)
    """

    def __init__(
        self,
        labels: ArrayKey,
        mode: Literal["ignore", "remove", "object"] = "ignore",
        raw: ArrayKey | None = None,
        mask: ArrayKey | None = None,
        blob: int = 1,
    ) -> None:
        if mode not in ("ignore", "remove", "object"):
            raise ValueError(f'mode has to be "ignore", "remove" or "object", got {mode!r}')
        if mode == "ignore" and mask is None:
            raise ValueError('HandleBlobs(mode="ignore") makes a mask; give mask=...')
        self.labels = labels
        self.mode = mode
        self.raw = raw if mode == "remove" else None
        self.mask = mask if mode == "ignore" else None
        self.blob = blob

    def setup(self) -> None:
        """Say what changes, and offer the mask."""
        self.enable_autoskip()
        spec = id_spec(self, self.labels)
        if self.mask is not None:
            known = spec.copy()
            known.dtype = "uint8"
            known.interpolatable = False
            self.provides(self.mask, known)
        if self.mode == "remove":
            self.updates(self.labels, spec)
        if self.raw is not None:
            image = self.spec[self.raw].copy()
            if image.voxel_size != spec.voxel_size:
                raise ValueError(
                    f"{self.name()} needs a label for each voxel of {self.raw}, which are of "
                    f"{image.voxel_size}, but those of {self.labels} are of {spec.voxel_size}"
                )
            self.updates(self.raw, image)

    def prepare(self, request: BatchRequest) -> BatchRequest:
        """Need the labels wherever something changes, as far as there are any."""
        needed = BatchRequest()
        for key in (self.labels, self.raw):
            if key is not None and key in request:
                needed[key] = request[key].copy()
        for key in (self.raw, self.mask):
            if key is None or key not in request:
                continue
            there = request[key].region
            if key == self.raw:
                there = self._labelled(there)
                if there.empty:
                    continue
            if self.labels in needed:
                needed[self.labels].update_with(ArraySpec(roi=there))
            else:
                needed[self.labels] = ArraySpec(roi=there)
        return needed

    def _labelled(self, roi: Roi) -> Roi:
        there = self.spec[self.labels].roi
        return roi if there is None else roi.intersect(there)

    def process(self, batch: Batch, request: BatchRequest) -> Batch:
        """Look for blobs."""
        made = Batch()
        if self.mask is not None and self.mask in request:
            labels = batch[self.labels].crop(request[self.mask].region, copy=False)
            spec = self.spec[self.mask].copy()
            spec.roi = labels.spec.roi
            made[self.mask] = Array(is_listed(labels.view, [self.blob], 0, 1), spec)
        if self.raw is not None and self.raw in request:
            made[self.raw] = self._without(batch, self.raw, request[self.raw].region)
        if self.mode == "remove" and self.labels in request:
            labels = batch[self.labels]
            data = replace_listed(labels.view, [self.blob], 0)
            made[self.labels] = Array(data, labels.spec, dict(labels.attrs))
        return made

    def _without(self, batch: Batch, raw: ArrayKey, roi: Roi) -> Array:
        """The image without blobs."""
        image = batch[raw].crop(roi)
        there = self._labelled(roi)
        if not there.empty:
            labels = batch[self.labels].crop(there, copy=False).view
            where: Any = voxel_slices(there, roi.offset, image.spec.grid)
            blobs = is_listed(labels, [self.blob]).view(bool)
            np.copyto(image.data[(..., *where)], 0, where=blobs)
        return image
