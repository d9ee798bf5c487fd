"""In which direction the boundary lies."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.nodes.labels.label_target import by_channel, id_spec, region_around
from voxflow.ops.faces import face_distances, faces, gradient
from voxflow.pipeline.data import Array, ArraySpec, Batch, BatchRequest
from voxflow.pipeline.data.kinds import Vectors
from voxflow.pipeline.engine import BatchFilter
from voxflow.pipeline.geometry import Coordinate, exact

if TYPE_CHECKING:
    from voxflow.pipeline.data import ArrayKey
    from voxflow.pipeline.geometry import Exact, Roi

Voxels = np.ndarray[Any, Any]

_TINY = 1e-5
"""Gradients shorter than this have no direction."""


class AddBoundaryDistanceGradients(BatchFilter):
    """Adds the gradient of the distance to the nearest boundary between labels.

    A boundary is a face between two neighbours with different labels; distances are to the centres
    of faces, in world units. Background (0) has distance and gradient 0. Where there is no boundary
    at all, both are 0.

    Parameters
    ----------
    label_array_key
        The array of ids.
    gradient_array_key
        The array to make: float32, a leading channel for each axis.
    distance_array_key
        Also make the distances, float32.
    boundary_array_key
        Also make the boundaries, float32, in voxels of half the size along each axis: 0 on a face
        between labels, else 1. Voxel ``i`` of the labels is voxel ``2 * i``.
    normalize
        "l1" or "l2": divide gradients by this norm, unless it is below 1e-5. None: leave them.
    scale
        "exp": multiply them by ``beta * exp(-distance * alpha)``. None: leave them.
    scale_args
        ``(alpha, beta)``.
    max_distance
        Larger distances become this one (world units), and labels are asked for so far around that
        the results do not depend on where a block ends. None: only what lies in the block counts,
        as in gunpowder.

    Raises
    ------
    ValueError
        If `normalize`, `scale`, `scale_args` or `max_distance` are none of these.
    TypeError
        At setup: if the labels are not integers.

    Examples
    --------
    >>> import voxflow as gp
    >>> labels, ways = gp.ArrayKey("LABELS"), gp.ArrayKey("GRADIENTS")
    >>> ids = np.array([7, 7, 7, 7, 5, 5, 5, 0])
    >>> line = gp.ArraySource(labels, ids, spec=gp.ArraySpec(voxel_size=(4,)))
    >>> add = gp.contrib.AddBoundaryDistanceGradients(labels, ways, normalize="l2")
    >>> with gp.build(line + add) as pipeline:
    ...     pipeline.request_batch(gp.BatchRequest({ways: gp.Roi((0,), (32,))}))[ways].data
    array([[-1., -1., -1., -1.,  1.,  0., -1.,  0.]], dtype=float32)
    """

    def __init__(
        self,
        label_array_key: ArrayKey,
        gradient_array_key: ArrayKey,
        distance_array_key: ArrayKey | None = None,
        boundary_array_key: ArrayKey | None = None,
        normalize: str | None = None,
        scale: str | None = None,
        scale_args: tuple[float, float] | None = None,
        *,
        max_distance: Exact | float | None = None,
    ) -> None:
        if normalize not in (None, "l1", "l2"):
            raise ValueError(f'normalize has to be "l1", "l2" or None, got {normalize!r}')
        if scale not in (None, "exp"):
            raise ValueError(f'scale has to be "exp" or None, got {scale!r}')
        if scale is not None and (scale_args is None or len(scale_args) != 2):
            raise ValueError(f"scale='exp' needs scale_args=(alpha, beta), got {scale_args!r}")
        if max_distance is not None and max_distance <= 0:
            raise ValueError(f"max_distance has to be above 0 (world units), got {max_distance}")
        self.label_array_key = label_array_key
        self.gradient_array_key = gradient_array_key
        self.distance_array_key = distance_array_key
        self.boundary_array_key = boundary_array_key
        self.normalize = normalize
        self.scale = scale
        self.scale_args = scale_args
        self.max_distance = None if max_distance is None else exact(max_distance)

    def setup(self) -> None:
        """Offer what is made where the labels are."""
        self.enable_autoskip()
        spec = id_spec(self, self.label_array_key)
        spec.dtype = np.float32
        spec.interpolatable = False
        gradients = spec.copy()
        gradients.kind = Vectors()
        self.provides(self.gradient_array_key, gradients)
        if self.distance_array_key is not None:
            self.provides(self.distance_array_key, spec.copy())
        if self.boundary_array_key is not None:
            fine = spec.copy()
            fine.voxel_size = spec.grid / 2
            self.provides(self.boundary_array_key, fine)

    def prepare(self, request: BatchRequest) -> BatchRequest:
        """Need the labels."""
        needed = BatchRequest()
        for key in self._made(request):
            around = ArraySpec(roi=self._around(key, request[key].region))
            if self.label_array_key in needed:
                needed[self.label_array_key].update_with(around)
            else:
                needed[self.label_array_key] = around
        return needed

    def _made(self, request: BatchRequest) -> list[ArrayKey]:
        return [key for key in self.provided_items if key in request]

    def _around(self, key: ArrayKey, roi: Roi) -> Roi:
        """Which labels something is made from: for a face, the voxels on both of its sides."""
        spec = self.spec[self.label_array_key]
        if key == self.boundary_array_key:
            return region_around(
                roi.snap_to_grid(spec.grid), Coordinate((1,) * len(spec.grid)), spec
            )
        if self.max_distance is None:
            return roi
        beside = key == self.gradient_array_key
        reach = Coordinate(ceil(self.max_distance / v) + beside for v in spec.grid)
        return region_around(roi, reach, spec)

    def process(self, batch: Batch, request: BatchRequest) -> Batch:
        """Measure."""
        labels, made = batch[self.label_array_key], Batch()
        known: dict[Roi, Voxels] = {}
        for key in self._made(request):
            roi = request[key].region
            around = self._around(key, roi)
            part = labels.crop(around, copy=False).view
            if key == self.boundary_array_key:
                data = by_channel(roi.dims, faces, part)
            else:
                if around not in known:
                    known[around] = by_channel(roi.dims, self._distances, part)
                data = known[around]
                if key == self.gradient_array_key:
                    data = by_channel(roi.dims, self._gradients, part, data)
            spec = self.spec[key].copy()
            spec.roi = around
            made[key] = Array(data, spec).crop(roi, copy=False)
        return made

    def _gradients(self, labels: Voxels, away: Voxels) -> Voxels:
        ways = gradient(away, self._size())
        ways[:, labels == 0] = 0
        if self.normalize is not None:
            ways /= self._norm(ways)
        if self.scale is not None and self.scale_args is not None:
            alpha, beta = self.scale_args
            ways *= beta * np.exp(-away * alpha)
        return ways

    def _size(self) -> list[float]:
        return [float(v) for v in self.spec[self.label_array_key].grid if v is not None]

    def _distances(self, labels: Voxels) -> Voxels:
        away = face_distances(labels, self._size())
        if self.max_distance is not None:
            np.minimum(away, np.float32(self.max_distance), out=away)
        elif away.size and np.isinf(away.flat[0]):  # there is no face at all
            away[...] = 0
        away[labels == 0] = 0
        return away

    def _norm(self, ways: Voxels) -> Voxels:
        if self.normalize == "l1":
            norm = np.abs(ways).sum(axis=0)
        else:
            norm = np.sqrt(np.square(ways).sum(axis=0))
        norm[norm < _TINY] = 1
        return np.asarray(norm)
