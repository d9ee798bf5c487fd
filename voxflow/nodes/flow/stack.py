"""Several batches as one, along a new first axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from voxflow.pipeline.data import Array, Batch, BatchRequest
from voxflow.pipeline.engine import BatchFilter

if TYPE_CHECKING:
    from voxflow.pipeline.engine import BatchProvider


class Stack(BatchFilter):
    """Asks upstream several times and stacks each array along a new first axis.

    An array of shape ``(channels, z, y, x)`` becomes ``(num_repetitions, channels, z, y, x)``. The
    i-th repetition has a seed of its own, derived from that of the batch. Graphs are those of the
    first repetition.

    Parameters
    ----------
    num_repetitions
        How many batches are stacked; at least 1.

    Raises
    ------
    ValueError
        If `num_repetitions` is less than 1.
    """

    def __init__(self, num_repetitions: int) -> None:
        if num_repetitions < 1:
            raise ValueError(f"num_repetitions has to be at least 1, got {num_repetitions}")
        self.num_repetitions = num_repetitions

    def upstream_requests(self, request: BatchRequest) -> list[tuple[BatchProvider, BatchRequest]]:
        """The same request once for every repetition, each with its own seed."""
        upstream = self.get_upstream_provider()
        return [(upstream, request.reseed("stack", i)) for i in range(self.num_repetitions)]

    def provide(self, request: BatchRequest) -> Batch:
        """Ask upstream for every repetition, and stack."""
        batches = [node.request_batch(part) for node, part in self.upstream_requests(request)]
        stacked = Batch()
        for batch in batches:
            stacked.profiling_stats.merge_with(batch.profiling_stats)
        for key, spec in request.array_specs.items():
            if not spec.placeholder:
                data = np.stack([batch[key].data for batch in batches])
                stacked[key] = Array(data, batches[0][key].spec)
        for graph_key, graph_spec in request.graph_specs.items():
            if not graph_spec.placeholder:
                stacked[graph_key] = batches[0][graph_key]
        stacked.affinity_neighborhood = batches[0].affinity_neighborhood
        return stacked
