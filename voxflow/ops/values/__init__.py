"""Changes of values, one voxel at a time or about a mean, that are made in one pass."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
