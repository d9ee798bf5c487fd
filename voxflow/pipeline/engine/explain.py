"""What a request costs: what each node asks, the context it adds, and how much is read."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, prod
from typing import TYPE_CHECKING, Any

from voxflow.pipeline.data import ArrayKey
from voxflow.pipeline.engine.drawing import draw, save
from voxflow.pipeline.engine.memory import Memory, _Served, format_size, memory_of
from voxflow.pipeline.geometry.exact import format_exact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from voxflow.pipeline.engine.planning import NodePlan

__all__ = ["AskedFor", "Explanation", "NodeExplained", "explain"]


@dataclass(frozen=True)
class AskedFor:
    """An array or a graph that a node is asked for.

    Attributes
    ----------
    key
        Which one.
    roi
        The region, in world units; None for what has no place.
    voxels
        Its shape in voxels, without channels; None where there are none.
    bytes
        Of all values; None where the type is not known, and for graphs.
    context
        How many voxels more than the node downstream of it was asked for, along each axis, both
        sides together; None if that was not asked for it.
    """

    key: Any
    roi: Any
    voxels: tuple[int, ...] | None
    bytes: int | None
    context: tuple[int, ...] | None


@dataclass(frozen=True)
class NodeExplained:
    """One node.

    Attributes
    ----------
    label
        What it is called.
    depth
        How many nodes are downstream of it.
    times
        How often it is asked, for one request.
    asked
        What for.
    is_source
        Whether it asks no other node.
    held
        Bytes that are held at once, at most, while it works: what it is given, what it makes, and
        what it needs besides.
    """

    label: str
    depth: int
    times: int
    asked: tuple[AskedFor, ...]
    is_source: bool
    held: int = 0

    @property
    def read(self) -> int:
        """Bytes that it is asked for as a source, of those that are known."""
        each = sum(asked.bytes or 0 for asked in self.asked)
        return each * self.times if self.is_source else 0


@dataclass(frozen=True)
class Explanation:
    """What a request costs, before the run; print it, or show it in a notebook.

    Attributes
    ----------
    nodes
        All nodes, downstream first.
    delivered
        Bytes of the arrays that were asked for, of those that are known.
    read
        Bytes that sources are asked for, of those that are known.
    memory
        How much is held at once: `Memory.expected` of it is to be seen in a process.
    kept
        Bytes of decoded chunks that stay in memory, which all workers share, of nothing that was
        kept before.
    decoded
        Bytes that are decoded of files for that, if nothing was kept before: of whole chunks, so
        that it is more where regions cut them. Of places that are drawn it is an example.
    """

    nodes: tuple[NodeExplained, ...]
    delivered: int
    read: int
    memory: Memory
    kept: int = 0
    decoded: int = 0

    @property
    def amplification(self) -> float:
        """How many bytes sources are asked for, for each one that is delivered."""
        return self.read / self.delivered if self.delivered else 0.0

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        for node in self.nodes:
            pad = "  " * node.depth
            yield f"{pad}{node.label}" + (f"  (asked {node.times} times)" if node.times > 1 else "")
            for asked in node.asked:
                yield f"{pad}  · {_row(asked)}"
        yield from self.summary()

    def summary(self) -> Iterator[str]:
        """What is told of all nodes together, line by line."""
        yield f"delivered: {format_size(self.delivered)}"
        times = f", {self.amplification:.3g} times as much" if self.delivered else ""
        yield f"asked of sources: {format_size(self.read)}{times}"
        if self.decoded:
            yield f"decoded of files, in whole chunks: {format_size(self.decoded)}"
        yield from f"memory: {format_size(self.memory.expected)}, {self.memory}".splitlines()
        if self.kept:
            yield f"decoded chunks that are kept besides: {format_size(self.kept)}"

    def save(self, path: str | Path) -> Path:
        """Draw it: a box for each node, from the sources down to the batch.

        Parameters
        ----------
        path
            The file, ``.svg`` or ``.html``; one that is there is replaced.

        Returns
        -------
        pathlib.Path
            The file.

        Raises
        ------
        ValueError
            If the name ends otherwise.
        """
        return save(self, path)

    def _repr_svg_(self) -> str:
        """What a notebook shows."""
        return draw(self)


def explain(plan: NodePlan) -> Explanation:
    """Say what a planned request costs.

    Parameters
    ----------
    plan
        As `voxflow.Pipeline.plan` gives it.
    """
    nodes = tuple(_explained(plan, None, 0, 1))
    first = nodes[0]
    return Explanation(
        nodes,
        sum(asked.bytes or 0 for asked in first.asked),
        sum(node.read for node in nodes),
        memory_of(plan),
        _of_sources(plan, lambda node, request: node.kept_bytes(request)),
        _of_sources(plan, lambda node, request: node.decoded_bytes(request)),
    )


def _of_sources(plan: NodePlan, count: Callable[[Any, Any], int], times: int = 1) -> int:
    """Bytes of all sources together, as often as each is asked."""
    own = 0 if plan.upstream else count(plan.node, plan.request) * times
    return own + sum(
        _of_sources(above, count, times * above.times) for above in plan.upstream or ()
    )


def _explained(
    visit: NodePlan, downstream: NodePlan | None, depth: int, times: int
) -> Iterator[NodeExplained]:
    times *= visit.times
    served = _Served.of(visit)
    asked = tuple(
        _asked(visit, downstream, key, spec, served.values)
        for key, spec in visit.request.items()
        if not spec.placeholder
    )
    yield NodeExplained(visit.label, depth, times, asked, visit.upstream == [], served.working)
    for plan in visit.upstream or []:
        yield from _explained(plan, visit, depth + 1, times)


def _asked(
    visit: NodePlan, downstream: NodePlan | None, key: Any, spec: Any, values: dict[Any, int]
) -> AskedFor:
    offered = visit.offered[key] if key in visit.offered else spec  # noqa: SIM401 - no dict
    size = getattr(offered, "voxel_size", None) or getattr(spec, "voxel_size", None)
    context = _context(downstream, key, spec, size)
    if spec.roi is None or spec.roi.unbounded or size is None:
        return AskedFor(key, spec.roi, None, None, context)
    voxels = tuple(map(ceil, spec.roi.shape / size))
    dtype = offered.dtype or spec.dtype
    known = isinstance(key, ArrayKey) and dtype is not None
    each = values.get(key, 1) * dtype.itemsize if known else None
    return AskedFor(key, spec.roi, voxels, None if each is None else prod(voxels) * each, context)


def _context(downstream: NodePlan | None, key: Any, spec: Any, size: Any) -> tuple[int, ...] | None:
    """How much larger a region is than what was asked for one node further downstream."""
    if downstream is None or key not in downstream.request or size is None:
        return None
    before = downstream.request[key].roi
    if before is None or spec.roi is None or before.unbounded or spec.roi.unbounded:
        return None
    if before.dims != spec.roi.dims or len(size) != before.dims:
        return None
    return tuple(map(ceil, (spec.roi.shape - before.shape) / size))


def _row(asked: AskedFor) -> str:
    if asked.voxels is None:
        return f"{asked.key}: {'no place' if asked.roi is None else asked.roi}"
    parts = [f"{asked.key}: {' x '.join(map(format_exact, asked.voxels))} voxels at {asked.roi}"]
    if asked.bytes is not None:
        parts.append(format_size(asked.bytes))
    if asked.context is not None and any(asked.context):
        parts.append(f"context {' x '.join(f'{n:+d}' for n in asked.context)}")
    return ", ".join(parts)
