# The face of the room: each public name and the file it comes from.

from . import geometry, unet
from .geometry import Geometry, analyse
from .unet import UNet

__all__ = ["analyse", "Geometry", "geometry", "UNet", "unet"]
