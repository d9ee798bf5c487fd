"""File formats behind one interface: open, make, read and write datasets and their geometry."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
