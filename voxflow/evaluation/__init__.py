"""Scores of segmentations, of maps of scores, and of skeletons."""

from voxflow.pipeline import face as _face

__getattr__, __dir__, __all__ = _face.attach_stub(__name__, __file__)
