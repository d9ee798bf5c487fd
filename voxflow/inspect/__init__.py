"""Look at files: what is in them, as text, pictures, and a page for the browser."""

from voxflow.pipeline import face as _face

__getattr__, __dir__, __all__ = _face.attach_stub(__name__, __file__)
