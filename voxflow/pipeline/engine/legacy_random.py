"""Global random state, for nodes from outside the package that draw from it.

voxflow's own nodes take their generator from the request. Nodes written for gunpowder may call
`random` and `numpy.random`; they find both seeded from the request, as gunpowder does it before
every node, and the user's own state is put back when the batch is done.
"""

from __future__ import annotations

import random
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
        saved = (random.getstate(), np.random.get_state()) if level == 0 else None
        _depth.level = level + 1
        try:
            yield
        finally:
            _depth.level = level
            if saved is not None:
                random.setstate(saved[0])
                np.random.set_state(saved[1])


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
    """Seed both global generators from a request, if this thread has borrowed them."""
    if getattr(_depth, "level", 0):
        seed = request.random_seed
        random.seed(seed)
        np.random.seed(seed)
