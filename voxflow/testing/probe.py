"""Nodes that stand around the one that is tried: they watch, and do nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voxflow.pipeline.engine import BatchFilter

if TYPE_CHECKING:
    from collections.abc import Callable

    from voxflow.pipeline.data import Batch, BatchRequest


class Nothing(BatchFilter):
    """Does nothing."""

    looks_at_nothing = True

    def process(self, batch: Batch, request: BatchRequest) -> None:
        """Nothing."""


class Probe(BatchFilter):
    """Writes down what is asked of it, and may hand on voxels that nobody can write into.

    Attributes
    ----------
    asked
        The requests so far.
    read_only
        Whether voxels are made, kept, and handed on for reading only.
    handed
        Pairs of what was handed on while `read_only`, and a copy of it.
    interrupt
        Called once, in the middle of the next request.
    """

    def __init__(self) -> None:
        self.asked: list[BatchRequest] = []
        self.read_only = False
        self.handed: list[tuple[Any, Any]] = []
        self.interrupt: Callable[[], object] | None = None

    def prepare(self, request: BatchRequest) -> None:
        """Write down."""
        if not request.planning:
            self.asked.append(request.clone())

    def process(self, batch: Batch, request: BatchRequest) -> None:
        """Hand on."""
        if self.read_only:
            for array in batch.arrays.values():
                array.data.flags.writeable = False
                self.handed.append((array.data, array.data.copy()))
            for graph in batch.graphs.values():
                self.handed.append((graph.locations, graph.locations.copy()))
        if self.interrupt is not None:
            interrupt, self.interrupt = self.interrupt, None
            interrupt()
