"""Exact world units: coordinates, regions, and the tilings of a region."""

from voxflow.pipeline.geometry.coordinate import Coordinate
from voxflow.pipeline.geometry.exact import Exact, exact, format_exact
from voxflow.pipeline.geometry.grid import describe, lcm, nearest_on_grid
from voxflow.pipeline.geometry.roi import Roi

__all__ = [
    "Coordinate",
    "Exact",
    "Roi",
    "describe",
    "exact",
    "format_exact",
    "lcm",
    "nearest_on_grid",
]
