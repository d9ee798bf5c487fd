from .aggregate import Aggregate
from .checkpoint import (
    Checkpoint,
    latest_checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from .conjugate import NonlinearCG
from .contour_aware import ContourAwareLoss
from .dataset import PipelineDataset
from .deviations import (
    absolute_deviation,
    bernoulli_nll,
    gaussian_nll,
    squared_deviation,
)
from .loader import PipelineLoader
from .losses import lazy_nll
from .malis import malis_loss
from .nonfinite import NonFiniteLoss
from .predict import Predict
from .recipes.make import make_on
from .recurrent import Recurrent
from .step_options import StepOptions
from .tensors import to_tensor
from .to_device import ToDevice
from .train import Train
from .warm_start import (
    freeze,
    load_weights,
    LoadReport,
    unfreeze,
)

__all__ = [
    "absolute_deviation",
    "Aggregate",
    "bernoulli_nll",
    "Checkpoint",
    "ContourAwareLoss",
    "freeze",
    "gaussian_nll",
    "latest_checkpoint",
    "lazy_nll",
    "load_checkpoint",
    "load_weights",
    "LoadReport",
    "make_on",
    "malis_loss",
    "NonFiniteLoss",
    "NonlinearCG",
    "PipelineDataset",
    "PipelineLoader",
    "Predict",
    "Recurrent",
    "save_checkpoint",
    "squared_deviation",
    "StepOptions",
    "to_tensor",
    "ToDevice",
    "Train",
    "unfreeze",
]
