"""What a worker does: serve requests from a node and everything upstream of it."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

from voxflow.pipeline.engine.legacy_random import borrowed_state, is_foreign
from voxflow.pipeline.engine.own_time import Between, fix_timed, make_timed
from voxflow.pipeline.engine.planning import prefetch
from voxflow.pipeline.engine.provider import request_deferred

if TYPE_CHECKING:
    from voxflow.pipeline.data import Batch, BatchRequest


class Serving:
    """Serves requests from a node, here or in the worker that it is shipped to.

    Parameters
    ----------
    provider
        The node.
    made
        Make all voxels here, as in a thread that works ahead. If not, they are made where they are
        looked at, or where they are sent from.
    here
        Whether batches are handed on in this process, to somebody who may keep them while the next
        one is made: what nodes from outside may use again is copied, as it is where it is sent.
    """

    def __init__(self, provider: Any, made: bool = False, here: bool = False) -> None:
        self.provider = provider
        self.made = made
        self.here = here
        self._nodes = upstream_of(provider)
        self.foreign = any(map(is_foreign, self._nodes))

    @property
    def threadsafe(self) -> bool:
        """Whether threads may serve at the same time: not if global random state is drawn from."""
        return not self.foreign

    @property
    def prefetches(self) -> bool:
        """Whether `announce` is of use at present."""
        return any([node.prefetches for node in self._nodes])

    def announce(self, request: BatchRequest) -> None:
        """Let sources that wait for data begin to read what is asked next; returns at once."""
        if self.prefetches:
            threading.Thread(target=self._prefetch, args=(request.clone(),), daemon=True).start()

    def _prefetch(self, request: BatchRequest) -> None:
        # What goes wrong here goes wrong again when the request is served, and is told then.
        with contextlib.suppress(Exception):
            prefetch(self.provider, request)

    def __call__(self, request: BatchRequest) -> Batch:
        """The batch for a request."""
        with Between() as between:
            with borrowed_state(self.foreign):
                batch = request_deferred(self.provider, request)
            if self.here and self.foreign:
                batch = batch.taken_over()
                fix_timed(batch)
            if self.made:
                make_timed(batch)
            between.record(batch)
        return batch


def upstream_of(node: Any) -> list[Any]:
    """A node, and all nodes upstream of it."""
    found = [node]
    for provider in node.get_upstream_providers():
        found += upstream_of(provider)
    return found
