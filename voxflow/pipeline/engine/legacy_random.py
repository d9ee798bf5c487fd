"""Global random state, for nodes from outside the package that draw from it.

voxflow's own nodes take their generator from the request. Nodes written for gunpowder may call
`random` and `numpy.random`; they find both seeded from the request, as gunpowder does it before
every node, and the user's own state is put back when the batch is done. So it is with torch's
generator of the CPU, where torch is loaded.
"""

from __future__ import annotations

import random
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voxflow.pipeline.data import BatchRequest

# The state is the process's: only one request at a time may own it.
_owner = threading.RLock()
_depth = threading.local()
_PATIENCE = 300.0


def is_foreign(node: Any) -> bool:
    """Whether a node's class was written outside of voxflow."""
    module = type(node).__module__
    return module != "voxflow" and not module.startswith("voxflow.")


@contextmanager
def borrowed_state(wanted: bool) -> Iterator[None]:
    """Own the global random state for one batch, and put the user's back at the end.

    Parameters
    ----------
    wanted
        Whether any node may draw from it. If not, nothing is touched.
    """
    if not wanted:
        yield
        return
    with _owned():
        level = getattr(_depth, "level", 0)
        saved = _state() if level == 0 else None
        _depth.level = level + 1
        try:
            yield
        finally:
            _depth.level = level
            if saved is not None:
                _put_back(*saved)


def _state() -> tuple[Any, Any, Any]:
    torch = _torch()
    own = None if torch is None else torch.random.get_rng_state()
    return random.getstate(), np.random.get_state(), own


def _put_back(python: Any, numpy: Any, torch: Any) -> None:
    random.setstate(python)
    np.random.set_state(numpy)
    if torch is not None:
        sys.modules["torch"].random.set_rng_state(torch)


def _torch() -> Any:
    """The module, if it is loaded, as a whole: whoever does not use it does not wait for it."""
    torch = sys.modules.get("torch")
    return torch if hasattr(torch, "random") and hasattr(torch, "nn") else None


@contextmanager
def _owned() -> Iterator[None]:
    if not _owner.acquire(timeout=_PATIENCE):
        raise RuntimeError(
            f"waited {_PATIENCE:g} s for the global random state, which another thread's request "
            "holds. Nodes from outside of voxflow may draw from it, so requests of pipelines with "
            "such nodes are served one after the other; a node must not wait for another thread "
            "that makes such a request"
        )
    try:
        yield
    finally:
        _owner.release()


def seed_globals(request: BatchRequest) -> None:
    """Seed the global generators from a request, if this thread has borrowed them."""
    if getattr(_depth, "level", 0):
        seed = request.random_seed
        random.seed(seed)
        np.random.seed(seed)
        torch = _torch()
        if torch is not None:
            torch.random.default_generator.manual_seed(seed)
