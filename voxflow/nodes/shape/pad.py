"""Offer more than there is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.pipeline.data import Array, ArrayKey, Batch, BatchRequest
from voxflow.pipeline.engine import BatchFilter
from voxflow.pipeline.geometry import Coordinate, Roi

if TYPE_CHECKING:
    from voxflow.pipeline.data import Key

_MODES = ("constant", "reflect")


class Pad(BatchFilter):
    """Enlarges the region in which an array or a graph is offered, and fills what is not there.

    Parameters
    ----------
    key
        The array or graph. Graphs only get a larger region.
    size
        By how much the region grows at both ends of each axis: world units, one number or one for
        each axis; None: without bounds.
    mode
        "constant" fills with `value`; "reflect" mirrors the array at its border voxel, which is
        not repeated (as `numpy.pad`), as often as it takes.
    value
        The value for "constant"; None: 0.

    Raises
    ------
    ValueError
        If the mode is unknown. At setup: if the array has no region, or the padding is not a whole
        number of voxels.
    """

    def __init__(
        self,
        key: Key,
        size: Any,
        mode: str = "constant",
        value: float | None = None,
    ) -> None:
        if mode not in _MODES:
            raise ValueError(f"mode has to be one of {', '.join(_MODES)}, got {mode!r}")
        self.key = key
        self.size = size
        self.mode = mode
        self.value = 0 if value is None else value

    def setup(self) -> None:
        """Offer the larger region."""
        self.enable_autoskip()
        spec = self.spec[self.key].copy()
        if spec.roi is None:
            raise ValueError(f"{self.name()} cannot pad {self.key}, which has no region")
        spec.roi = self._padded(spec.roi, getattr(spec, "voxel_size", None))
        self.updates(self.key, spec)

    def _padded(self, roi: Roi, voxel_size: Coordinate | None) -> Roi:
        if self.size is None:
            return Roi((None,) * roi.dims, (None,) * roi.dims)
        size = Coordinate(self.size if np.iterable(self.size) else (self.size,) * roi.dims)
        if voxel_size is not None and not size.is_multiple_of(voxel_size):
            raise ValueError(
                f"{self.name()} is to pad {self.key} by {size} world units, which is not a whole "
                f"number of its voxels of {voxel_size}"
            )
        return roi.grow(size, size)

    def prepare(self, request: BatchRequest) -> BatchRequest:
        """Need what there is of the region."""
        asked, there = request[self.key].roi, self._there()
        needed = BatchRequest()
        needed[self.key] = request[self.key].copy()
        if asked is not None:
            needed[self.key].roi = self._source(asked, there)
        # The part outside must not go upstream with the rest of the request.
        request[self.key].roi = needed[self.key].roi
        return needed

    def process(self, batch: Batch, request: BatchRequest) -> Batch:
        """Fill what is not there."""
        made = Batch()
        roi = request[self.key].roi
        if isinstance(self.key, ArrayKey):
            array = batch[self.key]
            spec = array.spec.copy()
            spec.roi = roi
            made[self.key] = Array(self._filled(array, roi), spec, dict(array.attrs))
        else:
            graph = batch[self.key].copy()
            graph.spec.roi = roi
            made[self.key] = graph
        return made

    def _there(self) -> Roi:
        return self.get_upstream_provider().spec[self.key].region

    def _source(self, asked: Roi, there: Roi) -> Roi:
        """The part of what is there that is needed."""
        if self.mode == "reflect" and isinstance(self.key, ArrayKey):
            voxel_size = self.spec[self.key].voxel_size
            indices = _mirrored(asked, there, voxel_size)
            begin = Coordinate(int(i.min()) for i in indices)
            end = Coordinate(int(i.max()) + 1 for i in indices)
            return Roi(begin * voxel_size + there.begin, (end - begin) * voxel_size)
        overlap = asked.intersect(there)
        return Roi(there.begin, (0,) * there.dims) if overlap.empty else overlap

    def _filled(self, array: Array, roi: Roi | None) -> np.ndarray[Any, Any]:
        have, voxel_size = array.spec.roi, array.spec.voxel_size
        if have is None or voxel_size is None or roi is None or have == roi:
            return array.data
        if self.mode == "reflect":
            there = self._there()
            first = (have.begin - there.begin) / voxel_size
            indices = _mirrored(roi, there, voxel_size)
            local = [i - f for i, f in zip(indices, first, strict=True)]
            lead = array.data.ndim - len(local)
            return array.data[(slice(None),) * lead + np.ix_(*local)]
        begin = (have.begin - roi.begin) / voxel_size
        shape = tuple(roi.shape / voxel_size)
        lead = array.data.ndim - len(shape)
        data = np.full((*array.data.shape[:lead], *shape), self.value, dtype=array.data.dtype)
        inside = [slice(b, b + n) for b, n in zip(begin, array.data.shape[lead:], strict=True)]
        if array.data.size:
            where: Any = (..., *inside)
            data[where] = array.data
        return data


def _mirrored(asked: Roi, there: Roi, voxel_size: Any) -> list[np.ndarray[Any, Any]]:
    """Per axis, from which voxel of what is there each voxel of a region comes."""
    first = (asked.begin - there.begin) / voxel_size
    count = asked.shape / voxel_size
    size = there.shape / voxel_size
    return [_folded(np.arange(f, f + n), s) for f, n, s in zip(first, count, size, strict=True)]


def _folded(index: np.ndarray[Any, Any], size: int) -> np.ndarray[Any, Any]:
    """Mirror indices into ``0 ... size - 1``, without repeating the border."""
    if size == 1:
        return np.zeros_like(index)
    period = 2 * (size - 1)
    index = index % period
    folded: np.ndarray[Any, Any] = np.minimum(index, period - index)
    return folded
