"""A model in evaluation mode for the time of a call, whoever else uses it."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch


class _Use:
    """How many threads evaluate a model, and which of its modules were in training mode before."""

    def __init__(self, model: torch.nn.Module) -> None:
        self.count = 0
        self.training = [module for module in model.modules() if module.training]


_lock = threading.Lock()
_uses: WeakKeyDictionary[torch.nn.Module, _Use] = WeakKeyDictionary()


@contextmanager
def evaluating(model: torch.nn.Module) -> Iterator[None]:
    """Put a model into evaluation mode, and leave every module of it in the mode it was in.

    Several threads may evaluate one model at once: the last that ends puts the modes back.

    Parameters
    ----------
    model
        The model.
    """
    with _lock:
        use = _uses.setdefault(model, _Use(model))
        use.count += 1
        if use.count == 1:
            model.eval()
    try:
        yield
    finally:
        with _lock:
            use.count -= 1
            if use.count == 0:
                del _uses[model]
                for module in use.training:
                    module.training = True
