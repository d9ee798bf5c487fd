"""Exact world units: coordinates, regions, and the tilings of a region."""

from voxflow.pipeline.geometry.coordinate import Coordinate
from voxflow.pipeline.geometry.exact import Exact, exact, format_exact
from voxflow.pipeline.geometry.roi import Roi
from voxflow.pipeline.geometry.tiling import Tiling, grid, starts
from voxflow.pipeline.geometry.voxels import describe, lcm, nearest_on_grid, voxel_slices

__all__ = [
    "Coordinate",
    "Exact",
    "Roi",
    "Tiling",
    "describe",
    "exact",
    "format_exact",
    "grid",
    "lcm",
    "nearest_on_grid",
    "starts",
    "voxel_slices",
]
