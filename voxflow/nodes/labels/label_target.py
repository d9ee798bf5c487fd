"""What nodes have in common that make an array from labels, looking some way around each voxel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.pipeline.data import Array, ArrayKey, ArraySpec, Batch, BatchRequest
from voxflow.pipeline.engine import BatchFilter
from voxflow.pipeline.geometry import Coordinate, voxel_slices

if TYPE_CHECKING:
    from collections.abc import Callable

    from voxflow.pipeline.data.kinds import Kind
    from voxflow.pipeline.geometry import Roi

Voxels = np.ndarray[Any, Any]


class LabelTarget(BatchFilter):
    """Makes `target` from `labels`. Subclasses say how far they look, and how it is made.

    The labels are asked for around the region too, as far as there are any.

    Attributes
    ----------
    labels
        The array of ids.
    target
        The array to make.

    Examples
    --------
    >>> import voxflow as gp
    >>> class Foreground(LabelTarget):
    ...     dtype = np.dtype(np.uint8)
    ...
    ...     def __init__(self, labels, target):
    ...         self.labels, self.target = labels, target
    ...
    ...     def reach(self, voxel_size):
    ...         return gp.Coordinate((0,) * len(voxel_size))
    ...
    ...     def make(self, labels, region, voxel_size):
    ...         return (labels[region] != 0).astype(self.dtype)
    >>> labels, fore = gp.ArrayKey("LABELS"), gp.ArrayKey("FORE")
    >>> line = gp.ArraySource(labels, np.array([7, 0, 5]), spec=gp.ArraySpec(voxel_size=(4,)))
    >>> with gp.build(line + Foreground(labels, fore)) as pipeline:
    ...     pipeline.request_batch(gp.BatchRequest({fore: gp.Roi((4,), (8,))}))[fore].data
    array([0, 1], dtype=uint8)
    """

    labels: ArrayKey
    target: ArrayKey
    dtype: np.dtype[Any]
    interpolatable: bool = False
    kind: Kind | None = None

    def reach(self, voxel_size: Coordinate) -> Coordinate:
        """How many voxels around a voxel are looked at, along each axis."""
        raise NotImplementedError

    def make(self, labels: Voxels, region: tuple[slice, ...], voxel_size: Coordinate) -> Voxels:
        """The target for a region of labels, of which the rest is what lies around.

        Parameters
        ----------
        labels
            Shape (\\*spatial); of labels with channels one at a time. They must not be changed.
        region
            A slice for each axis.
        voxel_size
            World units.

        Returns
        -------
        numpy.ndarray
            Of `dtype`, shape (\\*channels, \\*region).
        """
        raise NotImplementedError

    def setup(self) -> None:
        """Offer the target where the labels are."""
        self.enable_autoskip()
        spec = id_spec(self, self.labels)
        self.check(spec)
        spec.dtype = self.dtype
        spec.interpolatable = self.interpolatable
        spec.kind = self.kind
        self.provides(self.target, spec)

    def check(self, spec: ArraySpec) -> None:
        """Raise if the node cannot work with labels of this spec."""

    def prepare(self, request: BatchRequest) -> BatchRequest:
        """Need the labels around what is asked for."""
        needed = BatchRequest()
        needed[self.labels] = ArraySpec(roi=self._around(request[self.target].region))
        return needed

    def _around(self, roi: Roi) -> Roi:
        spec = self.spec[self.labels]
        return region_around(roi, self.reach(spec.grid), spec)

    def process(self, batch: Batch, request: BatchRequest) -> Batch:
        """Make the target."""
        roi = request[self.target].region
        labels = batch[self.labels].crop(self._around(roi), copy=False)
        voxel_size = labels.spec.grid
        region = voxel_slices(roi, labels.spec.region.offset, voxel_size)
        spec = self.spec[self.target].copy()
        spec.roi = roi
        made = Batch()
        data = by_channel(roi.dims, lambda ids: self.make(ids, region, voxel_size), labels.view)
        made[self.target] = Array(data, spec)
        return made


def id_spec(node: BatchFilter, key: ArrayKey) -> ArraySpec:
    """A copy of the spec of labels.

    Raises
    ------
    TypeError
        If they are not integers.
    ValueError
        If they have no voxels.
    """
    spec = node.spec[key].copy()
    if spec.dtype is not None:
        check_ids(node, key, spec.dtype)
    if spec.voxel_size is None:
        raise ValueError(f"{node.name()} works on voxels, and {key} has none: it is nonspatial")
    return spec


def check_ids(node: BatchFilter, key: ArrayKey, dtype: np.dtype[Any]) -> None:
    """Raise `TypeError` if labels are not integers."""
    if dtype.kind not in "uib":
        raise TypeError(f"{node.name()} works on ids, but {key} is {dtype}; put AsType upstream")


def region_around(roi: Roi, reach: Coordinate, spec: ArraySpec) -> Roi:
    """A region with so many voxels around it, as far as there are any."""
    grown = roi.grow(reach * spec.grid, reach * spec.grid)
    return grown if spec.roi is None else grown.intersect(spec.roi)


def by_channel(dims: int, change: Callable[..., Voxels], *arrays: Voxels) -> Voxels:
    """What a function makes of each channel of arrays, whose last `dims` axes are spatial."""
    lead = arrays[0].shape[: arrays[0].ndim - dims]
    if not lead:
        return change(*arrays)
    parts = [change(*(data[index] for data in arrays)) for index in np.ndindex(*lead)]
    return np.stack(parts).reshape(*lead, *parts[0].shape)
