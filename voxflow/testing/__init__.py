"""The test kit: what nodes and stores of your own have to hold, and images that are easy to check.

Every public name is listed in the stub beside this file. `voxflow.testing.stores` needs pytest, and
`voxflow.testing.strategies` hypothesis; they are imported by their own names.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
