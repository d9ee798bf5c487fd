"""Values of options are tried one after another, and the best are kept: `tune`."""

from voxflow.pipeline import face as _face

__getattr__, __dir__, __all__ = _face.attach_stub(__name__, __file__)
