# The face of the room: each public name and the file it comes from.

from .elektronn import read_elektronn
from .layers import load_config
from .mistakes import ConfigError, ConfigWarning
from .schema import Config
from .settings import Settings

__all__ = ["Config", "ConfigError", "ConfigWarning", "load_config", "read_elektronn", "Settings"]
