"""How long the nodes of a pipeline took, and what they count."""

from __future__ import annotations

import os
import statistics
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from voxflow.pipeline.data.provider_spec import ProviderSpec

_Record = tuple[str, str | None, float | None, float | None, float, str, int, int]
"""As `TimingRecord`, which takes longer to make."""

_Halves = tuple[str, str, float, float, float, float, tuple[int, int]]
"""Two of them, of a filter: its class and label, when `prepare` began and ended, the same of
`process`, and where that was."""

_Read = tuple[str, str, tuple[float, ...], tuple[float, ...]]
"""As `Read`."""


class _Thread(threading.local):
    """Which process and thread this is: to ask the system each time takes too long."""

    def __init__(self) -> None:
        self.place = os.getpid(), threading.get_ident()


_thread = _Thread()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _Thread.__init__(_thread))


class TimingRecord(NamedTuple):
    """One call that was timed.

    Attributes
    ----------
    node
        The name of the node's class.
    method
        The method; None for the node as a whole.
    start, stop
        The first start and the last stop, as of `time.time()`; None if there is none.
    seconds
        The time in between that counts: without that of nodes upstream.
    label
        The node's name among all of its pipeline.
    process, thread
        Where that was: the number of the process, and of the thread in it.
    """

    node: str
    method: str | None
    start: float | None
    stop: float | None
    seconds: float
    label: str
    process: int
    thread: int


class Read(NamedTuple):
    """A region that a source was asked for.

    Attributes
    ----------
    source
        The label of the source.
    key
        The array or graph.
    begin, end
        World units, one number for each spatial axis; rounded, as they are for statistics.
    """

    source: str
    key: str
    begin: tuple[float, ...]
    end: tuple[float, ...]


class Timing:
    """A stopwatch for one method of one node. It can be started and stopped many times.

    Parameters
    ----------
    node
        The node that is timed, or its name. Of a node, the name is that of its class.
    method_name
        The method that is timed; None for the node as a whole.

    Examples
    --------
    >>> timing = Timing("Hdf5Source")
    >>> timing.start()
    >>> timing.stop()
    >>> timing.get_node_name(), timing.elapsed() >= 0
    ('Hdf5Source', True)
    """

    __slots__ = ("_elapsed", "_first", "_last", "_method", "_node", "_running_since")

    def __init__(self, node: Any, method_name: str | None = None) -> None:
        self._node = node if isinstance(node, str) else type(node).__name__
        self._method = method_name
        self._first: float | None = None
        self._last: float | None = None
        self._elapsed = 0.0
        self._running_since: float | None = None

    def start(self) -> None:
        """Start, or go on after a stop. A timing that runs already keeps running."""
        if self._running_since is not None:
            return
        if self._first is None:
            self._first = time.time()
        self._running_since = time.perf_counter()

    def stop(self) -> None:
        """Stop; does nothing if the timing does not run."""
        if self._running_since is None:
            return
        self._elapsed += time.perf_counter() - self._running_since
        self._running_since = None
        self._last = time.time()

    def elapsed(self) -> float:
        """The seconds between all starts and stops, up to now if the timing still runs."""
        if self._running_since is None:
            return self._elapsed
        return self._elapsed + time.perf_counter() - self._running_since

    def span(self) -> tuple[float | None, float | None]:
        """The first start and the last stop, as of `time.time()`; None for what has not been."""
        return self._first, self._last

    def get_node_name(self) -> str:
        """The name of the node's class."""
        return self._node

    def get_method_name(self) -> str | None:
        """The method that is timed, or None."""
        return self._method

    def _record(self) -> _Record:
        times = self._first, self._last, self.elapsed()
        return self._node, self._method, *times, self._node, *_thread.place

    @classmethod
    def _of(cls, record: _Record) -> Timing:
        timing = cls(record[0], record[1])
        timing._first, timing._last, timing._elapsed = record[2:5]
        return timing

    def __repr__(self) -> str:
        method = "" if self._method is None else f".{self._method}"
        return f"Timing({self._node}{method}: {self.elapsed():.6f} s)"


class TimingSummary:
    """All timings of one method of one node.

    Attributes
    ----------
    timings
        The timings, in the order of their coming.
    times
        Their seconds.

    Examples
    --------
    >>> stats = ProfilingStats()
    >>> for seconds in (1.0, 2.0, 6.0):
    ...     stats.record("Scan", None, 0.0, seconds)
    >>> summary = stats.get_timing_summary("Scan")
    >>> summary.counts(), summary.min(), summary.median(), summary.mean()
    (3, 1.0, 2.0, 3.0)
    """

    __slots__ = ("times", "timings")

    def __init__(self) -> None:
        self.timings: list[Timing] = []
        self.times: list[float] = []

    def add(self, timing: Timing) -> None:
        """Add one timing."""
        self.timings.append(timing)
        self.times.append(timing.elapsed())

    def merge(self, other: TimingSummary) -> None:
        """Add all timings of another summary."""
        self.timings.extend(other.timings)
        self.times.extend(other.times)

    def counts(self) -> int:
        """How many timings there are."""
        return len(self.times)

    def min(self) -> float:
        """The shortest time in seconds. Raises ValueError without timings, as do the others."""
        return self._of_times(min)

    def max(self) -> float:
        """The longest time in seconds."""
        return self._of_times(max)

    def mean(self) -> float:
        """The mean of the times in seconds."""
        return self._of_times(statistics.fmean)

    def median(self) -> float:
        """The median of the times in seconds."""
        return self._of_times(statistics.median)

    def _of_times(self, measure: Callable[[list[float]], float]) -> float:
        if not self.times:
            raise ValueError("nothing has been timed, so there is no shortest or mean time")
        return float(measure(self.times))


class ProfilingStats:
    """The timings of all nodes that a batch went through, their counts, and what sources read.

    Adding is cheap; timings are sorted into summaries only when somebody looks.

    Examples
    --------
    >>> stats, other = ProfilingStats(), ProfilingStats()
    >>> stats.record("Pad", "prepare", 10.0, 10.5)
    >>> other.record("Pad", "process", 11.0, 12.0)
    >>> stats.merge_with(other)
    >>> stats.span_time(), sorted(stats.get_timing_summaries())
    (2.0, [('Pad', 'prepare'), ('Pad', 'process')])
    """

    __slots__ = ("_counts", "_reads", "_records", "_summaries", "_summarised")

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], int] = {}
        # Plain tuples, which pass through workers a hundred times faster than regions do.
        self._reads: list[_Read] = []
        self._records: list[_Record | _Halves] = []
        self._summaries: dict[tuple[str, str | None], TimingSummary] = {}
        self._summarised = 0

    def record(
        self,
        node_name: str,
        method: str | None,
        start: float,
        stop: float,
        seconds: float | None = None,
        *,
        label: str | None = None,
        place: tuple[int, int] | None = None,
    ) -> None:
        """Add what was timed from outside.

        Parameters
        ----------
        node_name
            The name of the node's class.
        method
            The method; None for the node as a whole.
        start, stop
            Values of `time.time()`.
        seconds
            The time in between that counts; None: all of it.
        label
            The node's name among all of its pipeline; None: that of its class.
        place
            The process and the thread; None: these.
        """
        counted = stop - start if seconds is None else seconds
        process, thread = place or _thread.place
        self._records.append(
            (node_name, method, start, stop, counted, label or node_name, process, thread)
        )

    def record_halves(
        self, node_name: str, label: str, began: float, ended: float, resumed: float, done: float
    ) -> None:
        """Add both methods of a filter, here and now: when `prepare` began and ended, and when
        `process` did, as of `time.time()`."""
        self._records.append((node_name, label, began, ended, resumed, done, _thread.place))

    def add(self, timing: Timing) -> None:
        """Add a timing as it is now; what happens to it later does not matter here."""
        self._records.append(timing._record())

    def count(self, node_name: str, event: str, times: int = 1) -> None:
        """Add to how often something happened in a node.

        >>> stats = ProfilingStats()
        >>> stats.count("ElasticAugment", "edges clipped", 3)
        >>> stats.count("ElasticAugment", "edges clipped")
        >>> stats.get_counts()
        {('ElasticAugment', 'edges clipped'): 4}
        """
        self._counts[node_name, event] = self._counts.get((node_name, event), 0) + times

    def get_counts(self) -> dict[tuple[str, str], int]:
        """How often what happened, by (node name, event)."""
        return dict(self._counts)

    def note_reads(self, source: str, request: ProviderSpec) -> None:
        """Write down the regions that a source is asked for.

        >>> from voxflow.pipeline.data import ArrayKey, BatchRequest
        >>> from voxflow.pipeline.geometry import Roi
        >>> stats = ProfilingStats()
        >>> stats.note_reads("ZarrSource", BatchRequest({ArrayKey("RAW"): Roi((10,), (5,))}))
        >>> stats.get_reads()
        [Read(source='ZarrSource', key='RAW', begin=(10.0,), end=(15.0,))]
        """
        for key, spec in request.items():
            roi = spec.roi
            if roi is None or spec.placeholder or roi.empty or roi.unbounded:
                continue
            begin, end = tuple(map(float, roi.begin)), tuple(map(float, roi.end))
            self._reads.append((source, str(key), begin, end))

    def get_reads(self) -> list[Read]:
        """What sources were asked for of all that is in the batch, in the order of its coming."""
        return list(map(Read._make, self._reads))

    def get_records(self) -> Iterator[TimingRecord]:
        """All that was timed, call by call, in the order of its coming."""
        return map(TimingRecord._make, _whole(self._records))

    def merge_with(self, other: ProfilingStats) -> None:
        """Add all timings, counts and reads of other stats."""
        self._records.extend(other._records)
        self._reads.extend(other._reads)
        for (node_name, event), times in other._counts.items():
            self.count(node_name, event, times)

    def get_timing_summaries(self) -> dict[tuple[str, str | None], TimingSummary]:
        """The timings by (node name, method name); the method is None for whole nodes."""
        for record in _whole(self._records[self._summarised :]):
            key = record[0], record[1]
            if key not in self._summaries:
                self._summaries[key] = TimingSummary()
            self._summaries[key].add(Timing._of(record))
        self._summarised = len(self._records)
        return self._summaries

    def get_timing_summary(self, node_name: str, method_name: str | None = None) -> TimingSummary:
        """The timings of one method of one node.

        Raises
        ------
        RuntimeError
            If there are none. Says what has been timed.
        """
        summaries = self.get_timing_summaries()
        try:
            return summaries[node_name, method_name]
        except KeyError:
            known = ", ".join(f"{n}.{m}" if m else n for n, m in summaries) or "nothing"
            asked = node_name if method_name is None else f"{node_name}.{method_name}"
            raise RuntimeError(f"{asked} has not been timed; timed so far: {known}") from None

    def span(self) -> tuple[float, float]:
        """The first start and the last stop of all timings, as of `time.time()`.

        Raises
        ------
        ValueError
            If nothing has been started and stopped.
        """
        records = list(_whole(self._records))
        starts = [record[2] for record in records if record[2] is not None]
        stops = [record[3] for record in records if record[3] is not None]
        if not starts or not stops:
            raise ValueError("nothing has been timed from start to stop, so there is no time span")
        return min(starts), max(stops)

    def span_time(self) -> float:
        """The seconds from the first start to the last stop.

        Raises
        ------
        ValueError
            If nothing has been started and stopped.
        """
        start, stop = self.span()
        return stop - start

    def __reduce__(self) -> tuple[Any, ...]:
        # The records say it all, summaries hold the same once more.
        return _restore, (self._records, dict(self._counts), self._reads)


def _whole(records: Iterable[_Record | _Halves]) -> Iterator[_Record]:
    """Each record by itself."""
    for record in records:
        if len(record) == 8:
            yield record
            continue
        node, label, began, ended, resumed, done, place = record
        yield node, "prepare", began, ended, ended - began, label, *place
        yield node, "process", resumed, done, done - resumed, label, *place


def _restore(
    records: list[_Record | _Halves], counts: Mapping[tuple[str, str], int], reads: list[_Read]
) -> ProfilingStats:
    stats = ProfilingStats()
    stats._records = list(records)
    stats._reads = list(reads)
    stats._counts.update(counts)
    return stats
