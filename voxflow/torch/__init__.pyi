from .checkpoint import Checkpoint, latest_checkpoint, load_checkpoint, save_checkpoint
from .predict import Predict
from .tensors import to_tensor
from .train import NonFiniteLoss, Train

__all__ = [
    "Checkpoint",
    "latest_checkpoint",
    "load_checkpoint",
    "NonFiniteLoss",
    "Predict",
    "save_checkpoint",
    "to_tensor",
    "Train",
]
