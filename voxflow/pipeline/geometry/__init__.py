"""Exact world units: coordinates, regions, and the tilings of a region."""

from voxflow.pipeline.geometry.coordinate import Coordinate
from voxflow.pipeline.geometry.exact import Exact, exact, format_exact, lcm
from voxflow.pipeline.geometry.roi import Roi

__all__ = ["Coordinate", "Exact", "Roi", "exact", "format_exact", "lcm"]
