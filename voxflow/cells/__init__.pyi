# The face of the room: each public name and the file it comes from.

from .feed import training_feed, validation_feed
from .network import CellLoss, make_network
from .options import CellOptions, read_cell_options
from .training import cell_settings, train_cells

__all__ = [
    "cell_settings",
    "CellLoss",
    "CellOptions",
    "make_network",
    "read_cell_options",
    "train_cells",
    "training_feed",
    "validation_feed",
]
