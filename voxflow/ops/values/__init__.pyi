from .changes import (
    Change,
    Clip,
    Contrast,
    Gamma,
    Pieces,
    Piecewise,
    Pointwise,
    Range,
    Round,
    Scale,
    range_after,
)
from .make import changed

__all__ = [
    "Change",
    "Clip",
    "Contrast",
    "Gamma",
    "Pieces",
    "Piecewise",
    "Pointwise",
    "Range",
    "Round",
    "Scale",
    "changed",
    "range_after",
]
