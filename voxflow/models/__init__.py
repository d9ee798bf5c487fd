"""Networks, and the geometry of any network: what it sees, and which sizes it takes."""

from voxflow.pipeline import face as _face

__getattr__, __dir__, __all__ = _face.attach_stub(__name__, __file__)
