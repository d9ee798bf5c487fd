"""A large region in many small requests."""

from __future__ import annotations

import logging
from contextlib import closing, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from voxflow.nodes.flow.serving import upstream_of
from voxflow.nodes.scanning.blocks import ScanBlocks
from voxflow.nodes.scanning.callback import ScanBar, ScanCallback
from voxflow.nodes.scanning.forecast import forecast, plan_block, shared_bytes
from voxflow.nodes.scanning.heap import Ceiling, share_heap
from voxflow.nodes.scanning.job import Job, ScanPolicy, run_here
from voxflow.nodes.scanning.launch import FIELD
from voxflow.nodes.scanning.opening import open_job
from voxflow.nodes.scanning.outputs import outputs_of, tidy, writers_of
from voxflow.nodes.scanning.result import ScanResult
from voxflow.nodes.scanning.serve import Service, check_workers, served
from voxflow.nodes.scanning.with_daisy import obstacle, run_with_daisy
from voxflow.pipeline.data import Batch
from voxflow.pipeline.engine import BatchFilter, RequestRefused
from voxflow.pipeline.engine.legacy_random import seed_globals
from voxflow.stores.cache.arena import default_arena

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from voxflow.nodes.scanning.serve import Outcome
    from voxflow.pipeline.data import BatchRequest
    from voxflow.pipeline.engine import MemoryBound
    from voxflow.pipeline.engine.planning import NodePlan

logger = logging.getLogger(__name__)


class Scan(BatchFilter):
    """Splits a large request into blocks, each the size of a reference request.

    An empty request scans all that is provided of the keys in the reference, and gives an empty
    batch: use it with a writer upstream. Any other request is answered as usual, with the arrays
    put together from the blocks. Blocks lie on a grid that begins where the data begin, whatever
    region is asked for; the last one along each axis is moved back inside, and a voxel belongs to
    the first block that holds it. So the same voxel comes from the same block, whether a part or
    the whole is scanned, and no block is computed twice. The first axis varies fastest; where
    outputs are filled, blocks are done in tubes a few blocks wide.

    What an empty request writes can be interrupted at any time: the same scan goes on where it was,
    and returns at once if all is done. A record of the blocks that are done is kept beside the
    output. A block that fails is tried again, and told of at the end; the others go on.

    Threads of this process that start once there is a scan share the heaps of malloc, so that it
    takes no more memory than it says.

    Parameters
    ----------
    reference
        What one block asks for; only sizes and relative positions matter.
    num_workers
        How many processes serve blocks; 1: none, blocks are served one by one here. Nodes directly
        upstream that only let data out (writers, snapshots) stay in this process. With several,
        blocks lie side by side: nodes of your own may not count on it that the one before is
        written, also where so little is to be done that no process is started.
    cache_size
        How many blocks may be on their way at once.
    progress_callback
        Told about the progress; None: a progress bar.
    method
        How workers start: "forkserver", "spawn", or "thread".
    stall_timeout
        After how many seconds without an answer a worker counts as stalled.
    policy
        What becomes of blocks that fail; None: `ScanPolicy()`.
    record
        The folder for the record; None: in the folder of the first dataset that is written, or
        beside its file.
    worker_command
        How to start a worker elsewhere, as on a cluster; with ``{command}`` where its own command
        goes. None: workers are processes of this machine.

    Raises
    ------
    ValueError
        If a number is out of range. At setup, if there are several workers, and a writer lies
        further upstream, or writes to the HDF5 file that the workers read.
    RequestRefused
        At a request, if the reference fits nowhere into what is provided.
    OutputMismatch
        At a request, if the output was begun by a scan that differs.
    ScanFailed
        At an empty request, if blocks failed. If none was done, or too many in a row failed with
        the same error, that error is raised.
    """

    changes_no_result: ClassVar[frozenset[str] | bool] = frozenset(
        {
            "num_workers",
            "cache_size",
            "progress_callback",
            "method",
            "stall_timeout",
            "policy",
            "record",
            "worker_command",
        }
    )

    def __init__(
        self,
        reference: BatchRequest,
        num_workers: int = 1,
        cache_size: int = 50,
        progress_callback: ScanCallback | None = None,
        *,
        method: Literal["forkserver", "spawn", "thread"] = "forkserver",
        stall_timeout: float = 600.0,
        policy: ScanPolicy | None = None,
        record: str | Path | None = None,
        worker_command: str | None = None,
    ) -> None:
        if num_workers < 1 or cache_size < 1:
            raise ValueError(
                f"num_workers and cache_size have to be at least 1, got {num_workers}, {cache_size}"
            )
        if method not in ("forkserver", "spawn", "thread"):
            raise ValueError(f"method has to be 'forkserver', 'spawn' or 'thread', got {method!r}")
        if worker_command is not None and FIELD not in worker_command:
            raise ValueError(
                f"worker_command has to say where the worker's own command goes, as in "
                f"'sbatch --wait {FIELD}', got {worker_command!r}"
            )
        self.reference = reference.clone()
        self.num_workers = num_workers
        self.cache_size = cache_size
        self.progress_callback = ScanBar() if progress_callback is None else progress_callback
        self.method = method
        self.stall_timeout = stall_timeout
        self.policy = ScanPolicy() if policy is None else policy
        self.record = None if record is None else Path(record).absolute()
        self.worker_command = worker_command
        share_heap()  # now, as sources start threads when they are set up

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
        outputs = outputs_of(upstream_of(self)) if len(request) == 0 else ()
        if len(request) == 0:
            self._warn_of_gaps(blocks)
        batch = Batch()
        block = plan_block(self.get_upstream_provider(), blocks)
        with default_arena().limited(shared_bytes(block)):
            if outputs:
                self._fill(open_job(self, blocks, request, outputs), block)
            else:
                batch = self._gather(blocks, request)
        # Whoever made the blocks: nodes from outside go on from one state.
        seed_globals(request)
        return batch

    def _gather(self, blocks: ScanBlocks, request: BatchRequest) -> Batch:
        """What is asked for, put together from the blocks."""
        result = ScanResult(request)
        self._forget_job(request)
        self.progress_callback.start(len(blocks))
        try:
            made = self._serve(blocks, self._service, blocks.numbers, looked_at=True)
            with closing(made) as outcomes:
                for done, (number, outcome) in enumerate(outcomes, start=1):
                    if isinstance(outcome, Exception):
                        raise outcome
                    result.add(outcome, blocks.owned(number))
                    self.progress_callback.update(done)
        finally:
            self.progress_callback.stop()
        return result.batch

    def _forget_job(self, request: BatchRequest) -> None:
        """Take back that a job filled outputs which are gone, and will be made anew."""
        for writer in writers_of(upstream_of(self)):
            if any(key in request for key in writer.dataset_names):
                writer.forget_job(self.record)

    def _fill(self, job: Job, block: NodePlan) -> None:
        """Fill the outputs."""
        with closing(job):
            self._do(job, block)
            job.conclude()
            if job.goes_on or job.workers_ended:
                tidy(job.outputs)
            for writer in writers_of(upstream_of(self)):
                writer.finish()

    def _do(self, job: Job, block: NodePlan) -> None:
        """Do the blocks that are not done."""
        run = None if job.finished else self._ready(job, block)
        self.progress_callback.start(len(job.blocks))
        try:
            self.progress_callback.update(job.done)
            if run is not None:
                run()
        finally:
            self.progress_callback.stop()

    def _ready(self, job: Job, block: NodePlan) -> Callable[[], None]:
        """Say what is to be done; give what does it."""
        workers_write = self._workers_write(job)
        bound = self._forecast(block, workers_write)
        left = len(job.blocks) - job.done
        self.progress_callback.plan(
            f"{self.label}: {left} of {len(job.blocks)} blocks to do; {bound}"
        )
        update = partial(self._update, Ceiling(bound))
        if workers_write:
            serve = partial(self._serve, job.blocks, self._alone)
            return partial(run_with_daisy, self, job, serve, update)
        return partial(run_here, job, partial(self._serve, job.blocks, self._service), update)

    def _update(self, ceiling: Ceiling, done: int) -> None:
        ceiling.look()
        self.progress_callback.update(done)

    def _serve(
        self,
        blocks: ScanBlocks,
        service: Service,
        numbers: Iterable[int],
        *,
        looked_at: bool = False,
    ) -> Generator[Outcome, None, None]:
        threads = service.method == "thread"
        with default_arena().alone() if threads else nullcontext():
            upstream = self.get_upstream_provider()
            yield from served(upstream, blocks, numbers, service, looked_at=looked_at)

    def _workers_write(self, job: Job) -> bool:
        """Whether workers write what they make."""
        if self.num_workers == 1 and self.worker_command is None:
            return False
        reason = obstacle(self, job)
        if reason is not None and self.worker_command is not None:
            raise ValueError(f"{self.label} cannot start workers elsewhere: {reason}")
        if reason is not None:
            logger.info("%s: this process writes what its workers make: %s", self.label, reason)
        return reason is None

    def _forecast(self, block: NodePlan, workers_write: bool) -> MemoryBound:
        service, cache, where = self._service, default_arena().room, "this process"
        if workers_write and self.worker_command is not None:
            service, cache = Service(self.label), default_arena().share(self.num_workers)
            where = f"each of {self.num_workers} workers"
        elif workers_write:
            service = self._alone
            where += f", and no more in each of {self.num_workers} workers that may follow"
        return forecast(block, service, cache, where)

    @property
    def _service(self) -> Service:
        if self.num_workers == 1:
            return self._alone
        return Service(
            self.label,
            self.num_workers,
            self.method,
            self.cache_size,
            self.stall_timeout,
            in_turn=False,
        )

    @property
    def _alone(self) -> Service:
        """How this process serves blocks by itself."""
        # Blocks that share a pass of a model are made at once, and one is read meanwhile.
        passes = [getattr(node, "blocks_per_pass", 0) for node in upstream_of(self)]
        threads = 1 + max(passes) if any(passes) else 1
        in_turn = self.num_workers == 1
        return Service(self.label, threads, "thread", threads + 1, self.stall_timeout, in_turn)

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
