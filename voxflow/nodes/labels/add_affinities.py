"""Which neighbours belong together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.ops.affinities import affinities, affinities_mask, parse_neighborhood, reach
from voxflow.pipeline.data import Array, ArraySpec, Batch, BatchRequest
from voxflow.pipeline.data.kinds import Affinities
from voxflow.pipeline.engine import BatchFilter
from voxflow.pipeline.geometry import Coordinate

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    from numpy.typing import DTypeLike

    from voxflow.pipeline.data import ArrayKey


class AddAffinities(BatchFilter):
    """Adds affinities: for every voxel, whether a neighbour is of the same object.

    ``affinities[e, x] = 1`` if ``labels[x] == labels[x + affinity_neighborhood[e]]`` and both are
    of an object, else 0. The node asks for as many labels around as the neighbourhood reaches, so
    that affinities do not depend on where a block ends. The vectors are kept in
    `batch.affinity_neighborhood` and in the attribute ``affinity_neighborhood`` of the array. They
    are declared in its spec, so that nodes downstream that mirror or transpose heed them.

    Parameters
    ----------
    affinity_neighborhood
        One vector in voxels for each channel, with an entry for each spatial axis.
    labels
        The array of ids, 0 being the background.
    affinities
        The array to make, with a leading channel axis.
    labels_mask
        Where it is 0, labels are not to be trained on: affinities from or to there are masked out.
    unlabelled
        Where it is 0, there is no label: affinities between two such voxels are masked out.
    affinities_mask
        The array to make that is 1 where an affinity is known; without masks that is everywhere.
    dtype
        The dtype of affinities and mask.

    Raises
    ------
    ValueError, TypeError
        If the vectors are not of one length, or not whole. At setup: if they have not as many
        entries as the labels have spatial axes, if labels are not integers, if a mask has other
        voxels than the labels, or if the labels are too small for any affinity.

    Examples
    --------
    >>> import voxflow as gp
    >>> labels, affs = gp.ArrayKey("LABELS"), gp.ArrayKey("AFFINITIES")
    >>> ids = np.array([7, 7, 0, 5, 5, 5])
    >>> line = gp.ArraySource(labels, ids, spec=gp.ArraySpec(voxel_size=(4,)))
    >>> with gp.build(line + gp.AddAffinities([[-1], [-2]], labels, affs)) as pipeline:
    ...     print(pipeline.spec[affs].roi)
    ...     pipeline.request_batch(gp.BatchRequest({affs: gp.Roi((8,), (16,))}))[affs].data
    [8:24] (16)
    array([[0, 0, 1, 1],
           [0, 0, 0, 1]], dtype=uint8)
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
        self._check(spec)
        self._around = below, above = self._reach(spec.grid)
        if spec.roi is not None:
            spec.roi = spec.roi.grow(-below, -above)
            if spec.roi.empty:
                raise ValueError(
                    f"{self.name()} looks {below} below and {above} above each voxel, but "
                    f"{self.labels} are only {self.spec[self.labels].roi} (world units)"
                )
        spec.dtype = self.dtype
        spec.interpolatable = False
        spec.kind = Affinities(self.affinity_neighborhood)
        self.provides(self.affinities, spec)
        if self.affinities_mask is not None:
            self.provides(self.affinities_mask, spec)

    def _check(self, spec: ArraySpec) -> None:
        dims = self.affinity_neighborhood.shape[1]
        if spec.voxel_size is None or len(spec.voxel_size) != dims:
            raise ValueError(
                f"{self.name()}: the neighbourhood has {dims} entries in each vector, but "
                f"{self.labels} has voxels of {spec.voxel_size}; they need one for each axis"
            )
        if spec.dtype is not None and spec.dtype.kind not in "uib":
            raise TypeError(
                f"{self.name()} compares ids, but {self.labels} is {spec.dtype}; put AsType "
                "upstream"
            )
        for mask in (self.labels_mask, self.unlabelled):
            if mask is not None and self.spec[mask].voxel_size != spec.voxel_size:
                raise ValueError(
                    f"{self.name()} needs a mask for each voxel of {self.labels}, which are of "
                    f"{spec.voxel_size}, but those of {mask} are of {self.spec[mask].voxel_size}"
                )

    def _reach(self, voxel_size: Coordinate) -> tuple[Coordinate, Coordinate]:
        """How far the neighbourhood looks below and above, in world units."""
        below, above = reach(self.affinity_neighborhood)
        return Coordinate(below) * voxel_size, Coordinate(above) * voxel_size

    def prepare(self, request: BatchRequest) -> BatchRequest:
        """Need the labels, and masks where a mask is asked for, around what is asked for."""
        needed = BatchRequest()
        for key in self._made(request):
            around = ArraySpec(roi=request[key].region.grow(*self._around))
            for source in self._sources(key):
                if source in needed:
                    needed[source].update_with(around)
                else:
                    needed[source] = around
        return needed

    def _made(self, request: BatchRequest) -> list[ArrayKey]:
        return [key for key in self.provided_items if key in request]

    def _sources(self, key: ArrayKey) -> list[ArrayKey]:
        """What one of the two results is made from."""
        if key == self.affinities:
            return [self.labels]
        masks = [mask for mask in (self.labels_mask, self.unlabelled) if mask is not None]
        return masks or [self.labels]  # for their shape

    def working_bytes(self, request: Any, given: Any, made: Any) -> int:
        """Nothing besides."""
        return 0

    def process(self, batch: Batch, request: BatchRequest) -> Batch:
        """Compare neighbours."""
        made = Batch()
        made.affinity_neighborhood = self.affinity_neighborhood.copy()
        for key in self._made(request):
            around = request[key].region.grow(*self._around)
            parts = {k: batch[k].crop(around, copy=False).view for k in self._sources(key)}
            spec = self.spec[key].copy()
            spec.roi = request[key].roi
            attrs = {"affinity_neighborhood": self.affinity_neighborhood.tolist()}
            made[key] = Array(self._data(key, parts), spec, attrs)
        return made

    def _data(
        self, key: ArrayKey, parts: dict[ArrayKey, np.ndarray[Any, Any]]
    ) -> np.ndarray[Any, Any]:
        if key == self.affinities:
            return affinities(parts[self.labels], self.affinity_neighborhood, self.dtype)
        labels_mask = None if self.labels_mask is None else parts[self.labels_mask]
        unlabelled = None if self.unlabelled is None else parts[self.unlabelled]
        if labels_mask is None and unlabelled is None:
            labels_mask = np.ones(parts[self.labels].shape, bool)
        return affinities_mask(self.affinity_neighborhood, labels_mask, unlabelled, self.dtype)


def seg_to_affgraph(
    seg: npt.NDArray[Any], nhood: Sequence[Sequence[int]] | npt.NDArray[Any]
) -> npt.NDArray[np.int32]:
    """Affinities of a whole label array, for nodes of your own; 0 where the neighbour lies outside.

    Parameters
    ----------
    seg
        Ids, 0 being the background.
    nhood
        One vector in voxels for each channel, with an entry for each axis of the labels.

    Returns
    -------
    numpy.ndarray
        Shape (channels, \\*labels), int32, values 0 and 1.

    Examples
    --------
    >>> seg_to_affgraph(np.array([7, 7, 0, 5, 5]), [[-1]])
    array([[0, 1, 0, 0, 1]], dtype=int32)
    """
    padding = list(zip(*reach(nhood), strict=True))
    return affinities(np.pad(seg, padding), nhood, np.int32)
