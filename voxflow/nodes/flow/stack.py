"""Several batches as one, along a new first axis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import numpy as np

from voxflow.pipeline.data import Array, Batch, BatchRequest
from voxflow.pipeline.data.deferred import Deferred
from voxflow.pipeline.engine import BatchFilter
from voxflow.pipeline.engine.provider import request_deferred

if TYPE_CHECKING:
    from voxflow.pipeline.data import ArrayKey
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

    def working_bytes(self, request: Any, given: Any, made: Any) -> int:
        """Nothing besides."""
        return 0

    def upstream_requests(self, request: BatchRequest) -> list[tuple[BatchProvider, BatchRequest]]:
        """The same request once for every repetition, each with its own seed."""
        upstream = self.get_upstream_provider()
        return [(upstream, request.reseed("stack", i)) for i in range(self.num_repetitions)]

    def provide(self, request: BatchRequest) -> Batch:
        """Ask upstream for every repetition, and stack."""
        asked = self.upstream_requests(request)
        slots = _Slots(len(asked)) if self._foreign_from_here() else None
        if slots is None:
            batches = [node.request_batch(part) for node, part in asked]
        else:
            made = (request_deferred(node, part) for node, part in asked)
            batches = [slots.taken(i, batch) for i, batch in enumerate(made)]
        stacked = Batch()
        for batch in batches:
            stacked.profiling_stats.merge_with(batch.profiling_stats)
        for key, spec in request.array_specs.items():
            if not spec.placeholder:
                together = _Stacked(key, [batch[key] for batch in batches])
                voxels = together if slots is None else slots[key]
                stacked[key] = Array(voxels, batches[0][key].spec)
        for graph_key, graph_spec in request.graph_specs.items():
            if not graph_spec.placeholder:
                stacked[graph_key] = batches[0][graph_key]
        stacked.affinity_neighborhood = batches[0].affinity_neighborhood
        return stacked


class _Slots(dict["ArrayKey", np.ndarray[Any, Any]]):
    """Stacked arrays, into which voxels are put as they come.

    A node from outside may use again for the next repetition what it made for one.
    """

    def __init__(self, count: int) -> None:
        self._count = count

    def taken(self, i: int, batch: Batch) -> Batch:
        """A repetition, with its voxels in their place; what does not fit there is as it was."""
        own = batch.taken_over(voxels=False)
        for key, array in own.arrays.items():
            if key not in self:
                self[key] = np.empty((self._count, *array.shape), array.dtype)
            slot = self[key][i, ...]
            if (slot.shape, slot.dtype) == (array.shape, array.dtype):
                array.write_to(slot)
                own.arrays[key] = Array(slot, array.spec)
        return own


@final
class _Stacked(Deferred):
    """Arrays along a new first axis, each of them made where it will lie."""

    def __init__(self, key: ArrayKey, parts: list[Array]) -> None:
        shapes, types = {part.shape for part in parts}, {part.dtype for part in parts}
        if len(shapes) > 1 or len(types) > 1:
            raise ValueError(
                f"repetitions of {key} cannot be stacked, since they differ in shape or type: "
                f"{', '.join(f'{part.shape} of {part.dtype}' for part in parts)}"
            )
        self._parts = parts

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self._parts), *self._parts[0].shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._parts[0].dtype

    def make(self, out: np.ndarray[Any, Any] | None = None) -> np.ndarray[Any, Any]:
        if out is None and len(self._parts) == 1:
            return self._parts[0].data[None]
        made = np.empty(self.shape, self.dtype) if out is None else out
        for i, part in enumerate(self._parts):
            part.write_to(made[i, ...])
        return made
