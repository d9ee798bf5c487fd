"""A list of runs is started, here and elsewhere, until all are done: `launch`."""

from voxflow.pipeline import face as _face

__getattr__, __dir__, __all__ = _face.attach_stub(__name__, __file__)
