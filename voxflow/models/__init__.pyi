# The face of the room: each public name and the file it comes from.

from . import dense, geometry, unet
from .dense import fuse_batch_norm, to_dense
from .geometry import Geometry, analyse
from .unet import UNet

__all__ = [
    "analyse",
    "dense",
    "fuse_batch_norm",
    "Geometry",
    "geometry",
    "to_dense",
    "UNet",
    "unet",
]
