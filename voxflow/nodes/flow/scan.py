"""A large region in many small requests."""

from __future__ import annotations

import logging
from contextlib import closing
from typing import TYPE_CHECKING, Any, Literal

from voxflow.nodes.flow.scan_blocks import ScanBlocks
from voxflow.nodes.flow.scan_callback import ScanBar, ScanCallback
from voxflow.nodes.flow.scan_result import ScanResult
from voxflow.nodes.flow.scan_workers import check_workers, serve_in_order
from voxflow.nodes.flow.serving import Serving
from voxflow.pipeline.engine import BatchFilter, RequestRefused
from voxflow.pipeline.engine.legacy_random import seed_globals

if TYPE_CHECKING:
    from collections.abc import Generator

    from voxflow.pipeline.data import Batch, BatchRequest

logger = logging.getLogger(__name__)


class Scan(BatchFilter):
    """Splits a large request into blocks, each the size of a reference request.

    An empty request scans all that is provided of the keys in the reference, and gives an empty
    batch: use it with a writer upstream. Any other request is answered as usual, with the arrays
    put together from the blocks. Blocks lie on a grid that begins where the data begin, whatever
    region is asked for; the last one along each axis is moved back inside. So the same voxel comes
    from the same block, whether a part or the whole is scanned, and no block is computed twice.
    The first axis varies fastest.

    Parameters
    ----------
    reference
        What one block asks for; only sizes and relative positions matter.
    num_workers
        How many processes serve blocks; 1: none, blocks are served one by one here. Nodes directly
        upstream that only let data out (writers, snapshots) stay in this process.
    cache_size
        How many blocks may be on their way at once.
    progress_callback
        Told about the progress; None: a progress bar.
    method
        How workers start: "forkserver", "spawn", or "thread".
    stall_timeout
        After how many seconds without an answer a worker counts as stalled.

    Raises
    ------
    ValueError
        If a number is out of range. At setup, if there are several workers, and a writer lies
        further upstream, or writes to the HDF5 file that the workers read.
    RequestRefused
        At a request, if the reference fits nowhere into what is provided.
    """

    def __init__(
        self,
        reference: BatchRequest,
        num_workers: int = 1,
        cache_size: int = 50,
        progress_callback: ScanCallback | None = None,
        *,
        method: Literal["forkserver", "spawn", "thread"] = "forkserver",
        stall_timeout: float = 600.0,
    ) -> None:
        if num_workers < 1 or cache_size < 1:
            raise ValueError(
                f"num_workers and cache_size have to be at least 1, got {num_workers}, {cache_size}"
            )
        if method not in ("forkserver", "spawn", "thread"):
            raise ValueError(f"method has to be 'forkserver', 'spawn' or 'thread', got {method!r}")
        self.reference = reference.clone()
        self.num_workers = num_workers
        self.cache_size = cache_size
        self.progress_callback = ScanBar() if progress_callback is None else progress_callback
        self.method = method
        self.stall_timeout = stall_timeout

    def setup(self) -> None:
        """Check that workers would neither write at once, nor read a file that is written."""
        if self.num_workers > 1:
            check_workers(self)

    def upstream_requests(self, request: BatchRequest) -> list[tuple[Any, BatchRequest]]:
        """The first block, which stands for all."""
        for block in self._blocks(request):
            return [(self.get_upstream_provider(), block)]
        return []

    def provide(self, request: BatchRequest) -> Batch:
        """Scan."""
        blocks = self._blocks(request)
        if len(request) == 0:
            self._warn_of_gaps(blocks)
        result = ScanResult(request)
        self.progress_callback.start(len(blocks))
        try:
            with closing(self._served(blocks)) as batches:
                for done, batch in enumerate(batches, start=1):
                    result.add(batch)
                    self.progress_callback.update(done)
        finally:
            self.progress_callback.stop()
        # Whoever made the blocks: nodes from outside go on from one state.
        seed_globals(request)
        return result.batch

    def _warn_of_gaps(self, blocks: ScanBlocks) -> None:
        for key, covered in blocks.covered.items():
            there = self.spec[key].roi
            if there is not None and not there.unbounded and covered != there:
                logger.warning(
                    "%s: blocks like the reference cover %s of %s, and not all of %s that is "
                    "provided (world units)",
                    self.label,
                    covered,
                    key,
                    there,
                )

    def _blocks(self, request: BatchRequest) -> ScanBlocks:
        try:
            return ScanBlocks(self.reference, request, self.spec)
        except ValueError as error:
            raise RequestRefused([f"{self.label}: {error}"]) from error

    def _served(self, blocks: ScanBlocks) -> Generator[Batch, None, None]:
        if self.num_workers > 1:
            return serve_in_order(self, blocks)
        return _one_by_one(self.get_upstream_provider(), blocks)


def _one_by_one(upstream: Any, blocks: ScanBlocks) -> Generator[Batch, None, None]:
    serving, coming = Serving(upstream), iter(blocks)
    next(coming, None)
    for block in blocks:
        following = next(coming, None)
        if following is not None:
            serving.announce(following)
        yield upstream.request_batch(block)
