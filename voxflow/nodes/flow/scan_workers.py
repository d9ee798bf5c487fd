"""Blocks of a scan, served by workers."""

from __future__ import annotations

import copy
import os
from typing import TYPE_CHECKING, Any

from voxflow.nodes.flow.serving import Serving, upstream_of
from voxflow.nodes.sinks.dataset_write import DatasetWrite
from voxflow.nodes.sinks.sink import Sink, writers_upstream
from voxflow.nodes.sources.dataset_source import DatasetSource
from voxflow.pipeline.engine import BatchProvider
from voxflow.pipeline.engine.workers import WorkerPool
from voxflow.stores.place import locate

if TYPE_CHECKING:
    from collections.abc import Generator

    from voxflow.nodes.flow.scan import Scan
    from voxflow.nodes.flow.scan_blocks import ScanBlocks
    from voxflow.pipeline.data import Batch, BatchRequest


def serve_in_order(scan: Scan, blocks: ScanBlocks) -> Generator[Batch, None, None]:
    """Serve the blocks of a scan with its workers, in order.

    Nodes that let data out and lie directly upstream of the scan run here, on what the workers
    deliver; the workers run everything upstream of those.
    """
    head, sinks = split_sinks(scan)
    serving = Serving(head, made=scan.method == "thread")
    if scan.method == "thread" and not serving.threadsafe:
        upstream = scan.get_upstream_provider()
        yield from (upstream.request_batch(block) for block in blocks)
        return
    pool = WorkerPool(
        serving,
        scan.num_workers,
        method=scan.method,
        ahead=scan.cache_size,
        name=scan.label,
        stall_timeout=scan.stall_timeout,
    )
    with pool:
        top = _over(_Delivered(head, pool), sinks)
        following = iter(blocks)
        ordered: list[BatchRequest] = []
        for block in blocks:
            while len(ordered) < scan.cache_size and (ahead := next(following, None)) is not None:
                pool.submit(_seen_by(head, top, ahead))
                ordered.append(ahead)
            ordered.pop(0)
            yield top.request_batch(block)


def check_workers(scan: Scan) -> None:
    """Check that workers would neither write at once, nor read a file that is written.

    Raises
    ------
    ValueError
        If they would.
    """
    head, sinks = split_sinks(scan)
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


def split_sinks(scan: Any) -> tuple[Any, list[Sink]]:
    """The node that workers serve, and the sinks between it and the scan, downstream first.

    Raises
    ------
    ValueError
        If a node that several workers must not run lies further upstream.
    """
    head = scan.get_upstream_provider()
    sinks = []
    while isinstance(head, Sink):
        sinks.append(head)
        head = head.get_upstream_provider()
    for node in (head, *writers_upstream(head)):
        if getattr(node, "writes", False):
            raise ValueError(
                f"{node.label} is not directly upstream of {scan.label}, so that its "
                f"{scan.num_workers} workers would each run it for themselves, at once, and lose "
                "data; move it to the end of the pipeline, or use num_workers=1"
            )
    return head, sinks


class _Delivered(BatchProvider):
    """Stands where the workers' node stands, and hands out what they deliver."""

    def __init__(self, head: Any, pool: WorkerPool) -> None:
        self.named(head.label)
        self.spec = head.spec
        self._pool = pool

    def name(self) -> str:
        """The node's own name would only confuse."""
        return "Scan (workers)"

    def provide(self, request: BatchRequest) -> Batch:
        """The next batch in order."""
        batch: Batch = self._pool.result()
        return batch


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
