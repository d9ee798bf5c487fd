# The face of the room: each public name and the file it comes from.

from .binary import (
    binary_nll,
    Confusion,
    confusion,
    rescale_fudge,
    ScoreHistogram,
)
from .contingency import Contingency, contingency, PairCounter
from .evaluate import evaluate, Evaluation, scores_of
from .image_folders import evaluate_images, ImagesEvaluation
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
from .plots import plot_evaluation
from .scores import evaluate_scores, ScoreEvaluation
from .skeletons import expected_run_length, RunLength, segments_at
from .sweep import Sweep, sweep

__all__ = [
    "adapted_rand",
    "AdaptedRand",
    "average_precision",
    "binary_nll",
    "Confusion",
    "confusion",
    "Contingency",
    "contingency",
    "cremi_score",
    "evaluate",
    "evaluate_images",
    "evaluate_scores",
    "Evaluation",
    "expected_run_length",
    "ImagesEvaluation",
    "Matches",
    "matches",
    "object_table",
    "ObjectTable",
    "Overlaps",
    "PairCounter",
    "Panoptic",
    "panoptic_quality",
    "Piece",
    "plot_evaluation",
    "rand_index",
    "rescale_fudge",
    "RunLength",
    "ScoreEvaluation",
    "ScoreHistogram",
    "scores_of",
    "segments_at",
    "Sweep",
    "sweep",
    "Trouble",
    "Variation",
    "variation_of_information",
    "worst_merges",
    "worst_splits",
]
