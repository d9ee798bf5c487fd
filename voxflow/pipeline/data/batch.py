"""What comes back from a pipeline: arrays and graphs by key, and what happened to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

from voxflow.pipeline.data.array import Array
from voxflow.pipeline.data.graph import Graph
from voxflow.pipeline.data.keys import ArrayKey, GraphKey
from voxflow.pipeline.data.profiling import ProfilingStats

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voxflow.pipeline.data.provider_spec import Key
    from voxflow.pipeline.data.request import BatchRequest
    from voxflow.pipeline.data.token import ReplayToken
    from voxflow.pipeline.geometry import Roi


class Batch:
    """Arrays and graphs by key.

    Attributes
    ----------
    arrays
        The arrays by their keys.
    graphs
        The graphs by their keys.
    profiling_stats
        How long each node took.
    loss
        The loss of the training step that the batch went through, or None.
    iteration
        The number of that step, from 1, or None.
    affinity_neighborhood
        The offsets of the affinities in the batch (voxels), or None.
    token
        What it takes to make the same batch again, see `Pipeline.replay`; or None.

    Examples
    --------
    >>> batch = Batch()
    >>> batch[ArrayKey("RAW")] = Array([1, 2, 3])
    >>> ArrayKey("RAW") in batch, len(batch)
    (True, 1)
    """

    __slots__ = (
        "affinity_neighborhood",
        "arrays",
        "graphs",
        "iteration",
        "loss",
        "profiling_stats",
        "token",
    )

    arrays: dict[ArrayKey, Array]
    graphs: dict[GraphKey, Graph]
    profiling_stats: ProfilingStats
    loss: Any
    iteration: int | None
    affinity_neighborhood: Any
    token: ReplayToken | None

    def __init__(self) -> None:
        self.arrays = {}
        self.graphs = {}
        self.profiling_stats = ProfilingStats()
        self.loss = None
        self.iteration = None
        self.affinity_neighborhood = None
        self.token = None

    @overload
    def __getitem__(self, key: ArrayKey) -> Array: ...
    @overload
    def __getitem__(self, key: GraphKey) -> Graph: ...
    def __getitem__(self, key: Key) -> Array | Graph:
        try:
            if isinstance(key, ArrayKey):
                return self.arrays[key]
            if isinstance(key, GraphKey):
                return self.graphs[key]
        except KeyError:
            known = ", ".join(str(k) for k, _ in self.items()) or "nothing"
            raise KeyError(f"{key} is not in this batch, which holds: {known}") from None
        raise RuntimeError(f"only ArrayKey and GraphKey can be used here, got {key!r}")

    def __setitem__(self, key: Any, value: Any) -> None:
        if isinstance(value, Array):
            if not isinstance(key, ArrayKey):
                raise TypeError(f"an array needs an ArrayKey, got {key!r}")
            self.arrays[key] = value
        elif isinstance(value, Graph):
            if not isinstance(key, GraphKey):
                raise TypeError(f"a graph needs a GraphKey, got {key!r}")
            self.graphs[key] = value
        else:
            raise RuntimeError(f"a batch holds Array and Graph, got {type(value).__name__}")

    def __delitem__(self, key: Key) -> None:
        self[key]
        if isinstance(key, ArrayKey):
            del self.arrays[key]
        else:
            del self.graphs[key]

    def __contains__(self, key: object) -> bool:
        if isinstance(key, ArrayKey):
            return key in self.arrays
        if isinstance(key, GraphKey):
            return key in self.graphs
        raise RuntimeError(f"only ArrayKey and GraphKey can be used here, got {key!r}")

    def __len__(self) -> int:
        return len(self.arrays) + len(self.graphs)

    def items(self) -> Iterator[tuple[Any, Any]]:
        """All keys with their arrays and graphs, arrays first."""
        yield from self.arrays.items()
        yield from self.graphs.items()

    def make(self) -> bool:
        """Make all voxels that are deferred; those that lie elsewhere stay there.

        Returns
        -------
        bool
            Whether there were any.
        """
        found = False
        for array in self.arrays.values():
            deferred = array.deferred
            if deferred is not None and not deferred.elsewhere:
                array.data  # noqa: B018 - made where it is read
                found = True
        return found

    def fix(self) -> bool:
        """Make voxels that are deferred and would change with what somebody writes elsewhere.

        A node from outside may write into any array that it finds.

        Returns
        -------
        bool
            Whether there were any.
        """
        found = False
        for array in self.arrays.values():
            deferred = array.deferred
            if deferred is not None and not (deferred.fixed or deferred.elsewhere):
                array.data  # noqa: B018 - made where it is read
                found = True
        return found

    def apart(self) -> Batch:
        """A batch that holds what this one does, in arrays `apart` from those of this one."""
        own = self._like()
        own.arrays = {key: array.apart() for key, array in self.arrays.items()}
        own.graphs = {**self.graphs}
        return own

    def claim(self) -> None:
        """Note of which voxels nobody else has them; see `Array.claim`."""
        for array in self.arrays.values():
            array.claim()

    def taken_over(self, voxels: bool = True) -> Batch:
        """The same, with all that a node from outside may use again for the next one being its own.

        Parameters
        ----------
        voxels
            Whether voxels are copied, too; those that are deferred are nobody else's.
        """
        own = self._like()
        for array in self.arrays.values():
            array.settle()  # somebody may have the array itself, and look at its voxels later
        own.arrays = {
            key: array.copy() if voxels and array.deferred is None else array.placed(array.spec)
            for key, array in self.arrays.items()
        }
        own.graphs = {key: graph.copy() for key, graph in self.graphs.items()}
        return own

    def get_total_roi(self) -> Roi | None:
        """The union of the regions of everything that has one, in world units; None if nothing."""
        total: Roi | None = None
        for _, item in self.items():
            roi = item.spec.roi
            if roi is not None:
                total = roi if total is None else total.union(roi)
        return total

    def crop(self, request: BatchRequest, copy: bool = False) -> Batch:
        """A batch of just what a request asks for, each array and graph cropped to its region.

        Parameters
        ----------
        request
            The keys and regions that are wanted.
        copy
            Whether voxels are copied; if not, arrays are views where they can be.

        Raises
        ------
        KeyError
            If a key is not in the batch.
        ValueError
            If a region is not inside what the batch holds.
        """
        cropped = self._like()
        cropped.arrays, cropped.graphs = self.arrays, self.graphs
        cropped.cut(request)
        if copy:
            cropped.arrays = {key: array.copy() for key, array in cropped.arrays.items()}
        return cropped

    def cut(self, request: BatchRequest) -> None:
        """Crop this batch itself to just what a request asks for; else like `crop`."""
        arrays: dict[ArrayKey, Array] = {}
        for key, array_spec in request.array_specs.items():
            array, roi = self.arrays.get(key), array_spec._roi
            if array is None:
                array = self[key]  # raises, and says what there is
            if roi is not None and roi is not array.spec._roi:
                array = array.crop(roi, copy=False)
            arrays[key] = array
        self.arrays = arrays
        graphs: dict[GraphKey, Graph] = {}
        for graph_key, graph_spec in request.graph_specs.items():
            graph = self[graph_key]
            same = graph_spec.roi is None or graph_spec.roi == graph.spec.roi
            graphs[graph_key] = graph if same else graph.crop(graph_spec.roi)
        self.graphs = graphs

    def merge(self, batch: Batch, merge_profiling_stats: bool = True) -> Batch:
        """A batch with everything of this one and of another, which wins where both have a key."""
        merged = self._like()
        merged.arrays = {**self.arrays, **batch.arrays}
        merged.graphs = {**self.graphs, **batch.graphs}
        for name in ("loss", "iteration", "affinity_neighborhood"):
            value = getattr(batch, name)
            if value is not None:
                setattr(merged, name, value)
        if merge_profiling_stats and batch.profiling_stats is not self.profiling_stats:
            merged.profiling_stats = ProfilingStats()
            merged.profiling_stats.merge_with(self.profiling_stats)
            merged.profiling_stats.merge_with(batch.profiling_stats)
        return merged

    def _like(self) -> Batch:
        """An empty batch that keeps all that is not an array or a graph."""
        new = object.__new__(Batch)
        new.arrays = {}
        new.graphs = {}
        new.profiling_stats = self.profiling_stats
        new.loss = self.loss
        new.iteration = self.iteration
        new.affinity_neighborhood = self.affinity_neighborhood
        new.token = self.token
        return new

    def __repr__(self) -> str:
        return "".join(f"\n\t{key}: {item.spec}" for key, item in self.items())
