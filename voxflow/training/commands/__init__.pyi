# The face of the room: each public name and the file it comes from.

from .registry import Command, CommandError, Commands, NeedsYes
from .standard import standard_commands

__all__ = ["Command", "CommandError", "Commands", "NeedsYes", "standard_commands"]
