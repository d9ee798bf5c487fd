"""Elastic deformation, rotation, scaling, and misaligned sections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from voxflow.nodes.augment.augment import probability
from voxflow.nodes.augment.fitting import OnFailure
from voxflow.nodes.augment.own_axes import one_voxel_size, sections
from voxflow.nodes.augment.spatial import SpatialAugment
from voxflow.ops.maps import Elastic, draw_elastic
from voxflow.pipeline.geometry import Coordinate

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np

    from voxflow.nodes.augment.moved_graph import Edges
    from voxflow.ops.maps import Map
    from voxflow.pipeline.data import BatchRequest


class ElasticAugment(SpatialAugment):
    """Deforms, rotates and scales at random, and misaligns sections as in serial-section EM.

    One map is drawn for all that is asked for, and every array is resampled once.

    Parameters
    ----------
    control_point_spacing
        The distance between control points of the deformation, in voxels, for each axis.
    jitter_sigma
        The standard deviation of the displacement of control points, in voxels, for each axis.
    rotation_interval
        The least and greatest angle of a rotation about the centre in the last two axes, in
        radians; uniform.
    scale_interval
        The least and greatest magnification; uniform.
    prob_slip
        How likely a section is misaligned by itself.
    prob_shift
        How likely a section is misaligned together with all that follow.
    max_misalign
        By how many voxels a section is misaligned at most, along each of the last two axes.
    subsample
        Has no effect: the deformation is never held at full resolution.
    spatial_dims
        How many of the last axes are deformed.
    use_fast_points_transform, recompute_missing_points
        Have no effect: points are moved exactly.
    p
        The probability with which the node does anything.
    voxel_size
        What a voxel is, in world units; None: the voxel size of the arrays that are asked for.
    labels
        How labels and masks (arrays that are not interpolatable) are resampled: "nearest", or
        "majority" for the value that fills most of each voxel, which follows borders more closely
        where things are shown smaller, and takes several times as long.
    edges
        What becomes of edges of graphs that leave the region: "keep", "clip" or "drop"; see
        `SpatialAugment`.
    on_failure
        What is done where more would be read than there is, see `SpatialAugment`.

    Raises
    ------
    ValueError
        If numbers do not fit together. At a request: if arrays differ in voxel size, or have too
        few axes.
    RuntimeError
        At a request: if neither an array nor a placeholder says what a voxel is.
    """

    def __init__(
        self,
        control_point_spacing: Sequence[Any],
        jitter_sigma: Sequence[Any],
        rotation_interval: Sequence[float],
        scale_interval: Sequence[float] = (1.0, 1.0),
        prob_slip: float = 0,
        prob_shift: float = 0,
        max_misalign: int = 0,
        subsample: int = 1,
        spatial_dims: int = 3,
        use_fast_points_transform: bool = False,
        recompute_missing_points: bool = True,
        p: float = 1.0,
        *,
        voxel_size: Sequence[Any] | None = None,
        labels: Literal["nearest", "majority"] = "nearest",
        edges: Edges = "keep",
        on_failure: OnFailure = "error",
    ) -> None:
        # Two entries for images of two axes are enough said, as in gunpowder.
        given = len(control_point_spacing)
        self._all_axes = spatial_dims == 3 and given == len(jitter_sigma) < 3
        spatial_dims = given if self._all_axes else spatial_dims
        self.voxel_size = None if voxel_size is None else Coordinate(voxel_size)
        if self.voxel_size is not None and len(self.voxel_size) < spatial_dims:
            raise ValueError(
                f"voxel_size {self.voxel_size} needs an entry for each of "
                f"spatial_dims={spatial_dims} axes"
            )
        for name, interval in (("rotation", rotation_interval), ("scale", scale_interval)):
            if len(interval) != 2 or interval[0] > interval[1]:
                raise ValueError(f"{name}_interval goes from low to high, got {tuple(interval)}")
        if len(control_point_spacing) != spatial_dims or len(jitter_sigma) != spatial_dims:
            raise ValueError(
                f"control_point_spacing {tuple(control_point_spacing)} and jitter_sigma "
                f"{tuple(jitter_sigma)} need one entry for each of spatial_dims={spatial_dims} axes"
            )
        self.control_point_spacing = tuple(control_point_spacing)
        self.jitter_sigma = tuple(jitter_sigma)
        self.rotation_interval = (float(rotation_interval[0]), float(rotation_interval[1]))
        self.scale_interval = (float(scale_interval[0]), float(scale_interval[1]))
        self.prob_slip = prob_slip
        self.prob_shift = prob_shift
        self.max_misalign = max_misalign
        self.spatial_dims = spatial_dims
        self.p = probability("p", p)
        self._options(edges, on_failure, labels)
        self._parameters((1,) * spatial_dims)  # mistakes are found now

    def draw(self, request: BatchRequest, rng: np.random.Generator) -> Map:
        """The map."""
        voxel_size = self._voxel(request)
        total = request.get_total_roi()
        dims = 0 if total is None else total.dims
        if (
            total is None
            or dims < self.spatial_dims
            or (self._all_axes and dims > self.spatial_dims)
        ):
            raise ValueError(
                f"{self.name()} deforms {self.spatial_dims} axes, but {total} was asked for; "
                "give spatial_dims="
            )
        ndim, params = self.spatial_dims, self._parameters(voxel_size)
        slabs = sections(request, total, voxel_size[-ndim], -ndim)
        return draw_elastic(rng, total, voxel_size, params, slabs)

    def possible(self, request: BatchRequest) -> Iterator[None]:
        """That there is a deformation, any rotation, scaling, or misaligned sections."""
        if self._parameters((1,) * self.spatial_dims).varies:
            yield None

    def _voxel(self, request: BatchRequest) -> Coordinate:
        if self.voxel_size is not None:
            return self.voxel_size
        return one_voxel_size(self, request)

    def _parameters(self, voxel_size: Sequence[Any]) -> Elastic:
        size = tuple(voxel_size)[-self.spatial_dims :]
        return Elastic(
            spacing=[s * v for s, v in zip(self.control_point_spacing, size, strict=True)],
            sigma=[s * v for s, v in zip(self.jitter_sigma, size, strict=True)],
            rotation=self.rotation_interval,
            scale=self.scale_interval,
            prob_slip=self.prob_slip,
            prob_shift=self.prob_shift,
            max_misalign=self.max_misalign,
        )
