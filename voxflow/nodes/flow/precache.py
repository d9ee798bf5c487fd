"""Batches made ahead of time by workers."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from voxflow.nodes.flow.serving import Serving
from voxflow.nodes.sinks.sink import writers_upstream
from voxflow.pipeline.engine import BatchFilter
from voxflow.pipeline.engine.legacy_random import seed_globals
from voxflow.pipeline.engine.own_time import HANDED_OVER, make_timed
from voxflow.pipeline.engine.workers import (
    WorkerDied,
    WorkerPool,
    WorkerStalled,
    available_cpus,
)

if TYPE_CHECKING:
    from voxflow.pipeline.data import Batch, BatchRequest, RunPosition

_RECENT = 5
_WORTH = 0.0008  # seconds that handing a batch over takes: what is made sooner is made here
_HEAVY = 0.003  # seconds of a batch made here from which workers take over again
_PROOF = 16  # batches before anything is concluded
_TURNS = 3  # how often workers start again


class PreCache(BatchFilter):
    """Lets workers make the next batches while the current one is used.

    The node changes nothing but the time at which batches arrive: the batches are the same, bit for
    bit and in the same order, for any number of workers, for processes and threads, and with no
    workers at all. Workers start at the first request and make the batches that follow it in the
    run. Where they turn out to make a batch sooner than it is handed over, they are stopped, and
    batches are made when they are asked for. A request that differs from the ones before (another
    region, other keys) is served directly; when it becomes the usual one, the workers turn to it.
    What stands outside of the run is served directly, too: a request to which the user gave a seed
    of its own, a replay.

    Parameters
    ----------
    cache_size
        How many batches are made ahead, at most.
    num_workers
        How many workers make them; 0: none, every batch is made when it is asked for. None: one
        for each processor that this process may use.
    method
        How workers start: "forkserver" or "spawn" for processes, "thread" for threads. With nodes
        from outside of voxflow upstream there are no threads: such nodes may draw from the global
        random state, which all threads share.
    stall_timeout
        After how many seconds without an answer a worker counts as stalled.

    Raises
    ------
    ValueError
        If a number is out of range or the method unknown. At setup, if a writer or a snapshot is
        upstream and there are workers.
    WorkerError
        At a request, if a worker died or stalled. An error that a worker met keeps
        its type.
    """

    changes_no_result: ClassVar[frozenset[str] | bool] = True

    stride: int = 1
    """Every so manieth batch of the run is asked for: one of several processes that share it."""

    def __init__(
        self,
        cache_size: int = 50,
        num_workers: int | None = None,
        *,
        method: Literal["forkserver", "spawn", "thread"] = "forkserver",
        stall_timeout: float = 120.0,
    ) -> None:
        if cache_size < 1:
            raise ValueError(f"cache_size has to be at least 1, got {cache_size}")
        if num_workers is None:
            num_workers = available_cpus()
        if num_workers < 0:
            raise ValueError(f"num_workers has to be 0 or more, got {num_workers}")
        if method not in ("forkserver", "spawn", "thread"):
            raise ValueError(f"method has to be 'forkserver', 'spawn' or 'thread', got {method!r}")
        self.cache_size = cache_size
        self.num_workers = num_workers
        self.method = method
        self.stall_timeout = stall_timeout

    def setup(self) -> None:
        """Start from nothing: workers start with the first request."""
        self._state = _Ahead(self.cache_size, self.stride)
        # Nodes from outside may draw from the process's global random state, which threads share.
        shared = self.method == "thread" and not self._serving().threadsafe
        self._inline = self.num_workers == 0 or shared
        for sink in () if self._inline else writers_upstream(self):
            raise ValueError(
                f"{sink.label} is upstream of {self.label}, whose {self.num_workers} workers would "
                "each run it for themselves, ahead of time and at once; move it downstream of "
                f"{self.label}, or use num_workers=0"
            )

    def teardown(self) -> None:
        """Stop the workers."""
        state = self.__dict__.pop("_state", None)
        if state is not None:
            state.stop()

    def restart(self) -> None:
        """Forget what was made ahead, after a node upstream was changed.

        Workers have copies of the nodes. With the next request they start anew, with the nodes as
        they are then, so that it is the first one to see the change, whoever makes the batch.
        Without workers, and before `setup`, there is nothing to do.
        """
        state: _Ahead | None = self.__dict__.get("_state")
        if state is not None:
            with state.lock:
                state.stop()

    def upstream_requests(self, request: BatchRequest) -> list[tuple[Any, BatchRequest]]:
        """The same request."""
        return [(self.get_upstream_provider(), self._asked(request))]

    def provide(self, request: BatchRequest) -> Batch:
        """The batch, from a worker if one made it ahead."""
        batch = self._provide(request)
        # Whoever made the batch: nodes from outside go on from one state.
        seed_globals(request)
        return batch

    def _provide(self, request: BatchRequest) -> Batch:
        asked = self._asked(request)
        position = asked.position
        if position is None or self._inline or asked.replayed:
            return self._serving(here=True)(asked)
        state: _Ahead = self._state
        with state.lock:
            try:
                if state.accepts(asked, position) and not state.rests(position):
                    if state.pool is None:
                        state.pool = self._start()
                    batch: Batch = state.take(asked, position)
                    return batch
            except BaseException as error:
                # After an interrupt nobody knows which results were taken: begin anew.
                if isinstance(error, WorkerDied | WorkerStalled) or not isinstance(
                    error, Exception
                ):
                    state.stop()
                raise
            started = time.perf_counter()
            batch = self._serving(here=True)(asked)
            make_timed(batch)
            state.served_here(time.perf_counter() - started)
            return batch

    @staticmethod
    def _asked(request: BatchRequest) -> BatchRequest:
        # Seeded from the position alone, here as in a worker.
        asked = request.clone() if request.position is None else request.at(request.position)
        asked._plans = None
        return asked

    def _serving(self, made: bool = False, here: bool = False) -> Serving:
        return Serving(self.get_upstream_provider(), made, here)

    def _start(self) -> WorkerPool:
        pool = WorkerPool(
            self._serving(made=self.method == "thread", here=self.method == "thread"),
            self.num_workers,
            method=self.method,
            ahead=self.cache_size,
            name=self.label,
            stall_timeout=self.stall_timeout,
        )
        pool.start()
        return pool

    def __getstate__(self) -> dict[str, Any]:
        # A copy in a worker, as of a scan downstream, has no workers of its own.
        kept = {name: value for name, value in self.__dict__.items() if name != "_state"}
        return {**kept, "_inline": True}


class _Ahead:
    """What was asked so far, and which batches are on their way."""

    def __init__(self, size: int, stride: int = 1) -> None:
        self.stride = stride
        self.lock = threading.RLock()
        self.size = size
        self.pool: WorkerPool | None = None
        self._template: BatchRequest | None = None
        self._recent: deque[BatchRequest] = deque(maxlen=_RECENT)
        self._pending: deque[RunPosition] = deque()
        # The parts that a batch of the run asks for: one, or several below a Stack.
        self._paths: list[Any] = []
        self._last_paths: list[Any] = []
        self._index = -1
        self._stray: RunPosition | None = None
        # Whether batches are so light that workers do not pay, and what that is concluded from.
        self._resting = False
        self._count = self._turns = 0
        self._seconds = 0.0

    def rests(self, position: RunPosition) -> bool:
        """Whether a batch is made when it is asked for, since none on its way is this one."""
        if not self._resting or position in self._pending:
            return False
        self._drop_all()
        self.stop()
        return True

    def served_here(self, seconds: float) -> None:
        """Note how long a batch took that was made here; heavy ones call workers back."""
        if self._resting:
            self._count += 1
            self._seconds += (seconds - self._seconds) / min(self._count, _PROOF)
            if self._count >= _PROOF and self._seconds > _HEAVY and self._turns < _TURNS:
                self._resting, self._count = False, 0
                self._turns += 1

    def _watch(self, pool: WorkerPool) -> None:
        """Let workers rest if they make a batch sooner than it is handed over."""
        self._count += 1
        seconds = pool.seconds
        if self._count >= _PROOF and seconds is not None and seconds < _WORTH:
            self._resting, self._count, self._seconds = True, 0, 0.0

    def stop(self) -> None:
        self._pending.clear()
        if self.pool is not None:
            self.pool.stop()
            self.pool = None

    def accepts(self, request: BatchRequest, position: RunPosition) -> bool:
        """Whether workers make this: the usual request, at a place in the line or next to it."""
        return self._usual(request) and self._in_line(position)

    def _usual(self, request: BatchRequest) -> bool:
        """Whether this is the usual request; it may become so."""
        self._recent.append(request)
        if self._template is None:
            self._template = request
        if request == self._template:
            return True
        counts = Counter(
            1 if r == request else 0 if r == self._template else 2 for r in self._recent
        )
        if counts[1] > counts[0]:
            self._template = request
            self._drop_all()
            self._last_paths = []
            return True
        return False

    def _in_line(self, position: RunPosition) -> bool:
        """Whether a batch is in the line or goes on with it; a new line takes two in a row."""
        stray, self._stray = self._stray, None
        if not self._pending or position in self._pending:
            return True
        if any(p is not None and self._follows(position, p) for p in (self._pending[-1], stray)):
            return True
        self._stray = position
        if position.index == self._index:
            # One more part of the batch that the workers are at.
            self._learn(position)
        return False

    def take(self, request: BatchRequest, position: RunPosition) -> Any:
        """The batch of this position; orders the ones that will follow."""
        self._learn(position)
        if position in self._pending:
            while self._pending[0] != position:
                self._drop_one()
        else:
            self._drop_all()
            self._order(request, position)
        if not self._resting:
            self._order_following(request)
        self._pending.popleft()
        pool = self._started()
        batch = pool.result()
        _count_sending(batch, pool.last_seconds)
        self._watch(pool)
        return batch

    def _learn(self, position: RunPosition) -> None:
        if position.index != self._index:
            self._last_paths = self._paths if position.index == self._index + self.stride else []
            self._paths = []
            self._index = position.index
        self._paths.append(position.path)

    def _order_following(self, request: BatchRequest) -> None:
        paths = self._last_paths or ([()] if self._paths == [()] else [])
        while paths and len(self._pending) < self.size:
            last = self._pending[-1]
            if last.path not in paths:
                return
            i = paths.index(last.path) + 1
            index = last.index + i // len(paths) * self.stride
            following = type(last)(last.seed, index, paths[i % len(paths)])
            self._order(request, following)

    def _order(self, request: BatchRequest, position: RunPosition) -> None:
        self._started().submit(request.at(position))
        self._pending.append(position)

    def _follows(self, position: RunPosition, other: RunPosition) -> bool:
        """Whether a position is that of the next batch, or of a part of it."""
        return position.seed == other.seed and position.index == other.index + self.stride

    def _drop_all(self) -> None:
        if self.pool is not None:
            for _ in range(self.pool.discard()):
                self._pending.pop()
        while self._pending:
            self._drop_one()

    def _drop_one(self) -> None:
        self._pending.popleft()
        try:
            self._started().result()
        except (WorkerDied, WorkerStalled):
            raise
        except Exception:
            # Nobody asked for this batch, so its mistakes are nobody's concern.
            return

    def _started(self) -> WorkerPool:
        if self.pool is None:
            raise RuntimeError("the workers have been stopped")
        return self.pool


def _count_sending(batch: Batch, seconds: float | None) -> None:
    """Count the time that a worker process took, besides that of its nodes, to make and send."""
    records = list(batch.profiling_stats.get_records())
    if seconds is None or not records:
        return
    last = records[-1]
    rest = seconds - sum(record.seconds for record in records)
    if rest > 0 and last.stop is not None:
        place = (last.process, last.thread)
        batch.profiling_stats.record(HANDED_OVER, "make", last.stop, last.stop + rest, place=place)
