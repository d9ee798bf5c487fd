# The face of the room: each public name and the file it comes from.

from .describe import (
    ArrayReport,
    describe,
    FileReport,
    GraphReport,
    highest_loss_first,
)
from .find import Container, find_containers
from .sheet import write_sheet
from .values import Labels, Values
from .viewer import view, Viewer
from .webpage import write_page

__all__ = [
    "ArrayReport",
    "Container",
    "describe",
    "FileReport",
    "find_containers",
    "GraphReport",
    "highest_loss_first",
    "Labels",
    "Values",
    "view",
    "Viewer",
    "write_page",
    "write_sheet",
]
