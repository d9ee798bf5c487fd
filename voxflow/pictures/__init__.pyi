# The face of the room: each public name and the file it comes from.

from .batch import batch_picture
from .colours import (
    coloured,
    overlay,
    Style,
    value_range,
)
from .ids import colours_of_ids
from .layer import (
    guess_style,
    Layer,
    layer_of,
    section,
)
from .png import save_picture
from .sheet import draw_sheet

__all__ = [
    "batch_picture",
    "coloured",
    "colours_of_ids",
    "draw_sheet",
    "guess_style",
    "Layer",
    "layer_of",
    "overlay",
    "save_picture",
    "section",
    "Style",
    "value_range",
]
