from .improvement import Improvement
from .keeping import Keeper, load_newest_checkpoint
from .stopping import (
    EarlyStopping,
    MaxActiveHours,
    MaxSteps,
    MaxWallHours,
    NonFiniteMetric,
    StopRule,
)
from .when import Every, Moment

__all__ = [
    "EarlyStopping",
    "Every",
    "Improvement",
    "Keeper",
    "load_newest_checkpoint",
    "MaxActiveHours",
    "MaxSteps",
    "MaxWallHours",
    "Moment",
    "NonFiniteMetric",
    "StopRule",
]
