"""What a scan puts together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.nodes.scanning.graphs import united
from voxflow.pipeline.data import Array, Batch, BatchRequest, Graph
from voxflow.pipeline.data.copying import copy_voxels
from voxflow.pipeline.data.profiling import ProfilingStats
from voxflow.pipeline.geometry import voxel_slices

if TYPE_CHECKING:
    from voxflow.pipeline.data import ArrayKey
    from voxflow.pipeline.geometry import Roi

_COUNTS = ("nan", "inf", "repeated")
"""Findings that are added up; of others, the first counts."""

_TIMED = 256
"""Of so many blocks timings are kept, up to twice as many."""


class ScanResult:
    """Arrays and graphs of the region that was asked for, filled block by block.

    Its timings are those of all blocks, or where there are many, of every second, fourth, ... one.

    Parameters
    ----------
    request
        What was asked of the scan.
    """

    def __init__(self, request: BatchRequest) -> None:
        self._request = request
        self._arrays = [key for key, spec in request.array_specs.items() if not spec.placeholder]
        self._graphs: dict[Any, list[Graph]] = {
            key: [] for key, spec in request.graph_specs.items() if not spec.placeholder
        }
        self._batch = Batch()
        self._timings = _Sampled()

    def add(self, batch: Batch, owned: Mapping[ArrayKey, Roi]) -> None:
        """Take over what was asked for of a block.

        Parameters
        ----------
        batch
            The block.
        owned
            Of each array, what belongs to it where blocks overlap.
        """
        for key in self._arrays:
            self._add_array(key, batch[key], owned.get(key))
        for graph_key, parts in self._graphs.items():
            parts.append(batch[graph_key])
        if batch.affinity_neighborhood is not None:
            self._batch.affinity_neighborhood = batch.affinity_neighborhood
        self._timings.add(batch.profiling_stats)

    @property
    def batch(self) -> Batch:
        """Everything so far."""
        for key, parts in self._graphs.items():
            self._batch[key] = united(parts, self._request[key].region)
        self._batch.profiling_stats = self._timings.stats
        return self._batch

    def _add_array(self, key: ArrayKey, part: Array, owned: Roi | None) -> None:
        roi, voxel_size = self._request[key].roi, part.spec.voxel_size
        if roi is None or voxel_size is None or part.spec.roi is None:
            self._batch[key] = part
            return
        if key not in self._batch:
            self._batch[key] = self._empty(key, part)
        else:
            _add_marks(self._batch[key], part)
        inside = (part.spec.roi if owned is None else owned).intersect(roi)
        if inside.empty:
            return
        where: Any = (..., *voxel_slices(inside, roi.offset, voxel_size))
        copy_voxels(self._batch[key].data[where], part.crop(inside, copy=False).view)

    def _empty(self, key: ArrayKey, part: Array) -> Array:
        spec = part.spec.copy()
        spec.roi = self._request[key].region
        shape = tuple(spec.region.shape / spec.grid)
        lead = part.data.shape[: part.data.ndim - len(shape)]
        return Array(np.zeros((*lead, *shape), part.data.dtype), spec, dict(part.attrs))


def _add_marks(whole: Array, part: Array) -> None:
    """Add what `CheckHealth` found in a block to what it found in others of an array."""
    found, more = whole.attrs.get("health", {}), part.attrs.get("health")
    if isinstance(found, Mapping) and isinstance(more, Mapping):
        counts = {name: found.get(name, 0) + more[name] for name in _COUNTS if name in more}
        whole.attrs["health"] = {**more, **found, **counts}


class _Sampled:
    """Timings of blocks that are spread evenly, in memory that does not grow with their number."""

    def __init__(self) -> None:
        self._kept: list[ProfilingStats] = []
        self._rest = ProfilingStats()
        self._seen, self._step = 0, 1

    def add(self, stats: ProfilingStats) -> None:
        """Take over what one block took, or only what it counted."""
        if self._seen % self._step:
            self._count(stats)
        else:
            self._kept.append(stats)
        self._seen += 1
        if len(self._kept) == 2 * _TIMED:
            for dropped in self._kept[1::2]:
                self._count(dropped)
            self._kept, self._step = self._kept[::2], 2 * self._step

    def _count(self, stats: ProfilingStats) -> None:
        for (node, event), times in stats.get_counts().items():
            self._rest.count(node, event, times)

    @property
    def stats(self) -> ProfilingStats:
        """What was kept, and the counts of all."""
        merged = ProfilingStats()
        for stats in (self._rest, *self._kept):
            merged.merge_with(stats)
        return merged
