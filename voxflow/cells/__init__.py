"""Cells in folders of 2D images: train, predict, and from maps to instances."""

from voxflow.pipeline import face as _face

__getattr__, __dir__, __all__ = _face.attach_stub(__name__, __file__)
