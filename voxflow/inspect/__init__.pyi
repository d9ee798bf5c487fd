# The face of the room: each public name and the file it comes from.

from .describe import ArrayReport, FileReport, GraphReport, describe
from .find import Container, find_containers

__all__ = [
    "ArrayReport",
    "Container",
    "describe",
    "FileReport",
    "find_containers",
    "GraphReport",
]
