"""What every node got and made for one request, to look at."""

from __future__ import annotations

import importlib
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.pipeline.data import Array, Batch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from voxflow.pipeline.data import BatchRequest, Graph, Key

__all__ = ["NodeTrace", "Trace", "watched"]


@dataclass(frozen=True, eq=False)
class NodeTrace:
    """One visit to a node: what it was asked for, what it got, drew and made.

    Attributes
    ----------
    node
        The label of the node.
    request
        What it was asked for.
    draws
        What its `draw` returned for this request, or what became of that, as where a map was drawn
        again; None if nothing was drawn.
    asked
        The visits that it made upstream, in their order: none for a source, several below a
        `Stack`, or where something was drawn again.
    outputs
        Arrays and graphs as the node handed them on, by key; copies.
    partial
        Arrays of which only a part has been read, since a map downstream shows no more: what is
        missing is 0 here.
    """

    node: str
    request: BatchRequest
    draws: Any
    asked: tuple[NodeTrace, ...]
    outputs: Mapping[Key, Array | Graph]
    partial: frozenset[Key] = frozenset()

    @property
    def inputs(self) -> dict[Key, Array | Graph]:
        """Arrays and graphs that came from upstream; of a key that came often, the last one."""
        return {key: item for visit in self.asked for key, item in visit.outputs.items()}

    def __repr__(self) -> str:
        return f"NodeTrace({self.node}: {', '.join(map(str, self.outputs)) or 'nothing'})"


@dataclass(frozen=True, eq=False)
class Trace:
    """One request on its way through a pipeline; print it.

    Attributes
    ----------
    nodes
        A visit to each node, in the order in which they were done: upstream first. A node that was
        asked several times is there as often.
    batch
        What came out at the end.
    """

    nodes: tuple[NodeTrace, ...]
    batch: Batch

    def __getitem__(self, label: str) -> NodeTrace:
        for visit in reversed(self.nodes):
            if visit.node == label:
                return visit
        known = ", ".join(dict.fromkeys(visit.node for visit in self.nodes))
        raise KeyError(f"no node {label!r} was asked; there were: {known}")

    def __iter__(self) -> Iterator[NodeTrace]:
        return iter(self.nodes)

    def __len__(self) -> int:
        return len(self.nodes)

    def write(self, path: str | Path) -> Path:
        """Write a folder with a Zarr file for each visit, for `voxflow inspect`.

        The files are numbered in the order of `nodes`. Each holds `inputs` and `outputs`, and in
        its attributes the node, its draws as text, and the `replay_token`.

        Parameters
        ----------
        path
            The folder. Files of an older trace in it are replaced.

        Returns
        -------
        pathlib.Path
            The folder.

        Raises
        ------
        FileExistsError
            If there is something else in it.
        """
        # Files belong to rooms further up; this is the one place that calls up there.
        files: Any = importlib.import_module("voxflow.nodes.sinks.trace_files")
        written: Path = files.write_trace(self, path)
        return written

    def __str__(self) -> str:
        return "\n".join(line for visit in self.nodes for line in _lines(visit))


def _lines(visit: NodeTrace) -> Iterator[str]:
    yield visit.node
    if visit.draws is not None:
        yield f"  drew {short(visit.draws)}"
    inputs = visit.inputs
    for key, item in visit.outputs.items():
        if not isinstance(item, Array):
            yield f"  {key}: {len(item.ids)} nodes in {item.spec.roi}"
            continue
        before = inputs.get(key)
        same = isinstance(before, Array) and _same(before, item)
        told = "as it came" if same else _told(item)
        yield f"  {key}: {told}{', of which a part was read' if key in visit.partial else ''}"


def _same(first: Array, second: Array) -> bool:
    a, b = first.view, second.view
    return first.spec.roi == second.spec.roi and a.dtype == b.dtype and np.array_equal(a, b)


def _told(array: Array) -> str:
    shape = " x ".join(map(str, array.shape)) or "one value"
    data, where = array.view, "" if array.spec.roi is None else f" at {array.spec.roi}"
    values = ""
    if data.size and data.dtype.kind in "biuf":
        values = f", {data.min().item():.6g} to {data.max().item():.6g}"
    return f"{shape} {data.dtype}{where}{values}"


def short(draws: Any, most: int = 200) -> str:
    """What a node drew, as one line of text; long arrays and lines are cut."""
    with np.printoptions(threshold=8, edgeitems=2, precision=6):
        text = " ".join(repr(draws).split())
    return text if len(text) <= most else f"{text[: most - 1]}…"


@dataclass
class Watch:
    """Writes down the visits of one thread while they are made."""

    nodes: list[NodeTrace] = field(default_factory=list)
    _open: list[list[NodeTrace]] = field(default_factory=lambda: [[]])

    def provide(self, node: Any, visit: BatchRequest, request: BatchRequest) -> Batch:
        """What a node makes of a request, written down; see `BatchProvider._timed_provide`."""
        plans: dict[str, Any] = {} if visit._plans is None else visit._plans
        self._open.append([])
        try:
            batch: Batch = node._timed_provide(visit, request)
        finally:
            asked = self._open.pop()
        outputs: dict[Any, Any] = {}
        partial = set()
        for key, item in batch.items():
            outputs[key], whole = _kept(item)
            if not whole:
                partial.add(key)
        draws = next(reversed(plans.values()), None)  # what became of the draw comes after it
        made = NodeTrace(
            node._engine_label, request.clone(), draws, tuple(asked), outputs, frozenset(partial)
        )
        self._open[-1].append(made)
        self.nodes.append(made)
        return batch


class _Thread(threading.local):
    watch: Watch | None = None


here = _Thread()


@contextmanager
def watched() -> Iterator[Watch]:
    """Write down the visits that this thread makes meanwhile."""
    before, here.watch = here.watch, Watch()
    try:
        yield here.watch
    finally:
        here.watch = before


def _kept(item: Any) -> tuple[Any, bool]:
    """A copy as it is now, and whether it is whole; what is not made yet stays so in the batch."""
    if not isinstance(item, Array):
        return item.copy(), True
    deferred = item.deferred
    if deferred is None:
        return item._with(np.array(item.data), item.spec), True
    data = np.empty(item.shape, item.dtype)
    whole = deferred.sketch(data)
    return item._with(data, item.spec), whole
