"""What nodes that let data out have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from voxflow.pipeline.engine import BatchFilter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voxflow.nodes.sinks.landing import Landing


class Sink(BatchFilter):
    """A filter that passes batches on as they are, and writes or shows something of them.

    A scan with several workers leaves the sinks directly upstream of it in the main process, one
    batch after the other, so that no two of them ever write at once. What a sink keeps from batch
    to batch is in one object, which copies of the node share.

    Attributes
    ----------
    writes
        Whether batches are lost or doubled if several workers run the node, each for itself.
    landing
        Where to put what is begun to be written, of who waits for it; None: nobody does, so that
        it has to be written before a batch is passed on.
    """

    writes: ClassVar[bool] = True
    landing: Landing | None = None


def writers_upstream(node: Any) -> Iterator[Any]:
    """All nodes upstream of a node that several workers must not run: those with ``writes``.

    Parameters
    ----------
    node
        Any node of a pipeline that is set up.
    """
    for provider in node.get_upstream_providers():
        if getattr(provider, "writes", False):
            yield provider
        yield from writers_upstream(provider)
