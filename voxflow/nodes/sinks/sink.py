"""What nodes that let data out have in common."""

from __future__ import annotations

from voxflow.pipeline.engine import BatchFilter


class Sink(BatchFilter):
    """A filter that passes batches on as they are, and writes or shows something of them.

    A scan with several workers leaves the sinks directly upstream of it in the main process, one
    batch after the other, so that no two of them ever write at once.
    """


def upstream_sinks(node: BatchFilter) -> list[Sink]:
    """All sinks upstream of a node."""
    found: list[Sink] = []
    for provider in node.get_upstream_providers():
        if isinstance(provider, Sink):
            found.append(provider)
        found += upstream_sinks(provider)  # type: ignore[arg-type]
    return found
