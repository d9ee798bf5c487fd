"""Arrays as pictures: colours of values and ids, sections, overlays, and contact sheets."""

from voxflow.pipeline import face as _face

__getattr__, __dir__, __all__ = _face.attach_stub(__name__, __file__)
