from .checkpoint import Checkpoint, latest_checkpoint, load_checkpoint, save_checkpoint
from .losses import lazy_nll
from .predict import Predict
from .recipes.make import make_on
from .tensors import to_tensor
from .to_device import ToDevice
from .train import NonFiniteLoss, Train

__all__ = [
    "Checkpoint",
    "latest_checkpoint",
    "lazy_nll",
    "load_checkpoint",
    "make_on",
    "NonFiniteLoss",
    "Predict",
    "save_checkpoint",
    "to_tensor",
    "ToDevice",
    "Train",
]
