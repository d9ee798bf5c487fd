"""Training and prediction with jax. Jax itself is loaded at the first use of a name."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
