"""Elastic deformation, rotation and scaling in world units."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from voxflow.nodes.augment.augment import probability
from voxflow.nodes.augment.fitting import OnFailure
from voxflow.nodes.augment.own_axes import last_axes, own_total
from voxflow.nodes.augment.spatial import SpatialAugment
from voxflow.ops.maps.deformation import Deformation, draw_rotation
from voxflow.pipeline.data import Array, ArraySpec
from voxflow.pipeline.geometry import Coordinate, Roi

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from voxflow.nodes.augment.moved_graph import Edges
    from voxflow.ops.maps import Map
    from voxflow.pipeline.data import ArrayKey, Batch, BatchRequest


class DeformAugment(SpatialAugment):
    """Deforms, rotates and scales at random, in world units.

    One map is drawn for all that is asked for, whatever the voxel sizes, and every array is
    resampled once. Axes before the last `spatial_dims`, such as time, stay as they are. Control
    points lie in the centres of the cells of a grid of `control_point_spacing`, which begins at the
    origin of the world.

    Parameters
    ----------
    control_point_spacing
        The distance between control points of the deformation, in world units, for each axis.
    jitter_sigma
        The standard deviation of the displacement of control points, in world units, for each axis.
    scale_interval
        The least and greatest magnification; uniform.
    rotate
        Whether to rotate about the centre of all that is asked for: by a random angle in a plane,
        or in three axes such that all rotations are equally likely. World units are true, so
        distances stay what they are, however long voxels or `control_point_spacing` are.
    subsample
        Has no effect: the deformation is never held at full resolution.
    spatial_dims
        How many of the last axes are deformed.
    use_fast_points_transform, recompute_missing_points, graph_raster_voxel_size
        Have no effect: points are moved exactly.
    transform_key
        An array for the displacement of the control points, in world units: jitter and rotation,
        without scale, float32, of shape (axes, control points along each axis) and the voxel size
        `control_point_spacing`. Zeros where the node does nothing.
    p
        The probability with which the node does anything.
    rotation_axes
        The two or three axes that are rotated, counted from 0 among those that are deformed; None:
        all.
    labels
        How labels and masks are resampled, see `SpatialAugment`.
    edges
        What becomes of edges of graphs that leave the region: "keep", "clip" or "drop"; see
        `SpatialAugment`.
    on_failure
        What is done where more would be read than there is, see `SpatialAugment`.

    Raises
    ------
    ValueError
        If numbers do not fit together. At a request: if there are too few axes.
    """

    def __init__(
        self,
        control_point_spacing: Sequence[Any],
        jitter_sigma: Sequence[Any],
        scale_interval: Sequence[float] = (1.0, 1.0),
        rotate: bool = True,
        subsample: int = 1,
        spatial_dims: int = 3,
        use_fast_points_transform: bool = False,
        recompute_missing_points: bool = True,
        transform_key: ArrayKey | None = None,
        graph_raster_voxel_size: Sequence[Any] | None = None,
        p: float = 1.0,
        rotation_axes: Sequence[int] | None = None,
        *,
        labels: Literal["nearest", "majority"] = "nearest",
        edges: Edges = "keep",
        on_failure: OnFailure = "error",
    ) -> None:
        self.control_point_spacing = Coordinate(control_point_spacing)
        self.jitter_sigma = tuple(float(sigma) for sigma in jitter_sigma)
        low, high = float(scale_interval[0]), float(scale_interval[-1])
        self.scale_interval = (low, high)
        self.rotate = rotate
        self.spatial_dims = spatial_dims
        self.rotation_axes = tuple(range(spatial_dims) if rotation_axes is None else rotation_axes)
        self.transform_key = transform_key
        self.p = probability("p", p)
        self._options(edges, on_failure, labels)
        if len(scale_interval) != 2 or not 0 < low <= high:
            raise ValueError(
                f"scale_interval goes from low to high, above 0: {tuple(scale_interval)}"
            )
        self._check_axes(graph_raster_voxel_size)

    def _check_axes(self, raster: Sequence[Any] | None) -> None:
        ndim, spacing, sigma = self.spatial_dims, self.control_point_spacing, self.jitter_sigma
        if not 1 <= ndim <= 3:
            raise ValueError(f"1 to 3 axes can be deformed, not spatial_dims={ndim}")
        if {len(spacing), len(sigma), ndim if raster is None else len(raster)} != {ndim}:
            raise ValueError(
                f"control_point_spacing {spacing}, jitter_sigma {sigma} and "
                f"graph_raster_voxel_size {raster} need one entry for each of spatial_dims={ndim} "
                "axes"
            )
        if any(s is None or s <= 0 for s in spacing) or min(sigma) < 0:
            raise ValueError(
                f"control_point_spacing {spacing} has to be above 0, jitter_sigma {sigma} not below"
            )
        axes = self.rotation_axes
        least = min(2, ndim)
        if len(set(axes)) != len(axes) or len(axes) < least or not set(axes) <= set(range(ndim)):
            raise ValueError(
                f"rotation_axes are two or three different axes of 0 to {ndim - 1}, got {axes}"
            )

    def setup(self) -> None:
        """Offer the displacement of control points."""
        if self.transform_key is None:
            return
        spacing, total = self.control_point_spacing, self.spec.get_total_roi()
        roi = None
        if total is not None and total.dims >= self.spatial_dims:
            roi = last_axes(total, self.spatial_dims).snap_to_grid(spacing, "grow")
        self.provides(
            self.transform_key,
            ArraySpec(roi, spacing, interpolatable=True, dtype=np.dtype(np.float32)),
        )

    def skip_node(self, request: BatchRequest) -> bool:
        """Whether this request goes by; not if it asks what was done, be it nothing."""
        return not self._tells(request) and super().skip_node(request)

    def draw(self, request: BatchRequest, rng: np.random.Generator) -> Map:
        """The map."""
        ndim = self.spatial_dims
        total = own_total(self, request, ndim) or Roi((0,) * ndim, (1,) * ndim)
        spacing = self.control_point_spacing
        grid = total.snap_to_grid(spacing, "grow").grow(spacing, spacing)
        jitter = np.zeros((ndim, *(int(n) for n in grid.shape / spacing)))
        magnify, turned = 1.0, np.eye(ndim)
        if not (self._tells(request) and super().skip_node(request)):
            magnify = rng.uniform(*self.scale_interval)
            for axis, sigma in enumerate(self.jitter_sigma):
                if sigma > 0:
                    jitter[axis] = rng.normal(0.0, sigma, jitter.shape[1:])
            if self.rotate:
                turned = draw_rotation(rng, ndim, sorted(self.rotation_axes))
        begin, end = grid.begin + spacing / 2, grid.end - spacing / 2
        ends = np.array(begin.to_float(), float), np.array(end.to_float(), float)
        return Deformation(turned, magnify, np.array(_center(total)), jitter, *ends)

    def possible(self, request: BatchRequest) -> Iterator[None]:
        """That there is a deformation, any rotation, or scaling."""
        low, high = self.scale_interval
        if any(self.jitter_sigma) or low != high or (self.rotate and self.spatial_dims > 1):
            yield None

    def process(self, batch: Batch, request: BatchRequest) -> None:
        """Resample arrays, move graphs, and say how."""
        super().process(batch, request)
        key = self.transform_key
        if key is None or key not in request:
            return
        roi: Any = request[key].roi
        warp = self.plan(request)
        spec = self.spec[key].copy()
        spec.roi = roi
        shape = tuple(int(n) for n in roi.shape / self.control_point_spacing)
        values = np.zeros((self.spatial_dims, *shape), np.float32)
        if isinstance(warp, Deformation):
            half = self.control_point_spacing / 2
            first = [
                round((float(b) - low) / float(s))
                for b, low, s in zip(
                    roi.begin + half, warp.begin, self.control_point_spacing, strict=True
                )
            ]
            own = tuple(slice(a, a + n) for a, n in zip(first, shape, strict=True))
            values = warp.local()[:, *own].astype(np.float32)
        batch[key] = Array(values, spec)

    def _tells(self, request: BatchRequest) -> bool:
        return self.transform_key is not None and self.transform_key in request


def _center(roi: Roi) -> list[float]:
    return [float(b + s / 2) for b, s in zip(roi.begin, roi.shape, strict=True)]
