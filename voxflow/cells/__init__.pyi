# The face of the room: each public name and the file it comes from.

from .feed import training_feed, validation_feed
from .network import CellLoss, make_network
from .options import CellOptions, read_cell_options
from .predict import CellPrediction, load_network, predict_cells
from .saving import plot_cells, save_cells
from .training import cell_settings, train_cells

__all__ = [
    "cell_settings",
    "CellLoss",
    "CellOptions",
    "CellPrediction",
    "load_network",
    "make_network",
    "plot_cells",
    "predict_cells",
    "read_cell_options",
    "save_cells",
    "train_cells",
    "training_feed",
    "validation_feed",
]
