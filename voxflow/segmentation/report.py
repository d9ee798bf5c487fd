"""What a blockwise segmentation did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["SegmentationReport"]


@dataclass(frozen=True)
class SegmentationReport:
    """What a blockwise segmentation did.

    Attributes
    ----------
    blocks
        How many there are.
    fragments, edges
        How many the graph of the volume has.
    segments
        How many there are.
    seconds
        How long each step took in this run: "fragments", "graph", "join", "relabel".
    folder
        What was kept to go on with.
    """

    blocks: int
    fragments: int
    edges: int
    segments: int
    seconds: dict[str, float]
    folder: Path

    def __str__(self) -> str:
        return (
            f"{self.segments} segments of {self.fragments} fragments in {self.blocks} blocks, "
            f"{sum(self.seconds.values()):.1f} s"
        )
