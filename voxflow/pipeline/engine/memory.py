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

    At each node that is: what its inputs hold, what it makes, and what it says that it needs
    besides (`BatchProvider.working_bytes`; of one that does not say, as much as it makes, or as its
    inputs, if that is more). Voxels that are not made yet hold what they are made of, and, once
    somebody looks, themselves. An eighth of all that is added, which allocators keep; and 1 MiB for
    all else. Graphs are not counted.

    Attributes
    ----------
    bytes
        The most that is held.
    node
        The label of the node at which that is.
    assumed
        What is not known before the run, and what was assumed instead.
    expected
        The same without what is added: how much it will be, rather than what it stays below.
    """

    bytes: int
    node: str
    assumed: tuple[str, ...] = ()
    expected: int = 0

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
        How much is kept of decoded chunks. A quarter is added to it, which allocators keep.
    where
        Which process that is, for the text.
    ahead_bytes
        How much is read ahead of the block that comes next.
    """

    block: Memory
    in_flight: int = 1
    cache_bytes: int = 0
    where: str = "this process"
    ahead_bytes: int = 0

    @property
    def bytes(self) -> int:
        """All of it."""
        kept = self.cache_bytes + self.cache_bytes // 4
        return self.block.bytes * self.in_flight + self.ahead_bytes + kept

    def __str__(self) -> str:
        blocks = "block" if self.in_flight == 1 else "blocks at once"
        parts = [f"{self.in_flight} {blocks} of {format_size(self.block.bytes)}"]
        parts[0] += " each" if self.in_flight > 1 else ""
        if self.ahead_bytes:
            parts.append(f"{format_size(self.ahead_bytes)} read ahead")
        if self.cache_bytes:
            parts.append(f"{format_size(self.cache_bytes)} of decoded chunks and a quarter more")
        said = f"at most about {format_size(self.bytes)} in {self.where}: {', '.join(parts)}"
        return "\n".join([said, *(f"  ({text})" for text in self.block.assumed)])


def scan_memory(
    plan: NodePlan,
    in_flight: int = 1,
    cache_bytes: int = 0,
    where: str = "this process",
    *,
    reads_ahead: bool = False,
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
    reads_ahead
        Whether sources read what the next block needs, meanwhile.

    Raises
    ------
    ValueError
        If a number is out of range.

    Examples
    --------
    >>> print(MemoryBound(Memory(80 * 2**20, "Predict"), 3, 100 * 2**20))
    at most about 365 MiB in this process: 3 blocks at once of 80 MiB each, 100 MiB of decoded
    chunks and a quarter more
    """
    if in_flight < 1 or cache_bytes < 0:
        raise ValueError(
            f"in_flight has to be at least 1, cache_bytes 0 or more, got {in_flight}, {cache_bytes}"
        )
    ahead = _read_by(plan) if reads_ahead else 0
    return MemoryBound(memory_of(plan), in_flight, cache_bytes, where, ahead)


def memory_of(plan: NodePlan) -> Memory:
    """What one request takes, see `NodePlan.memory`."""
    served = _Served.of(plan)
    served.make(plan.label)
    most = served.most + served.most // 8 + _BESIDES
    return Memory(most, served.node, tuple(dict.fromkeys(served.assumed)), served.most)


def _read_by(plan: NodePlan) -> int:
    """What sources read for a request, or what nodes get of which it is not known what they ask."""
    if not plan.upstream:
        return sum(_Served.of(plan).held.values())
    return sum(above.times * _read_by(above) for above in plan.upstream)


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

    label: str = ""
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
        served = cls(visit.label, node=visit.label)
        inputs = served._inputs(visit)
        sizes = {
            key: served._size(visit, key, spec, inputs)
            for key, spec in visit.request.items()
            if isinstance(key, ArrayKey) and not spec.placeholder
        }
        touched = _touched(visit)
        new = [key for key in touched if key in sizes and not _stays(visit, key)]
        made = dict[Any, int]()
        if visit.node.hands_on_recipes:
            inputs.unmade.update({key: sizes[key] for key in new})
        else:
            made = {key: ceil(sizes[key] * _grown(visit, key)) for key in new}
            stacks = _is_repeated(visit)  # where each repetition lies, it is made
            looks = is_foreign(visit.node) or (_is_filter(visit.node) and not stacks)
            inputs._look(served, visit, touched if looks else set())
        served._works(visit, inputs.held, made)
        for key, size in sizes.items():
            # A part may be a view of all that was there.
            before = inputs.held.get(key, 0 if key in inputs.unmade else size)
            served.held[key] = made.get(key, before)
            if key in inputs.unmade and key not in made:
                served.unmade[key] = size
        return served

    def make(self, label: str) -> None:
        """Make what is not made yet, as when the batch is handed over by its last node."""
        self._make(self, label, set(self.unmade))

    def _look(self, served: _Served, visit: NodePlan, touched: set[Any]) -> None:
        """Make what a node looks at."""
        looked = {key for key in self.unmade if _is_looked_at(visit, key, touched)}
        if touched and not looked:
            looked = set(self.unmade)
        self._make(served, visit.label, looked)

    def _make(self, served: _Served, label: str, keys: set[Any]) -> None:
        """Make arrays, one after the other; their recipes are then gone."""
        for key in sorted(keys, key=str):
            size = self.unmade.pop(key)
            served._reaches(sum(self.held.values()) + size, label)
            self.held[key] = size

    def _works(self, visit: NodePlan, given: dict[Any, int], made: dict[Any, int]) -> None:
        """Count what a node is given, what it makes, and what it needs besides."""
        there, new = sum(given.values()), sum(made.values())
        work: int | None = 0
        if made:
            work = visit.node.working_bytes(visit.request, given, made)
            if work is None:
                work = max(there, new)
        self._reaches(there + new + (work or 0), visit.label)

    def _inputs(self, visit: NodePlan) -> _Served:
        """What a node is given, all of it held while the last of it is made."""
        if visit.upstream is None:
            self.assumed.append(f"what {visit.label} asks upstream is not counted")
        given = _Served()
        for plan in visit.upstream or ():
            one = _Served.of(plan)
            own = sum(one.held.values())
            # Of inputs that have the same arrays, one is asked.
            waiting = sum(size for key, size in given.held.items() if key not in one.held)
            self._reaches(waiting + own * (plan.times - 1) + one.most, one.node)
            for key, size in one.held.items():
                given.held[key] = max(given.held.get(key, 0), size * plan.times)
                given.values[key] = one.values[key] * plan.times
            for key, size in one.unmade.items():
                given.unmade[key] = max(given.unmade.get(key, 0), size * plan.times)
            self.assumed += one.assumed
        return given

    def _reaches(self, size: int, node: str) -> None:
        if node == self.label:
            self.working = max(self.working, size)
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


def _touched(visit: NodePlan) -> set[Any]:
    """What a node makes anew or changes, or may."""
    node = visit.node
    repeated = _is_repeated(visit)
    if not _is_filter(node):
        if repeated or visit.upstream == []:
            return {*visit.request.keys()}
        passed = (plan.request.keys() for plan in visit.upstream or () if node.looks_at_nothing)
        return {*node.provided_items}.difference(*passed)
    if node._skips(visit.request.clone()):
        return set()
    touched = {*node.provided_items, *node.updated_items}
    if is_foreign(node) or repeated or (node.hands_on_recipes and not touched):
        touched = {*visit.request.keys()}
    return touched


def _stays(visit: NodePlan, key: Any) -> bool:
    """Whether an array is handed on as it came, though it is one that the node changes."""
    return bool(visit.node.only_fills and _upstream_roi(visit, key) == visit.request[key].roi)


def _is_repeated(visit: NodePlan) -> bool:
    return any(plan.times > 1 for plan in visit.upstream or ())


def _is_filter(node: Any) -> bool:
    """Whether it has one node upstream, and says what it changes."""
    return isinstance(getattr(node, "updated_items", None), list)


def _upstream_roi(visit: NodePlan, key: Any) -> Any:
    """The region that a node asks for; None if it does not ask one other node for that."""
    plans = visit.upstream or ()
    return plans[0].request[key].roi if len(plans) == 1 and key in plans[0].request else None


def _is_looked_at(visit: NodePlan, key: Any, touched: set[Any]) -> bool:
    """Whether a node reads an array: what it changes, and what was asked for its sake."""
    if key in touched or key not in visit.request or visit.request[key].placeholder:
        return True
    return bool(touched) and bool(_upstream_roi(visit, key) != visit.request[key].roi)


def _grown(visit: NodePlan, key: Any) -> float:
    """How many voxels a node makes of an array that it changes, for each one that is asked for."""
    before, after = _upstream_roi(visit, key), visit.request[key].roi
    if None in (before, after) or before.unbounded or after.unbounded or not after.size:
        return 1
    return max(1.0, float(before.size / after.size))


def _channels(kind: Kind | None, dims: int) -> int | None:
    if isinstance(kind, Affinities):
        return len(kind.offsets)
    if isinstance(kind, Vectors):
        return dims
    if isinstance(kind, Descriptors):
        return 1 + dims * (dims + 3) // 2  # a mean, a variance and a share; and correlations
    return None
