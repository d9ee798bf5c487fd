# The face of the room: each public name and the file it comes from.

from .agglomerate import agglomerate
from .blockwise import segment_blockwise
from .from_maps import segment_maps
from .lookup import Lookup, relabel, remove_small
from .methods import Components, Method, MutexWatershed
from .nodes import Segment
from .objects import fill_holes, object_table, ObjectTable
from .report import SegmentationReport
from .segments import segment
from .watershed import seeded_watershed, Watershed

__all__ = [
    "agglomerate",
    "Components",
    "fill_holes",
    "Lookup",
    "Method",
    "MutexWatershed",
    "object_table",
    "ObjectTable",
    "relabel",
    "remove_small",
    "seeded_watershed",
    "Segment",
    "segment",
    "segment_blockwise",
    "segment_maps",
    "SegmentationReport",
    "Watershed",
]
