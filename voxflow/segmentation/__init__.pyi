# The face of the room: each public name and the file it comes from.

from .agglomerate import agglomerate
from .blockwise import segment_blockwise, SegmentationReport
from .lookup import Lookup, relabel, remove_small
from .methods import Components, Method, MutexWatershed
from .segments import segment
from .watershed import seeded_watershed, Watershed

__all__ = [
    "agglomerate",
    "Components",
    "Lookup",
    "Method",
    "MutexWatershed",
    "relabel",
    "remove_small",
    "seeded_watershed",
    "segment",
    "segment_blockwise",
    "SegmentationReport",
    "Watershed",
]
