"""What a run is configured with: a schema, layers, all mistakes at once, and where a value is from.

Nothing here loads torch or a library of files: a mistake is told before anything heavy begins.
"""

from voxflow.pipeline import face as _face

__getattr__, __dir__, __all__ = _face.attach_stub(__name__, __file__)
