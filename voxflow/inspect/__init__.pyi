# The face of the room: each public name and the file it comes from.

from .describe import (
    ArrayReport,
    describe,
    FileReport,
    GraphReport,
)
from .find import Container, find_containers
from .pictures import (
    colours_of_ids,
    draw_sheet,
    Layer,
    layer_of,
    overlay,
    section,
)
from .sheet import write_sheet
from .values import Labels, Values
from .webpage import write_page

__all__ = [
    "ArrayReport",
    "colours_of_ids",
    "Container",
    "describe",
    "draw_sheet",
    "FileReport",
    "find_containers",
    "GraphReport",
    "Labels",
    "Layer",
    "layer_of",
    "overlay",
    "section",
    "Values",
    "write_page",
    "write_sheet",
]
