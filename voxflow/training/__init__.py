"""Around a training: what is logged, when things are due, what changes, and when it ends."""

from voxflow.pipeline import face as _face

__getattr__, __dir__, __all__ = _face.attach_stub(__name__, __file__)
