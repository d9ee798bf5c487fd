"""Serves the blocks of a scan, in order: here, or by workers whose batches come back."""

from __future__ import annotations

import contextlib
import copy
import itertools
import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from voxflow.nodes.flow.serving import Serving, upstream_of
from voxflow.nodes.sinks.dataset_write import DatasetWrite
from voxflow.nodes.sinks.sink import Sink, writers_upstream
from voxflow.nodes.sources.dataset_source import DatasetSource
from voxflow.pipeline.engine import BatchProvider
from voxflow.pipeline.engine.legacy_random import is_foreign
from voxflow.pipeline.engine.workers import (
    WorkerDied,
    WorkerPool,
    WorkerStalled,
    available_cpus,
)
from voxflow.stores.place import locate

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from voxflow.nodes.scanning.blocks import ScanBlocks
    from voxflow.nodes.scanning.scan import Scan
    from voxflow.pipeline.data import Batch, BatchRequest


Outcome = tuple[int, "Batch | Exception"]
"""The number of a block, and what came of it."""


@dataclass(frozen=True)
class Service:
    """How blocks are served.

    Parameters
    ----------
    label
        Of the scan, for messages.
    num_workers
        How many processes or threads make blocks. One thread works ahead where blocks are written
        here. Nodes from outside, which may draw from global random state, make blocks here, and a
        thread writes them.
    method
        How workers start: "forkserver", "spawn", or "thread".
    ahead
        How many blocks may be on their way at once.
    stall_timeout
        After how many seconds without an answer a worker counts as stalled.
    """

    label: str
    num_workers: int = 1
    method: Literal["forkserver", "spawn", "thread"] = "thread"
    ahead: int = 2
    stall_timeout: float = 600.0


def served(
    upstream: Any, blocks: ScanBlocks, numbers: Iterable[int], service: Service
) -> Generator[Outcome, None, None]:
    """Serve blocks, in order.

    Nodes that let data out and are the last ones run here, on what the workers deliver; the workers
    run everything upstream of those. Without workers, a thread does.

    Parameters
    ----------
    upstream
        The node that blocks are asked of, set up.
    blocks
        All blocks.
    numbers
        Which of them to serve.
    service
        How.

    Raises
    ------
    WorkerDied, WorkerStalled
        If a worker did; errors of blocks are handed out, and the rest goes on.
    """
    head, sinks = split_sinks(upstream)
    threads = service.method == "thread"
    serving = Serving(head, made=threads)
    several = available_cpus() > 1
    if threads and (serving.foreign or (service.num_workers == 1 and not (sinks and several))):
        if sinks and several and not any(map(is_foreign, sinks)):
            yield from _written_aside(upstream, serving, sinks, blocks, numbers, service)
        else:
            yield from _one_by_one(upstream, blocks, numbers)
        return
    pool = WorkerPool(
        serving,
        service.num_workers,
        method=service.method,
        ahead=service.ahead,
        name=service.label,
        stall_timeout=service.stall_timeout,
    )
    with pool:
        delivered = _Delivered(head, pool.result)
        top = _over(delivered, sinks)
        # Several workers do not know which of them is next.
        alone = threads and service.num_workers == 1 and _reads_no_output(upstream)
        to_come = _in_line(blocks, numbers, alone)
        ordered: deque[tuple[int, BatchRequest]] = deque()
        while True:
            for number, block in itertools.islice(to_come, service.ahead - len(ordered)):
                pool.submit(_seen_by(head, top, block))
                ordered.append((number, block))
            if not ordered:
                return
            number, block = ordered.popleft()
            outcome = _outcome(top.request_batch, block)
            delivered.drop_rest()
            yield number, outcome


def _one_by_one(
    upstream: Any, blocks: ScanBlocks, numbers: Iterable[int]
) -> Generator[Outcome, None, None]:
    told = _reads_no_output(upstream)
    for number, block in _in_line(blocks, numbers, told, Serving(upstream)):
        yield number, _outcome(upstream.request_batch, block)


def _written_aside(
    upstream: Any,
    serving: Serving,
    sinks: list[Sink],
    blocks: ScanBlocks,
    numbers: Iterable[int],
    service: Service,
) -> Generator[Outcome, None, None]:
    """Make blocks here, while a thread writes those before."""
    made: deque[Batch | Exception] = deque()
    delivered = _Delivered(serving.provider, partial(_take, made))
    top = _over(delivered, sinks)
    writing: deque[tuple[int, Future[Batch | Exception]]] = deque()
    told = _reads_no_output(upstream)
    ahead = 1  # until it is noted what the outputs are

    def write(block: BatchRequest) -> Batch | Exception:
        outcome = _outcome(top.request_batch, block)
        delivered.drop_rest()
        return outcome

    def written() -> Outcome:
        number, future = writing.popleft()
        return number, future.result()

    with ThreadPoolExecutor(1, "voxflow-scan") as thread:
        for number, block in _in_line(blocks, numbers, told, serving):
            made.append(_outcome(serving, _seen_by(serving.provider, top, block)))
            writing.append((number, thread.submit(write, block)))
            while len(writing) >= ahead or (writing and writing[0][1].done()):
                yield written()
                ahead = service.ahead
        while writing:
            yield written()


def _take(made: deque[Batch | Exception]) -> Batch:
    taken = made.popleft()
    if isinstance(taken, Exception):
        raise taken
    return taken


def _in_line(
    blocks: ScanBlocks, numbers: Iterable[int], told: bool, serving: Serving | None = None
) -> Iterator[tuple[int, BatchRequest]]:
    """Blocks that are told, if they are to be, how far it is to the one that follows.

    To who serves them one by one, that one is announced where that is of use.
    """
    line: Iterator[Any] = itertools.chain(numbers, [None])
    for number, following in itertools.pairwise(line):
        if serving is not None and following is not None and serving.prefetches:
            serving.announce(blocks.request(following))
        yield number, blocks.request(number, following if told else None)


def _reads_no_output(upstream: Any) -> bool:
    """Whether no block may be meant to read what the one before has written."""
    nodes = upstream_of(upstream)
    read = {_store(node) for node in nodes if isinstance(node, DatasetSource)}
    return not any(isinstance(node, DatasetWrite) and _store(node) in read for node in nodes)


def _store(node: DatasetSource | DatasetWrite) -> Any:
    is_path = isinstance(node.store, str | os.PathLike)
    return os.path.realpath(node.store) if is_path else id(node.store)


def _outcome(serve: Callable[[BatchRequest], Batch], block: BatchRequest) -> Batch | Exception:
    try:
        return serve(block)
    except (WorkerDied, WorkerStalled):
        raise
    except Exception as error:
        return error


def check_workers(scan: Scan) -> None:
    """Check that workers would neither write at once, nor read a file that is written.

    Raises
    ------
    ValueError
        If they would.
    """
    head, sinks = split_sinks(scan.get_upstream_provider())
    _refuse_writers(scan, head)
    if scan.method == "thread":
        return
    read = {_hdf5_file(node): node for node in upstream_of(head) if isinstance(node, DatasetSource)}
    for sink in sinks:
        file = _hdf5_file(sink) if isinstance(sink, DatasetWrite) else None
        if file is not None and file in read:
            raise ValueError(
                f"{sink.label} writes to {file}, which the {scan.num_workers} workers of "
                f"{scan.label} have open, because {read[file].label} reads it; HDF5 does not let "
                "processes do both at once. Write to another file or to Zarr, or use "
                "num_workers=1, or method='thread'"
            )


def _hdf5_file(node: DatasetSource | DatasetWrite) -> str | None:
    place = locate(node.store, "")
    return os.path.realpath(place.store) if place.kind == "hdf5" else None


def split_sinks(node: Any) -> tuple[Any, list[Sink]]:
    """The node that workers serve, and the sinks that follow it, downstream first."""
    sinks = []
    while isinstance(node, Sink):
        sinks.append(node)
        node = node.get_upstream_provider()
    return node, sinks


def _refuse_writers(scan: Scan, head: Any) -> None:
    for node in (head, *writers_upstream(head)):
        if getattr(node, "writes", False):
            raise ValueError(
                f"{node.label} is not directly upstream of {scan.label}, so that its "
                f"{scan.num_workers} workers would each run it for themselves, at once, and lose "
                "data; move it to the end of the pipeline, or use num_workers=1"
            )


class _Delivered(BatchProvider):
    """Stands where the node stands that makes blocks elsewhere, and hands out what it made."""

    def __init__(self, head: Any, take: Callable[[], Batch]) -> None:
        self.named(head.label)
        self.spec = head.spec
        self._take = take
        self._taken = False

    def name(self) -> str:
        """The node's own name would only confuse."""
        return "Scan (workers)"

    def provide(self, request: BatchRequest) -> Batch:
        """The next batch in order."""
        self._taken = True
        return self._take()

    def drop_rest(self) -> None:
        """Drop what was ordered for a block that failed before it was asked for."""
        if not self._taken:
            with contextlib.suppress(Exception):
                self._take()
        self._taken = False


def _over(bottom: Any, sinks: list[Sink]) -> Any:
    """The sinks on top of another node; copies, so that the pipeline stays as it is."""
    top = bottom
    for sink in reversed(sinks):
        double = copy.copy(sink)
        double._upstream = [top]
        top = double
    return top


def _seen_by(head: Any, top: Any, block: BatchRequest) -> BatchRequest:
    """What the workers' node is asked for when the topmost node is asked for a block."""
    node, request = top, block
    while not isinstance(node, _Delivered):
        # As when it is served: each node hands on a copy of what it is asked.
        visit = request.copy()
        visit._plans = {}
        visit.planning = True
        ((node, request),) = node.upstream_requests(visit)
    request.planning = False
    return request
