# The face of the room: each public name and the file it comes from.

from .parameters import Choice, parse_parameter, Range
from .pictures import draw_tuning
from .stages import (
    batch_stages,
    lr_stages,
    NotTunable,
    Stage,
)
from .study import OtherStudy
from .trial import Trial
from .tune import tune, TuneReport

__all__ = [
    "batch_stages",
    "Choice",
    "draw_tuning",
    "lr_stages",
    "NotTunable",
    "OtherStudy",
    "parse_parameter",
    "Range",
    "Stage",
    "Trial",
    "tune",
    "TuneReport",
]
