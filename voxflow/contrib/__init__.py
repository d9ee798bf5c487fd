"""Nodes that gunpowder keeps in a room of their own; here they live among the others.

Each name is listed in the stub beside this file and loaded at its first use.
"""

from voxflow.pipeline import face as _face

__getattr__, __dir__, __all__ = _face.attach(__name__, _face.homes(__name__))
