"""A pool of workers that answer tasks in order."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from types import TracebackType
from typing import Any, Literal, Self

from .processes import ProcessEngine
from .threads import ThreadEngine

Method = Literal["forkserver", "spawn", "thread"]
METHODS = ("forkserver", "spawn", "thread")


class WorkerPool:
    """Workers that call ``serve(task)`` for every task, with the results in order.

    Processes are forked from a small server, or spawned; never from this process, which may
    have threads, open files and a CUDA context. ``serve`` is pickled once, by value where it is
    made of functions and classes of the user's script: the script is *not* imported again in the
    workers, so it needs no ``if __name__ == "__main__"`` guard. What a function of the script
    uses of the script's globals travels along as a copy.

    Large buffers of results (numpy arrays) come through shared memory and are views of it, not
    copies; the memory is used again when the last array over it has died. Holding results is
    safe, and only costs their memory.

    Whatever happens to a worker, `result` raises a `WorkerError` within seconds, after all
    workers were ended. If this process is killed its workers end as well. Nothing is ever left.

    Parameters
    ----------
    serve : callable
        Gets a task, returns its result. With threads it is called from several at once. It may
        have ``announce(task)``, which is told of a task to come, while its ``prefetches`` is true.
    num_workers : int
        At least 1. `voxflow.pipeline.engine.workers.available_cpus` says how many are useful.
    method : {"forkserver", "spawn", "thread"}
        Threads copy nothing, but only help where ``serve`` lets go of the interpreter lock.
    ahead : int
        At most so many results are in work or wait to be asked for; at least 1, better twice
        ``num_workers``.
    name : str
        For error messages.
    stall_timeout : float
        Seconds: a task in which its worker does nothing (uses under 1 % of a processor, children
        included) for longer, or that is busy ten times longer, is an error with the
        worker's stack.
    setup : callable, optional
        Called once for each copy of ``serve`` before its first task: in every process; once
        in this process for threads.

    Raises
    ------
    NotPicklable
        From `start`, before a process was started, if the work cannot be sent; it names the
        attribute.

    Examples
    --------
    >>> offset = 10
    >>> with WorkerPool(lambda i: i + offset, 2, method="thread", ahead=4, name="demo") as pool:
    ...     for i in range(3):
    ...         pool.submit(i)
    ...     [pool.result() for _ in range(3)]
    [10, 11, 12]
    """

    def __init__(
        self,
        serve: Callable[[Any], Any],
        num_workers: int,
        *,
        ahead: int,
        name: str,
        method: Method = "forkserver",
        stall_timeout: float = 120.0,
        setup: Callable[[], None] | None = None,
    ) -> None:
        if num_workers < 1:
            raise ValueError(f"A pool needs at least one worker, got num_workers={num_workers}.")
        if ahead < 1:
            raise ValueError(f"A pool must work at least one task ahead, got ahead={ahead}.")
        if method not in METHODS:
            raise ValueError(f"method={method!r} is not one of {', '.join(METHODS)}.")
        if not stall_timeout > 0:
            raise ValueError(f"stall_timeout must be positive, got {stall_timeout}.")
        self._serve, self._setup, self._method = serve, setup, method
        self._num_workers, self._ahead = num_workers, ahead
        self._name, self._stall_timeout = name, stall_timeout
        self._engine: ProcessEngine | ThreadEngine | None = None
        self._finalizer: weakref.finalize[..., Any] | None = None

    def start(self) -> None:
        """Start all workers, without waiting until they are up.

        Raises
        ------
        NotPicklable
            If the work cannot be sent to a process.
        RuntimeError
            If the pool has been started before.
        """
        if self._engine is not None:
            raise RuntimeError(f"The pool {self._name!r} has been started before; make a new one.")
        common: dict[str, Any] = {
            "num_workers": self._num_workers,
            "ahead": self._ahead,
            "name": self._name,
            "stall_timeout": self._stall_timeout,
        }
        if self._method == "thread":
            self._engine = ThreadEngine(self._serve, self._setup, **common)
        else:
            self._engine = ProcessEngine(self._serve, self._setup, method=self._method, **common)
        # The engine does not know the pool, so a forgotten pool is collected, and stops.
        self._finalizer = weakref.finalize(self, self._engine.stop)

    def submit(self, task: Any) -> None:
        """Put a task in line; returns at once.

        Raises
        ------
        WorkerError
            If the workers have ended with an error.
        NotPicklable
            If the task cannot be sent.
        """
        self._started().submit(task)

    def result(self) -> Any:
        """Wait for the next result, in order of submission.

        Raises
        ------
        Exception
            What the task raised: of its own type if it can be rebuilt here, with the remote
            traceback as a note and a `WorkerFailed` as its cause; else the `WorkerFailed`. The
            pool goes on.
        WorkerDied, WorkerStalled
            If a worker died or stalled; all have been ended. Raised again by every later call.
        """
        return self._started().ledger.result()

    def discard(self) -> int:
        """Drop the tasks that no worker has begun.

        Returns
        -------
        int
            How many: the last ones that were submitted. Results of the others still come.
        """
        return self._started().ledger.discard()

    @property
    def pending(self) -> int:
        """Tasks submitted whose result was not yet asked for."""
        return self._engine.ledger.pending if self._engine is not None else 0

    @property
    def seconds(self) -> float | None:
        """How long a task takes a worker, lately; None before the first is done."""
        return self._engine.seconds if self._engine is not None else None

    @property
    def last_seconds(self) -> float | None:
        """How long a process took for the result that came last; None for threads, and before."""
        return self._engine.last_seconds if self._engine is not None else None

    def stop(self) -> None:
        """End all workers. May be called again; also happens at exit and when forgotten."""
        if self._finalizer is not None:
            self._finalizer()

    def __enter__(self) -> Self:
        """Start the workers."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the workers."""
        self.stop()

    def _started(self) -> ProcessEngine | ThreadEngine:
        if self._engine is None:
            raise RuntimeError(f"The pool {self._name!r} has not been started.")
        return self._engine
