"""Where the time of batches goes: which node works, which one waits, and what limits all."""

from __future__ import annotations

import json
import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxflow.pipeline.engine.memory import format_size
from voxflow.pipeline.engine.own_time import BETWEEN, HANDED_OVER
from voxflow.pipeline.engine.sampled import Sample, seconds_to_keep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from voxflow.pipeline.data import Batch, ProfilingStats
    from voxflow.pipeline.data.profiling import TimingRecord
    from voxflow.pipeline.engine.explain import Explanation

__all__ = ["NodeProfile", "Profile"]

_WAITS = 0.05  # the share of the time from which waiting for workers is what limits


@dataclass(slots=True)
class NodeProfile:
    """What one node took, over all batches.

    Attributes
    ----------
    label
        The node; "Batch" stands for voxels that are made when a batch is handed over, "Engine" for
        requests and batches on their way between nodes.
    calls
        How often it was asked.
    work
        Seconds in which the node itself worked, wherever that was.
    elsewhere
        Of these, the seconds in workers.
    wait
        Seconds in which it waited for nodes upstream, or for workers.
    bytes
        Of the arrays that it hands on for one batch, of those that are known before the run.
    """

    label: str
    calls: int = 0
    work: float = 0.0
    elsewhere: float = 0.0
    wait: float = 0.0
    bytes: int = 0

    @property
    def workers_share(self) -> float:
        """Which part of the work was done by workers."""
        return self.elsewhere / self.work if self.work else 0.0


@dataclass(frozen=True)
class Profile:
    """Where the time of some batches went; print it.

    All batches are timed as a whole. Where they are so short that it would take part of their time
    to keep all that was timed in them, only some are measured node by node, and stand for the
    others: what nodes took is extrapolated to all batches.

    Attributes
    ----------
    nodes
        All nodes, upstream first.
    batches
        How many batches there were.
    measured
        How many of them were measured node by node.
    wall
        Seconds from asking for a batch until it came, of all of them.
    waited
        Seconds of these in which nothing was done here, since a batch had to come from workers.
    workers
        How many other processes and threads had a part in it.
    """

    nodes: tuple[NodeProfile, ...]
    batches: int
    measured: int
    wall: float
    waited: float
    workers: int
    _calls: tuple[tuple[float, float], ...] = field(repr=False)
    _stats: tuple[ProfilingStats, ...] = field(repr=False)

    @property
    def accounted(self) -> float:
        """The part of `wall` that is told: work of nodes and of the engine here, and waiting for
        workers."""
        here = sum(node.work - node.elsewhere for node in self.nodes)
        return (here + self.waited) / self.wall if self.wall else 1.0

    @property
    def bottleneck(self) -> str:
        """The node that limits how fast batches come.

        Where batches wait for workers, the one that works longest there; else the one that works
        longest here.
        """
        waits = self.waited > _WAITS * self.wall

        def seconds(node: NodeProfile) -> float:
            return node.elsewhere if waits else node.work - node.elsewhere

        return max(self.nodes, key=seconds).label

    def __getitem__(self, label: str) -> NodeProfile:
        for node in self.nodes:
            if node.label == label:
                return node
        raise KeyError(f"no node {label!r}; there are: {', '.join(n.label for n in self.nodes)}")

    def write_timeline(self, path: str | Path) -> Path:
        """Write what happened when, for https://ui.perfetto.dev or ``chrome://tracing``.

        Parameters
        ----------
        path
            The file: JSON in the Trace Event Format, with a row for each process and thread. All
            batches are there, and what nodes did in those that were measured node by node.

        Returns
        -------
        pathlib.Path
            The file.
        """
        path = Path(path)
        path.write_text(json.dumps({"traceEvents": self._events(), "displayTimeUnit": "ms"}))
        return path

    def _events(self) -> list[dict[str, Any]]:
        records = (record for stats in self._stats for record in stats.get_records())
        spans = [r for r in records if r.start is not None and r.stop is not None]
        first = min([start for start, _ in self._calls] + [r.start or 0.0 for r in spans])
        process, thread = os.getpid(), threading.get_ident()
        places = dict.fromkeys([(process, thread), *((r.process, r.thread) for r in spans)])
        numbers = {place: number for number, place in enumerate(places)}

        def event(name: str, start: float, stop: float, place: tuple[int, int]) -> dict[str, Any]:
            at, lasts = round((start - first) * 1e6, 1), round(max(0.0, stop - start) * 1e6, 1)
            return {
                "name": name, "cat": "voxflow", "ph": "X", "ts": at, "dur": lasts,
                "pid": place[0], "tid": numbers[place],
            }  # fmt: skip

        events = [
            event(f"batch {i}", start, stop, (process, thread))
            for i, (start, stop) in enumerate(self._calls)
        ]
        for r in spans:
            name = r.label if r.method is None else f"{r.label}.{r.method}"
            events.append(event(name, r.start or 0.0, r.stop or 0.0, (r.process, r.thread)))
        names = [
            {
                "name": "thread_name", "ph": "M", "pid": place[0], "tid": number,
                "args": {"name": f"worker {number}" if number else "here"},
            }
            for place, number in numbers.items()
        ]  # fmt: skip
        return names + events

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        each = self.wall / self.batches
        some = ""
        if self.measured < self.batches:
            some = f", {self.measured} of them measured node by node"
        yield (
            f"{self.batches} batches of {1e3 * each:.3g} ms{some}; nodes here account for "
            f"{self.accounted:.1%} of the time"
        )
        rows: list[tuple[str, ...]] = [("NODE", "WORK ms", "WAIT ms", "CALLS", "BYTES", "WORKERS")]
        for node in self.nodes:
            ms = [f"{1e3 * seconds / self.batches:.3f}" for seconds in (node.work, node.wait)]
            size = format_size(node.bytes) if node.bytes else ""
            calls, share = f"{node.calls / self.batches:g}", f"{node.workers_share:.0%}"
            rows.append((node.label, *ms, calls, size, share))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            label, *rest = (
                cell.rjust(width) if i else cell.ljust(width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            yield "  ".join([label, *rest])
        if self.waited > _WAITS * self.wall:
            part = self.waited / self.wall
            yield f"batches wait for {self.workers} workers: {part:.0%} of the time"
        if any(node.label == HANDED_OVER for node in self.nodes):
            yield f"{HANDED_OVER}: voxels that no node looked at, made when it is handed over"
        yield f"{BETWEEN}: requests and batches on their way between nodes"
        yield f"bottleneck: {self.bottleneck}"


def profiled(
    serve: Callable[[], Batch], n: int, labels: Sequence[str], told: Explanation
) -> Profile:
    """Ask for batches, and add up what their nodes took.

    Parameters
    ----------
    serve
        Gives the next batch.
    n
        How many; one more is asked for before them.
    labels
        Of the nodes, upstream first.
    told
        What the request costs.
    """
    if n < 1:
        raise ValueError(f"a profile needs at least one batch, got n={n}")
    first = serve()  # compiles, opens files, starts workers
    sample = Sample(seconds_to_keep(first.profiling_stats))
    del first
    calls: list[tuple[float, float]] = []
    for _ in range(n):
        started = time.time()
        batch = serve()
        stopped = time.time()
        calls.append((started, stopped))
        sample.add(batch.profiling_stats, stopped - started)
        del batch  # as without a profile: the next one can have its memory
    total = _Sum(told, labels)
    for stats, *weights in sample.weighted():
        total.add(list(stats.get_records()), *weights)
    return Profile(
        total.nodes(),
        n,
        len(sample),
        sum(stop - start for start, stop in calls),
        total.waited,
        len(total.others),
        tuple(calls),
        tuple(stats for stats, *_ in sample.weighted()),
    )


class _Sum:
    """Adds up what was timed in batches, for each node."""

    def __init__(self, told: Explanation, labels: Sequence[str]) -> None:
        self._nodes = {label: NodeProfile(label) for label in labels}
        self._calls: dict[str, float] = dict.fromkeys(labels, 0.0)
        self.waited = 0.0
        self.others: set[tuple[int, int]] = set()
        self._here = (os.getpid(), threading.get_ident())
        self._sources = {node.label for node in told.nodes if node.is_source}
        for node in told.nodes:
            if node.label in self._nodes:
                size = sum(asked.bytes or 0 for asked in node.asked)
                self._nodes[node.label].bytes += node.times * size

    def nodes(self) -> tuple[NodeProfile, ...]:
        """All nodes, with what they took."""
        for label, node in self._nodes.items():
            node.calls = round(self._calls[label])
        return tuple(self._nodes.values())

    def add(self, records: Sequence[TimingRecord], time_for: float, calls_for: float) -> None:
        """Add one batch, as so many of them; its records come upstream first."""
        prepared: dict[tuple[tuple[int, int], str], float] = {}
        for i, record in enumerate(records):
            node = self._nodes.get(record.label)
            if node is None:
                node = self._nodes[record.label] = NodeProfile(record.label)
                self._calls[record.label] = 0.0
            place = (record.process, record.thread)
            key = (place, record.label)
            if place != self._here:
                self.others.add(place)
            start, stop = record.start or 0.0, record.stop or 0.0
            seconds = record.seconds * time_for
            if record.method != "process":
                self._calls[record.label] += calls_for
            if record.method == "prepare":
                prepared[key] = stop
            elif record.method == "process":
                node.wait += (start - prepared.pop(key, start)) * time_for
            elif record.method is None:
                node.wait += (stop - start - record.seconds) * time_for
                if self._came_from_elsewhere(record, records[:i]):
                    # The node did nothing itself, but waited for those that did.
                    node.wait += seconds
                    self.waited += seconds if place == self._here else 0.0
                    continue
            node.work += seconds
            node.elsewhere += 0.0 if place == self._here else seconds

    def _came_from_elsewhere(self, record: TimingRecord, before: Sequence[TimingRecord]) -> bool:
        """Whether what a node hands on was made in another process or thread."""
        if record.label in self._sources:
            return False
        start = record.start or 0.0
        places = [(r.process, r.thread) for r in before if (r.start or 0.0) >= start]
        here = (record.process, record.thread)
        # What was made ahead began before it was asked for; what was made here, after.
        return here not in places and any((r.process, r.thread) != here for r in before)
