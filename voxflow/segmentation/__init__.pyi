# The face of the room: each public name and the file it comes from.

from .blockwise import segment_blockwise, SegmentationReport
from .lookup import Lookup, relabel, remove_small
from .methods import Components, Method, MutexWatershed
from .segments import segment

__all__ = [
    "Components",
    "Lookup",
    "Method",
    "MutexWatershed",
    "relabel",
    "remove_small",
    "segment",
    "segment_blockwise",
    "SegmentationReport",
]
