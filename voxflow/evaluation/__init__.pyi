# The face of the room: each public name and the file it comes from.

from .contingency import Contingency, contingency, PairCounter
from .matching import (
    average_precision,
    Matches,
    matches,
    Overlaps,
    Panoptic,
    panoptic_quality,
)
from .objects import (
    object_table,
    ObjectTable,
    Piece,
    Trouble,
    worst_merges,
    worst_splits,
)
from .partition import (
    adapted_rand,
    AdaptedRand,
    cremi_score,
    rand_index,
    Variation,
    variation_of_information,
)

__all__ = [
    "adapted_rand",
    "AdaptedRand",
    "average_precision",
    "Contingency",
    "contingency",
    "cremi_score",
    "Matches",
    "matches",
    "object_table",
    "ObjectTable",
    "Overlaps",
    "PairCounter",
    "Panoptic",
    "panoptic_quality",
    "Piece",
    "rand_index",
    "Trouble",
    "Variation",
    "variation_of_information",
    "worst_merges",
    "worst_splits",
]
