# The face of the room: each public name and the file it comes from.

from . import (
    dcan,
    dense,
    geometry,
    unet,
)
from .dcan import DCAN
from .dense import fuse_batch_norm, to_dense
from .geometry import analyse, Geometry
from .unet import UNet

__all__ = [
    "analyse",
    "DCAN",
    "dcan",
    "dense",
    "fuse_batch_norm",
    "Geometry",
    "geometry",
    "to_dense",
    "UNet",
    "unet",
]
