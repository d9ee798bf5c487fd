"""Training and prediction with torch. Torch itself is loaded at the first use of a name."""

from voxflow.pipeline import face as _face

__getattr__, __dir__, __all__ = _face.attach_stub(__name__, __file__)
