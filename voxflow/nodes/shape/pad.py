"""Offer more than there is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from voxflow.nodes.shape.padded import Padded
from voxflow.ops.holds import holds
from voxflow.pipeline.data import Array, ArrayKey, Batch, BatchRequest
from voxflow.pipeline.engine import BatchFilter
from voxflow.pipeline.geometry import Coordinate, Roi, voxel_slices

if TYPE_CHECKING:
    from voxflow.pipeline.data import ArraySpec, Key

_MODES = ("constant", "reflect", "symmetric", "edge", "border-mean")


class Pad(BatchFilter):
    """Enlarges the region in which an array or a graph is offered, and fills what is not there.

    Parameters
    ----------
    key
        The array or graph. Graphs only get a larger region.
    size
        By how much the region grows at both ends of each axis: world units, one number or one for
        each axis; None: without bounds (also for a single axis).
    mode
        "constant" fills with `value`; "reflect" mirrors the array at its border voxel, which is
        not repeated (as `numpy.pad`), as often as it takes; "symmetric" mirrors it with the border
        voxel repeated; "edge" repeats the border voxel; "border-mean" fills with the mean of all
        voxels at the border of what there is, for each channel. For that the whole array is read,
        at each request that reaches beyond it.
    value
        The value for "constant"; None: 0.

    Raises
    ------
    ValueError
        If the mode is unknown or a size negative. At setup: if the array has no region, the
        padding is not a whole number of voxels, or the dtype cannot hold `value`.

    Examples
    --------
    >>> import voxflow as gp
    >>> raw = gp.ArrayKey("RAW")
    >>> line = gp.ArraySource(raw, np.array([1, 2, 3]), spec=gp.ArraySpec(voxel_size=(4,)))
    >>> request = gp.BatchRequest({raw: gp.Roi((-8,), (20,))})
    >>> with gp.build(line + gp.Pad(raw, None, mode="reflect")) as pipeline:
    ...     pipeline.request_batch(request)[raw].data
    array([3, 2, 1, 2, 3])
    """

    only_fills: ClassVar[bool] = True

    def __init__(
        self,
        key: Key,
        size: Any,
        mode: str = "constant",
        value: float | None = None,
    ) -> None:
        if mode not in _MODES:
            raise ValueError(f"mode has to be one of {', '.join(_MODES)}, got {mode!r}")
        sizes = Coordinate(size if np.iterable(size) else (size,))
        if any(s is not None and s < 0 for s in sizes):
            raise ValueError(f"Pad makes regions larger, got size={size}; Crop makes them smaller")
        self.key = key
        self.size = sizes if np.iterable(size) else sizes[0]
        self.mode = mode
        self.value = 0 if value is None else value

    def setup(self) -> None:
        """Offer the larger region."""
        spec: Any = self.spec[self.key].copy()
        if spec.roi is None:
            raise ValueError(f"{self.name()} cannot pad {self.key}, which has no region")
        size = self._sizes(spec.roi.dims)
        self._there = spec.roi
        if isinstance(self.key, ArrayKey):
            self._check_array(spec, size)
            self._on_grid: Roi = spec.roi.snap_to_grid(spec.voxel_size, "shrink")
        spec.roi = spec.roi.grow(size, size)
        self.updates(self.key, spec)

    def _sizes(self, dims: int) -> Coordinate:
        size = self.size if isinstance(self.size, Coordinate) else Coordinate((self.size,) * dims)
        if len(size) != dims:
            raise ValueError(
                f"{self.name()} got size={size} for {self.key}, which has {dims} axes; give one "
                "number, or one for each axis"
            )
        return size

    def _check_array(self, spec: Any, size: Coordinate) -> None:
        if spec.voxel_size is None:
            raise ValueError(f"{self.name()} cannot pad {self.key}, which has no voxel size")
        if any(s is not None and s % v for s, v in zip(size, spec.voxel_size, strict=True)):
            raise ValueError(
                f"{self.name()} is to pad {self.key} by {size} world units, which is not a whole "
                f"number of its voxels of {spec.voxel_size}; give a multiple of that"
            )
        if self.mode == "border-mean" and spec.roi.unbounded:
            raise ValueError(f"{self.name()} cannot tell the border of {self.key}: it has no end")
        check_fill(self, self.key, spec, self.mode, self.value)

    def skip_node(self, request: BatchRequest) -> bool:
        """Not asked for; the region of a placeholder may reach beyond what there is, too."""
        return self.key not in request

    def prepare(self, request: BatchRequest) -> BatchRequest:
        """Need what there is of the region."""
        needed = BatchRequest()
        needed[self.key] = request[self.key].copy()
        if isinstance(self.key, ArrayKey) and not request[self.key].placeholder:
            needed[self.key].roi = self._array_source(request[self.key].region)
        else:
            needed[self.key].roi = _part(request[self.key].region, self._there)
        # The part outside must not go upstream with the rest of the request.
        request[self.key].roi = needed[self.key].roi
        return needed

    def working_bytes(self, request: Any, given: Any, made: Any) -> int:
        """Nothing besides."""
        return 0

    def process(self, batch: Batch, request: BatchRequest) -> Batch:
        """Fill what is not there."""
        made = Batch()
        if self.key not in request:  # a placeholder
            return made
        roi = request[self.key].region
        if isinstance(self.key, ArrayKey):
            array = batch[self.key]
            if array.spec.roi != roi:
                spec = array.spec.copy()
                spec.roi = roi
                array = Array(self._filled(array, roi), spec, dict(array.attrs))
            made[self.key] = array
        else:
            graph = batch[self.key].copy()
            graph.spec.roi = roi
            made[self.key] = graph
        return made

    def _array_source(self, asked: Roi) -> Roi:
        """The part of what is there that is needed; one voxel at least, which tells channels."""
        there: Roi = self._on_grid
        if there.contains(asked):
            return asked
        if self.mode == "border-mean":
            return there
        overlap = asked.intersect(there)
        if self.mode == "constant" and not overlap.empty:
            return overlap
        indices, voxel_size = self._indices(asked)
        begin = Coordinate(int(i.min()) for i in indices)
        end = Coordinate(int(i.max()) + 1 for i in indices)
        return Roi(begin * voxel_size, (end - begin) * voxel_size)

    def _indices(self, asked: Roi) -> tuple[list[np.ndarray[Any, Any]], Coordinate]:
        """Per axis, from which voxel each voxel of a region comes; counted from world 0."""
        spec: Any = self.spec[self.key]
        voxel_size: Coordinate = spec.voxel_size
        there = self._on_grid / voxel_size
        indices = []
        for low, extent, wanted in zip(
            there.begin, there.shape, _voxels(asked, voxel_size), strict=True
        ):
            if extent is None:
                indices.append(wanted)
            elif self.mode == "reflect":
                indices.append(low + _folded(wanted - low, extent))
            elif self.mode == "symmetric":
                indices.append(low + _repeated(wanted - low, extent))
            else:
                indices.append(np.clip(wanted, low, low + extent - 1))
        return indices, voxel_size

    def _filled(self, array: Array, roi: Roi) -> np.ndarray[Any, Any] | Padded:
        if self.mode in ("reflect", "symmetric", "edge"):
            return self._taken(array, roi)
        spec: Any = array.spec.copy()
        if self.mode == "constant":
            spec.dtype = array.dtype  # a provider need not say it before
            check_fill(self, self.key, spec, self.mode, self.value)
        shape = (*array.shape[: len(array.shape) - roi.dims], *(roi.shape / spec.voxel_size))
        fill: Any = self.value
        if self.mode == "border-mean":
            fill = border_mean(array.view, roi.dims)[(..., *(None,) * roi.dims)]
        inside = roi.intersect(spec.roi)
        if inside.empty:
            data = np.empty(shape, array.dtype)
            data[...] = fill
            return data
        place = voxel_slices(inside, roi.offset, spec.voxel_size)
        settled = array.settle()
        middle = array.placed(spec).crop(inside, copy=False)
        padded = Padded(middle, shape, place, fill)
        return padded if settled else padded.make()

    def _taken(self, array: Array, roi: Roi) -> np.ndarray[Any, Any]:
        indices, voxel_size = self._indices(roi)
        first = array.spec.region.begin / voxel_size
        local = [i - f for i, f in zip(indices, first, strict=True)]
        lead = (slice(None),) * (len(array.shape) - len(local))
        return array.view[lead + np.ix_(*local)]


def _part(asked: Roi, there: Roi) -> Roi:
    """What is there of a region; if nothing is, an empty region at a place that is."""
    overlap = asked.intersect(there)
    if not overlap.empty:
        return overlap
    at = (a if b is None else b for a, b in zip(asked.begin, there.begin, strict=True))
    return Roi(at, (0,) * there.dims)


def _voxels(roi: Roi, voxel_size: Coordinate) -> list[np.ndarray[Any, Any]]:
    inside = roi / voxel_size
    return [np.arange(b, e) for b, e in zip(inside.begin, inside.end, strict=True)]


def _folded(index: np.ndarray[Any, Any], size: int) -> np.ndarray[Any, Any]:
    """Mirror indices into ``0 ... size - 1``, without repeating the border."""
    if size == 1:
        return np.zeros_like(index)
    period = 2 * (size - 1)
    index = index % period
    folded: np.ndarray[Any, Any] = np.minimum(index, period - index)
    return folded


def _repeated(index: np.ndarray[Any, Any], size: int) -> np.ndarray[Any, Any]:
    """Mirror indices into ``0 ... size - 1``, with the border repeated."""
    index = index % (2 * size)
    repeated: np.ndarray[Any, Any] = np.minimum(index, 2 * size - 1 - index)
    return repeated


def border_mean(data: np.ndarray[Any, Any], dims: int) -> np.ndarray[Any, Any]:
    """The mean of all voxels at the border of the last `dims` axes, one for each channel.

    Integers are rounded to the nearest.

    Examples
    --------
    >>> border_mean(np.array([[1.0, 2, 3], [4, 100, 5], [6, 7, 8]]), 2)
    array(4.5)
    """
    border = np.ones(data.shape[data.ndim - dims :], bool)
    border[(slice(1, -1),) * dims] = False
    mean = data[..., border].mean(-1, dtype=np.float64)
    return np.asarray(mean if data.dtype.kind == "f" else np.rint(mean)).astype(data.dtype)


def check_fill(node: BatchFilter, key: Key, spec: ArraySpec, mode: str, value: float) -> None:
    """Raise if an array cannot be filled by its mean, or its dtype cannot hold the value."""
    if mode == "border-mean" and spec.interpolatable is False:
        raise ValueError(f"{node.name()}: {key} holds labels, which have no mean")
    if spec.dtype is not None and not holds(spec.dtype, value):
        raise ValueError(
            f"{node.name()} is to fill {key} with {value}, which {spec.dtype} cannot "
            "hold; give another value, or put AsType or Normalize upstream"
        )
