"""Arrays that are in memory already, or that read themselves."""

from __future__ import annotations

from typing import Any

import numpy as np

from voxflow.nodes.sources.kinds import guess_interpolatable
from voxflow.pipeline.data import Array, ArrayKey, ArraySpec, Batch, BatchRequest
from voxflow.pipeline.engine import BatchProvider
from voxflow.pipeline.geometry import Coordinate, Roi


class ArraySource(BatchProvider):
    """Offers one array from memory, or from anything that is indexed like an array.

    Parameters
    ----------
    key
        The name under which the array is offered.
    array
        A `voxflow.Array`; or an object with `roi`, `voxel_size`, `dtype` that is read by
        ``array[roi]`` (such as those of funlib.persistence); or, together with `spec`, anything
        with `shape`, `dtype` and slicing (numpy, h5py, zarr, dask), whose last axes are spatial.
    interpolatable
        Whether values between voxels mean something. None: what the array's spec says, or else
        True for floating point and uint8.
    spec
        Where an array without a spec of its own lies: its `voxel_size`, and its `roi` or nothing,
        which places it at the origin.

    Raises
    ------
    TypeError
        If the array says nothing of its place and there is no `spec`.
    ValueError
        If array and spec do not fit together.

    Examples
    --------
    >>> raw = ArrayKey("RAW")
    >>> source = ArraySource(raw, np.zeros((4, 6)), spec=ArraySpec(voxel_size=(9.8, 2)))
    >>> source.array_spec.roi
    [0:39.2, 0:12] (39.2, 12)
    """

    def __init__(
        self,
        key: ArrayKey,
        array: Any,
        interpolatable: bool | None = None,
        *,
        spec: ArraySpec | None = None,
    ) -> None:
        self.key = key
        self.array = array
        self.array_spec = _spec_of(array, spec)
        if interpolatable is not None:
            self.array_spec.interpolatable = interpolatable
        elif self.array_spec.interpolatable is None:
            self.array_spec.interpolatable = guess_interpolatable(self.array_spec.dtype)

    def setup(self) -> None:
        """Offer the array."""
        self.provides(self.key, self.array_spec)

    def provide(self, request: BatchRequest) -> Batch:
        """Read the region that is asked for."""
        batch = Batch()
        if self.key not in request:
            return batch
        spec = self.spec[self.key].copy()
        if not spec.nonspatial:
            spec.roi = request[self.key].roi
        batch[self.key] = Array(self._read(spec), spec, self._attrs())
        return batch

    def _attrs(self) -> dict[str, Any]:
        return dict(self.array.attrs) if isinstance(self.array, Array) else {}

    def _read(self, spec: ArraySpec) -> np.ndarray[Any, Any]:
        # Always a copy: nodes downstream may write into what they get.
        if isinstance(self.array, Array):
            return self.array.data.copy() if spec.roi is None else self.array.crop(spec.roi).data
        if hasattr(self.array, "roi"):
            part = self.array[spec.roi]
            return np.array(part.to_ndarray() if hasattr(part, "to_ndarray") else part)
        if spec.roi is None or spec.voxel_size is None or self.array_spec.roi is None:
            return np.array(self.array[...])
        region = (spec.roi - self.array_spec.roi.offset) / spec.voxel_size
        return np.array(self.array[(..., *region.to_slices())])


def _spec_of(array: Any, spec: ArraySpec | None) -> ArraySpec:
    if spec is None:
        if isinstance(array, Array):
            found = array.spec.copy()
        elif hasattr(array, "roi") and hasattr(array, "voxel_size"):
            found = ArraySpec(roi=array.roi, voxel_size=array.voxel_size)
        else:
            raise TypeError(
                f"a {type(array).__name__} does not say where it lies; give "
                "spec=ArraySpec(voxel_size=...), or pass Array(data, ArraySpec(roi, voxel_size))"
            )
    else:
        found = spec.copy()
        if found.roi is None and not found.nonspatial:
            found.roi = _roi_at_origin(array, found.voxel_size)
        _check_shape(array.shape, found)
    found.dtype = array.data.dtype if isinstance(array, Array) else array.dtype
    return found


def _roi_at_origin(array: Any, voxel_size: Coordinate | None) -> Roi:
    if voxel_size is None:
        raise ValueError("the spec of a spatial array needs a voxel_size; a nonspatial one says so")
    shape = Coordinate(array.shape[len(array.shape) - len(voxel_size) :])
    return Roi((0,) * len(voxel_size), shape * voxel_size)


def _check_shape(shape: tuple[int, ...], spec: ArraySpec) -> None:
    if spec.roi is None or spec.voxel_size is None or spec.roi.unbounded:
        return
    wanted = tuple(spec.roi.shape / spec.voxel_size)
    if tuple(shape[len(shape) - len(wanted) :]) != wanted:
        raise ValueError(
            f"an array of shape {tuple(shape)} does not fill {spec.roi} with voxels of "
            f"{spec.voxel_size}: its last axes have to be {wanted}"
        )
