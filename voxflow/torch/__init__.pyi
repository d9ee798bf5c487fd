from .checkpoint import (
    Checkpoint,
    latest_checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from .conjugate import NonlinearCG
from .dataset import PipelineDataset
from .loader import PipelineLoader
from .losses import lazy_nll
from .nonfinite import NonFiniteLoss
from .predict import Predict
from .recipes.make import make_on
from .step_options import StepOptions
from .tensors import to_tensor
from .to_device import ToDevice
from .train import Train
from .warm_start import freeze, load_weights, LoadReport

__all__ = [
    "Checkpoint",
    "freeze",
    "latest_checkpoint",
    "lazy_nll",
    "load_checkpoint",
    "load_weights",
    "LoadReport",
    "make_on",
    "NonFiniteLoss",
    "NonlinearCG",
    "PipelineDataset",
    "PipelineLoader",
    "Predict",
    "save_checkpoint",
    "StepOptions",
    "to_tensor",
    "ToDevice",
    "Train",
]
