"""Serves the blocks of a scan, in order: here, or by workers whose batches come back."""

from __future__ import annotations

import contextlib
import copy
import itertools
import os
from collections import deque
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from voxflow.nodes.flow.serving import Serving, upstream_of
from voxflow.nodes.sinks.dataset_write import DatasetWrite
from voxflow.nodes.sinks.landing import Landing
from voxflow.nodes.sinks.places import folder_of
from voxflow.nodes.sinks.sink import Sink, writers_upstream
from voxflow.nodes.sources.dataset_source import DatasetSource
from voxflow.pipeline.data import Batch
from voxflow.pipeline.engine import BatchProvider
from voxflow.pipeline.engine.legacy_random import is_foreign
from voxflow.pipeline.engine.outside import FinishedFirst
from voxflow.pipeline.engine.provider import request_deferred
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
    from voxflow.pipeline.data import BatchRequest


Outcome = tuple[int, "Batch | Exception"]
"""The number of a block, and what came of it."""
_Waiting = tuple[int, "Batch | Exception", "list[Callable[[], None]]"]
"""The same, and what waits until it is written."""


@dataclass(frozen=True)
class Service:
    """How blocks are served.

    Parameters
    ----------
    label
        Of the scan, for messages.
    num_workers
        How many processes or threads make blocks. One thread works ahead where blocks are written
        here. Nodes from outside, which may draw from global random state, make blocks here.
    method
        How workers start: "forkserver", "spawn", or "thread".
    ahead
        How many blocks may be on their way at once.
    stall_timeout
        After how many seconds without an answer a worker counts as stalled.
    in_turn
        Whether nodes from outside find the block before written when they do their work. That what
        they made of it is their own again they find always, also before, in `prepare`.
    """

    label: str
    num_workers: int = 1
    method: Literal["forkserver", "spawn", "thread"] = "thread"
    ahead: int = 2
    stall_timeout: float = 600.0
    in_turn: bool = True


def served(
    upstream: Any,
    blocks: ScanBlocks,
    numbers: Iterable[int],
    service: Service,
    *,
    looked_at: bool = False,
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
    looked_at
        Whether somebody looks at the voxels that are handed out. Nodes from outside may write to
        them as they make the next block.

    Raises
    ------
    WorkerDied, WorkerStalled
        If a worker did; errors of blocks are handed out, and the rest goes on.
    """
    head, sinks = split_sinks(upstream)
    threads = service.method == "thread"
    serving = Serving(head, made=threads)
    # Their nodes work here, and may write again to what they made before.
    outside = threads and serving.foreign
    with Landing(keeps=outside) as landing:
        # Who made a sink may count on it that all is written when its batch is passed on.
        aside = None if any(map(is_foreign, sinks)) else landing
        # What the next block is meant to read has to be there.
        apart = _reads_no_output(upstream)
        made = _made(serving, sinks, aside, _Asked(blocks, numbers, apart), service)
        with closing(made):
            yield from _written(made, landing, 1 if apart and not (outside and looked_at) else 0)


def _written(
    made: Generator[Outcome, None, None], landing: Landing, most: int
) -> Generator[Outcome, None, None]:
    """Hand out blocks when they are written, so many of them while the next one is made."""
    line: deque[_Waiting] = deque()
    left = 0  # until it is noted what the outputs are
    try:
        for number, outcome in made:
            line.append((number, outcome, landing.take()))
            del outcome
            # Where nothing is being written any more, there is nothing to wait for.
            while line and (len(line) > left or not line[0][2]):
                yield _landed(*line.popleft())
                left = most
    except Exception:
        yield from _rest(line)  # which was made before
        raise
    else:
        yield from _rest(line)
    finally:
        for waiting in line:
            _landed(*waiting)


def _rest(line: deque[_Waiting]) -> Generator[Outcome, None, None]:
    while line:
        yield _landed(*line.popleft())


def _landed(number: int, outcome: Batch | Exception, begun: list[Callable[[], None]]) -> Outcome:
    """Wait until a block is written, whatever else became of it."""
    for wait in begun:
        try:
            wait()
        except Exception as error:
            outcome = outcome if isinstance(outcome, Exception) else error
    return number, outcome


def _made(
    serving: Serving, sinks: list[Sink], landing: Landing | None, asked: _Asked, service: Service
) -> Generator[Outcome, None, None]:
    """Make blocks, and begin to write them."""
    head, threads = serving.provider, service.method == "thread"
    several = available_cpus() > 1
    if threads and (serving.foreign or (service.num_workers == 1 and not (sinks and several))):
        top = [*sinks, head][0] if landing is None else _over(head, sinks, landing)
        settle = landing.settle if landing is not None and service.in_turn else None
        for number, block in asked.in_line(asked.apart, serving):
            # What nobody looks at before the next one is made need not be made itself.
            outcome = _outcome(partial(request_deferred, top), block, settle)
            if serving.foreign and isinstance(outcome, Batch):
                outcome = outcome.taken_over(voxels=False)
            yield number, outcome
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
        top = _over(delivered, sinks, landing)
        # Several workers do not know which of them is next.
        to_come = asked.in_line(threads and service.num_workers == 1 and asked.apart)
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


@dataclass(frozen=True)
class _Asked:
    """Which blocks are asked for, and whether none of them may be meant to read another one."""

    blocks: ScanBlocks
    numbers: Iterable[int]
    apart: bool

    def in_line(
        self, told: bool, serving: Serving | None = None
    ) -> Iterator[tuple[int, BatchRequest]]:
        """Blocks that are told, if they are to be, how far it is to the one that follows.

        To who serves them one by one, that one is announced where that is of use.
        """
        line: Iterator[Any] = itertools.chain(self.numbers, [None])
        for number, following in itertools.pairwise(line):
            if serving is not None and following is not None and serving.prefetches:
                serving.announce(self.blocks.request(following))
            yield number, self.blocks.request(number, following if told else None)


def _reads_no_output(upstream: Any) -> bool:
    """Whether no block may be meant to read what the one before has written."""
    nodes = upstream_of(upstream)
    read = [folder_of(node.store) for node in nodes if isinstance(node, DatasetSource)]
    written = [folder_of(node.store) for node in nodes if isinstance(node, DatasetWrite)]
    return not any(a.startswith(b) or b.startswith(a) for a in read for b in written)


def _outcome(
    serve: Callable[[BatchRequest], Batch],
    block: BatchRequest,
    before_outside: Callable[[], None] | None = None,
) -> Batch | Exception:
    """A block, or what went wrong; with what is called before nodes from outside do their work."""
    try:
        with FinishedFirst(before_outside):
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


def _over(bottom: Any, sinks: list[Sink], landing: Landing | None = None) -> Any:
    """The sinks on top of another node; copies, so that the pipeline stays as it is."""
    top = bottom
    for sink in reversed(sinks):
        double = copy.copy(sink)
        double._upstream = [top]
        double.landing = landing
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
