"""What a worker does: serve requests from a node and everything upstream of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voxflow.pipeline.engine.legacy_random import borrowed_state, is_foreign

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
    """

    def __init__(self, provider: Any, made: bool = False) -> None:
        self.provider = provider
        self.made = made
        self.foreign = any(is_foreign(node) for node in upstream_of(provider))

    @property
    def threadsafe(self) -> bool:
        """Whether threads may serve at the same time: not if global random state is drawn from."""
        return not self.foreign

    def __call__(self, request: BatchRequest) -> Batch:
        """The batch for a request."""
        with borrowed_state(self.foreign):
            batch: Batch = self.provider.request_batch(request)
        if self.made:
            batch.make()
        return batch


def upstream_of(node: Any) -> list[Any]:
    """A node, and all nodes upstream of it."""
    found = [node]
    for provider in node.get_upstream_providers():
        found += upstream_of(provider)
    return found
