"""Which neighbours belong together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.ops.affinities import affinities, affinities_mask, parse_neighborhood, reach
from voxflow.pipeline.data import Array, ArraySpec, Batch, BatchRequest
from voxflow.pipeline.engine import BatchFilter
from voxflow.pipeline.geometry import Coordinate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import DTypeLike

    from voxflow.pipeline.data import ArrayKey


class AddAffinities(BatchFilter):
    """Adds affinities: for every voxel, whether a neighbour is of the same object.

    ``affinities[e, x] = 1`` if ``labels[x] == labels[x + affinity_neighborhood[e]]`` and both are
    of an object, else 0. The node asks for as many labels around as the neighbourhood reaches, so
    that affinities do not depend on where a block ends. The vectors are kept in
    `batch.affinity_neighborhood` and in the attribute ``affinity_neighborhood`` of the array.

    Parameters
    ----------
    affinity_neighborhood
        One vector in voxels for each channel, with an entry for each spatial axis.
    labels
        The array of ids, 0 being the background.
    affinities
        The array to make, with a leading channel axis.
    labels_mask
        Where it is 0, labels are not to be trained on.
    unlabelled
        Where it is 0, there is no label: affinities between two such voxels are masked out.
    affinities_mask
        The array to make that is 1 where an affinity is known.
    dtype
        The dtype of affinities and mask.

    Raises
    ------
    ValueError, TypeError
        If the vectors are not of one length, or not whole. At setup: if they have not as many
        entries as the labels have spatial axes.
    """

    def __init__(
        self,
        affinity_neighborhood: Sequence[Sequence[int]],
        labels: ArrayKey,
        affinities: ArrayKey,
        labels_mask: ArrayKey | None = None,
        unlabelled: ArrayKey | None = None,
        affinities_mask: ArrayKey | None = None,
        dtype: DTypeLike = np.uint8,
    ) -> None:
        self.affinity_neighborhood = parse_neighborhood(affinity_neighborhood)
        self.labels = labels
        self.affinities = affinities
        self.labels_mask = labels_mask
        self.unlabelled = unlabelled
        self.affinities_mask = affinities_mask
        self.dtype = np.dtype(dtype)

    def setup(self) -> None:
        """Offer affinities where all neighbours are known."""
        self.enable_autoskip()
        spec = self.spec[self.labels].copy()
        dims = self.affinity_neighborhood.shape[1]
        if spec.voxel_size is None or len(spec.voxel_size) != dims:
            raise ValueError(
                f"{self.name()}: the neighbourhood has {dims} entries in each vector, but "
                f"{self.labels} has voxels of {spec.voxel_size}; they need one for each axis"
            )
        if spec.roi is not None:
            below, above = self._reach(spec.voxel_size)
            spec.roi = spec.roi.grow(-below, -above)
        spec.dtype = self.dtype
        spec.interpolatable = False
        self.provides(self.affinities, spec)
        if self.affinities_mask is not None:
            self.provides(self.affinities_mask, spec)

    def _reach(self, voxel_size: Coordinate) -> tuple[Coordinate, Coordinate]:
        below, above = reach(self.affinity_neighborhood)
        return Coordinate(below) * voxel_size, Coordinate(above) * voxel_size

    def prepare(self, request: BatchRequest) -> BatchRequest:
        """Need the labels around what is asked for."""
        key = self.affinities if self.affinities in request else self.affinities_mask
        roi = request[key].region  # type: ignore[index]
        grown = ArraySpec(roi=roi.grow(*self._reach(self.spec[self.labels].grid)))
        needed = BatchRequest()
        needed[self.labels] = grown
        if self._wants_mask(request):
            for mask in (self.labels_mask, self.unlabelled):
                if mask is not None:
                    needed[mask] = grown
        return needed

    def _wants_mask(self, request: BatchRequest) -> bool:
        return self.affinities_mask is not None and self.affinities_mask in request

    def process(self, batch: Batch, request: BatchRequest) -> Batch:
        """Compare neighbours."""
        made = Batch()
        made.affinity_neighborhood = self.affinity_neighborhood.copy()
        if self.affinities in request:
            data = affinities(batch[self.labels].data, self.affinity_neighborhood, self.dtype)
            made[self.affinities] = self._array(data, self.affinities, request)
        if self.affinities_mask is not None and self._wants_mask(request):
            data = self._mask(batch, request[self.affinities_mask].roi)
            made[self.affinities_mask] = self._array(data, self.affinities_mask, request)
        return made

    def _mask(self, batch: Batch, roi: Any) -> np.ndarray[Any, Any]:
        if self.labels_mask is None and self.unlabelled is None:
            shape = tuple(roi.shape / self.spec[self.labels].voxel_size)
            return np.ones((len(self.affinity_neighborhood), *shape), self.dtype)
        return affinities_mask(
            self.affinity_neighborhood,
            labels_mask=None if self.labels_mask is None else batch[self.labels_mask].data,
            unlabelled=None if self.unlabelled is None else batch[self.unlabelled].data,
            dtype=self.dtype,
        )

    def _array(self, data: np.ndarray[Any, Any], key: ArrayKey, request: BatchRequest) -> Array:
        spec = self.spec[key].copy()
        spec.roi = request[key].roi
        vectors = self.affinity_neighborhood.tolist()
        return Array(data, spec, {"affinity_neighborhood": vectors})
