"""How much memory a request takes at most, told before the run."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil, prod
from typing import TYPE_CHECKING, Any

from voxflow.pipeline.data import Affinities, ArrayKey, Descriptors, Vectors
from voxflow.pipeline.engine.legacy_random import is_foreign

if TYPE_CHECKING:
    from voxflow.pipeline.data import Kind
    from voxflow.pipeline.engine.planning import NodePlan

__all__ = ["Memory", "MemoryBound", "format_size", "memory_of", "scan_memory"]


_BESIDES = 1 << 20
"""What is held besides voxels: specs, timings, positions of a map."""


@dataclass(frozen=True)
class Memory:
    """How many bytes of voxels are held at once, at most, while a request is served.

    At each node that is: what its inputs hold, what it makes, as much again to work with (as much
    as its inputs, if that is more); an eighth of all that, which allocators keep; and 1 MiB for all
    else. Graphs are not counted, and neither is what a model holds while it computes.

    Attributes
    ----------
    bytes
        The most that is held.
    node
        The label of the node at which that is.
    assumed
        What is not known before the run, and what was assumed instead.
    """

    bytes: int
    node: str
    assumed: tuple[str, ...] = ()

    def __str__(self) -> str:
        said = f"about {format_size(self.bytes)} at most, in {self.node}"
        return "\n".join([said, *(f"  ({text})" for text in self.assumed)])


@dataclass(frozen=True)
class MemoryBound:
    """How much memory a process holds at most that serves several blocks at once.

    Attributes
    ----------
    block
        What one block takes.
    in_flight
        How many blocks are on their way at once.
    cache_bytes
        How much is kept of decoded chunks.
    where
        Which process that is, for the text.
    """

    block: Memory
    in_flight: int = 1
    cache_bytes: int = 0
    where: str = "this process"

    @property
    def bytes(self) -> int:
        """All of it."""
        return self.block.bytes * self.in_flight + self.cache_bytes

    def __str__(self) -> str:
        blocks = "block" if self.in_flight == 1 else "blocks at once"
        parts = [f"{self.in_flight} {blocks} of {format_size(self.block.bytes)}"]
        parts[0] += " each" if self.in_flight > 1 else ""
        if self.cache_bytes:
            parts.append(f"{format_size(self.cache_bytes)} of decoded chunks")
        said = f"at most about {format_size(self.bytes)} in {self.where}: {', '.join(parts)}"
        return "\n".join([said, *(f"  ({text})" for text in self.block.assumed)])


def scan_memory(
    plan: NodePlan, in_flight: int = 1, cache_bytes: int = 0, where: str = "this process"
) -> MemoryBound:
    """How much memory a process holds at most that serves blocks like a planned one.

    Parameters
    ----------
    plan
        The plan of one block, see `Pipeline.plan`.
    in_flight
        How many blocks are on their way at once, those that wait to be written included.
    cache_bytes
        How much is kept of decoded chunks.
    where
        Which process that is, for the text.

    Raises
    ------
    ValueError
        If a number is out of range.

    Examples
    --------
    >>> print(MemoryBound(Memory(80 * 2**20, "Predict"), 3, 100 * 2**20))
    at most about 340 MiB in this process: 3 blocks at once of 80 MiB each, 100 MiB of decoded
    chunks
    """
    if in_flight < 1 or cache_bytes < 0:
        raise ValueError(
            f"in_flight has to be at least 1, cache_bytes 0 or more, got {in_flight}, {cache_bytes}"
        )
    return MemoryBound(memory_of(plan), in_flight, cache_bytes, where)


def memory_of(plan: NodePlan) -> Memory:
    """What one request takes, see `NodePlan.memory`."""
    served = _Served.of(plan)
    served._reaches(served.all, plan.label)
    most = served.most + served.most // 8 + _BESIDES
    return Memory(most, served.node, tuple(dict.fromkeys(served.assumed)))


def format_size(size: float) -> str:
    """A number of bytes with its unit.

    Examples
    --------
    >>> format_size(1536)
    '1.5 KiB'
    """
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.4g} {unit}"
        size /= 1024
    return f"{size:.4g} TiB"


@dataclass
class _Served:
    """What serving a request takes, and what the batch then holds, by array."""

    most: int = 0
    node: str = ""
    working: int = 0
    """Of `most`, while the last node works."""
    held: dict[Any, int] = field(default_factory=dict)
    unmade: dict[Any, int] = field(default_factory=dict)
    """Of voxels that are not made yet: how much they will be."""
    values: dict[Any, int] = field(default_factory=dict)
    """How many values there are for a voxel."""
    assumed: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, visit: NodePlan) -> _Served:
        served = cls(node=visit.label)
        inputs = served._inputs(visit)
        repeated = any(plan.times > 1 for plan in visit.upstream or ())
        changed, defers = _changed(visit), _defers(visit.node)
        made = 0
        for key, spec in visit.request.items():
            if spec.placeholder or not isinstance(key, ArrayKey):
                continue
            size, before = served._size(visit, key, spec, inputs), inputs.held.get(key, 0)
            # A part may be a view of all that was there.
            served.held[key] = max(size, before)
            if before and defers:
                served.held[key], served.unmade[key] = before, size
            elif key in changed or repeated:
                made += size
            elif key in inputs.unmade:
                served.unmade[key] = size
        served.working = inputs.all
        if made or not defers:
            given = sum(inputs.unmade.get(key, size) for key, size in inputs.held.items())
            work = max(made, given) if made else 0
            served.working += made + work
            served._reaches(served.working, visit.label)
        return served

    @property
    def all(self) -> int:
        """What the batch holds when all of it is made."""
        return sum(self.held.values()) + sum(self.unmade.values())

    def _inputs(self, visit: NodePlan) -> _Served:
        """What a node is given, all of it held while the last of it is made."""
        if visit.upstream is None:
            self.assumed.append(f"what {visit.label} asks upstream is not counted")
        given = _Served()
        for plan in visit.upstream or ():
            one = _Served.of(plan)
            own = sum(one.held.values())
            waiting = sum(given.held.values()) + own * (plan.times - 1)
            self._reaches(waiting + one.most, one.node)
            for key, size in one.held.items():
                given.held[key] = given.held.get(key, 0) + size * plan.times
                given.values[key] = one.values[key] * plan.times
            for key, size in one.unmade.items():
                given.unmade[key] = given.unmade.get(key, 0) + size * plan.times
            self.assumed += one.assumed
        return given

    def _reaches(self, size: int, node: str) -> None:
        if size > self.most:
            self.most, self.node = size, node

    def _size(self, visit: NodePlan, key: Any, asked: Any, inputs: _Served) -> int:
        offered = visit.offered[key] if key in visit.offered else asked  # noqa: SIM401 - no dict
        who = f"{key} of {visit.label}"
        roi, voxel_size = asked.roi, offered.voxel_size or asked.voxel_size
        self.values[key] = self._values(visit, key, offered, inputs, who)
        if roi is None or roi.unbounded or voxel_size is None:
            self.assumed.append(f"{who}, which has no place, is not counted")
            return 0
        dtype = offered.dtype or asked.dtype
        if dtype is None:
            self.assumed.append(f"{who} is counted as values of 8 bytes")
        size = 8 if dtype is None else dtype.itemsize
        voxels: int = prod(map(ceil, roi.shape / voxel_size))
        return voxels * size * self.values[key]

    def _values(self, visit: NodePlan, key: Any, offered: Any, inputs: _Served, who: str) -> int:
        known: int | None = visit.node.values_per_voxel(key, inputs.values)
        if known is None and key in inputs.values:
            known = inputs.values[key]
        if known is None:
            known = _channels(offered.kind, len(offered.voxel_size or ()))
        if known is None:
            known = max(inputs.values.values(), default=1)
            many = "one channel" if known == 1 else f"{known} channels"
            self.assumed.append(f"{who} is counted as {many}")
        return known


def _changed(visit: NodePlan) -> set[Any]:
    """What a node may make anew."""
    node = visit.node
    if not isinstance(getattr(node, "updated_items", None), list):
        return {*visit.request.keys()} if visit.upstream == [] else {*node.provided_items}
    if node._skips(visit.request.clone()):
        return set()
    return {
        *(visit.request.keys() if is_foreign(node) else ()),
        *node.provided_items,
        *node.updated_items,
    }


def _defers(node: Any) -> bool:
    """Whether a node may hand on what is to be done to voxels, instead of doing it."""
    return node.looks_at_nothing and hasattr(node, "updated_items")


def _channels(kind: Kind | None, dims: int) -> int | None:
    if isinstance(kind, Affinities):
        return len(kind.offsets)
    if isinstance(kind, Vectors):
        return dims
    if isinstance(kind, Descriptors):
        return 1 + dims * (dims + 3) // 2  # a mean, a variance and a share; and correlations
    return None
