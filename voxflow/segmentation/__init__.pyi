# The face of the room: each public name and the file it comes from.

from . import contract

__all__ = ["contract"]
