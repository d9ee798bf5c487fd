from .generic_jax_model import GenericJaxModel
from .predict import Predict
from .train import Train

__all__ = ["GenericJaxModel", "Predict", "Train"]
