from .improvement import Improvement
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
    "MaxActiveHours",
    "MaxSteps",
    "MaxWallHours",
    "Moment",
    "NonFiniteMetric",
    "StopRule",
]
