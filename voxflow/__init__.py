"""Composable node pipelines for machine learning on large n-d images.

Every public name is listed in the stub beside this file and loaded at its first use, so that
``import voxflow`` is quick and pulls in no heavy package.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
