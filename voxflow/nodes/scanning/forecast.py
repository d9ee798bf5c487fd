"""How much memory a scan will take: of one block, of decoded chunks, and of all that is at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voxflow.pipeline.engine import scan_memory
from voxflow.pipeline.engine.planning import plan

if TYPE_CHECKING:
    from voxflow.nodes.scanning.blocks import ScanBlocks
    from voxflow.nodes.scanning.serve import Service
    from voxflow.pipeline.engine import MemoryBound
    from voxflow.pipeline.engine.planning import NodePlan

__all__ = ["forecast", "plan_block", "shared_bytes"]

_CACHE_BYTES = 256 << 20
_CACHE_BLOCKS = 4
"""A scan keeps decoded chunks of so many bytes, or for so many blocks, if that is more."""


def plan_block(upstream: Any, blocks: ScanBlocks) -> NodePlan:
    """Plan the first block, which stands for all."""
    return plan(upstream, blocks.request(blocks.numbers[0]), own_nodes_only=True)


def shared_bytes(block: NodePlan) -> int:
    """How much a scan keeps of decoded chunks: what neighbours share, not more of more data."""
    return max(_CACHE_BYTES, _CACHE_BLOCKS * block.memory().bytes)


def forecast(
    block: NodePlan, service: Service, cache_bytes: int, where: str = "this process"
) -> MemoryBound:
    """How much memory the process takes that serves blocks.

    Parameters
    ----------
    block
        The plan of one of them.
    service
        How they are served.
    cache_bytes
        How much is kept of decoded chunks.
    where
        Which process that is, for the text.
    """
    # A block that is made, those that wait, and one that is written.
    in_flight = service.ahead + 1
    # Several workers do not know what comes next.
    reads_ahead = service.num_workers == 1
    return scan_memory(block, in_flight, cache_bytes, where, reads_ahead=reads_ahead)
