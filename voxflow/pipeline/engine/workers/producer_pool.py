"""Processes that produce without being asked, as gunpowder's `ProducerPool` has them.

voxflow's own nodes use `WorkerPool`, which answers tasks in order. This one is for programs that
were written for gunpowder. Every worker has a pipe of its own, and nobody shares a lock with it, so
none can hold up the rest by its death.
"""

from __future__ import annotations

import atexit
import logging
import multiprocessing
import os
import pickle
import queue
import threading
import weakref
from contextlib import suppress
from multiprocessing import connection as connections
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import WorkerDied
from .failures import Remote, capture, rethrow

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

__all__ = ["NoResult", "ParentDied", "ProducerPool", "WorkersDied"]

logger = logging.getLogger(__name__)

_GRACE = 1.0
_TICK = 0.2


class NoResult(Exception):
    """Nothing was produced in the time that was given."""


class ParentDied(Exception):
    """The process that started the workers has ended."""


class WorkersDied(WorkerDied):
    """A worker ended although nobody asked it to."""


class ProducerPool:
    """One process for each callable, which is called again and again.

    Processes are those of `multiprocessing`, by its start method. Results and, where processes are
    not forked, callables have to be picklable. What a callable raises is raised by `get`, and its
    worker goes on. All of them end with this process, and with the pool.

    Parameters
    ----------
    callables
        Each gives a result; None is not delivered.
    queue_size
        How many results wait to be fetched before the workers pause.

    Raises
    ------
    ValueError
        If there are no callables, or no room for a result.

    Examples
    --------
    >>> pool = ProducerPool([load, load], queue_size=2)  # doctest: +SKIP
    >>> pool.start()  # doctest: +SKIP
    >>> batch = pool.get(timeout=60)  # doctest: +SKIP
    >>> pool.stop()  # doctest: +SKIP
    """

    def __init__(self, callables: Sequence[Callable[[], Any]], queue_size: int = 10) -> None:
        self._callables = list(callables)
        if not self._callables or queue_size < 1:
            raise ValueError(
                f"a pool needs callables and room for results, got {len(self._callables)} "
                f"callables and queue_size={queue_size}"
            )
        self._results: queue.Queue[Any] = queue.Queue(queue_size)
        self._workers: list[BaseProcess] = []
        self._finalizer: weakref.finalize[..., Any] | None = None
        self._stopped = False

    def start(self) -> None:
        """Start the workers.

        Raises
        ------
        RuntimeError
            If the pool has been stopped.
        """
        if self._stopped:
            raise RuntimeError("the pool has been stopped; make a new one")
        if self._finalizer is not None:
            logger.warning("the pool is running already")
            return
        pipes: list[Connection] = []
        for produce in self._callables:
            ours, theirs = multiprocessing.Pipe()
            # By name and at this time: callers may have put a start method of their own there.
            worker = multiprocessing.Process(
                target=_work, args=(produce, theirs, os.getpid()), daemon=False
            )
            worker.start()
            theirs.close()  # so that a worker's death is the end of its pipe
            self._workers.append(worker)
            pipes.append(ours)
        reader = _Reader(pipes, self._results)
        self._finalizer = weakref.finalize(self, _end, self._workers, reader, os.getpid())
        # Later than multiprocessing, and so before it: that would wait for the workers for ever.
        atexit.register(self._finalizer)
        reader.start()

    def get(self, timeout: float = 0) -> Any:
        """The next result, of whatever worker.

        Parameters
        ----------
        timeout
            How many seconds to wait; 0: until there is one.

        Raises
        ------
        NoResult
            If there was none in this time.
        WorkersDied
            If a worker has ended.
        RuntimeError
            If the pool is not running.
        Exception
            What a callable raised: of its own type if it can be rebuilt here.
        """
        if self._finalizer is None or self._stopped:
            raise RuntimeError("the pool is not running: call start() first, and get() before stop")
        left = timeout if timeout else float("inf")
        while True:
            self._check_alive()
            try:
                message = self._results.get(timeout=min(_TICK, left))
            except queue.Empty:
                left -= _TICK
                if left <= 0:
                    raise NoResult(f"no result within {timeout:g} s") from None
                continue
            if isinstance(message, Remote):
                rethrow(message, "A producer failed")
            return pickle.loads(message)

    def stop(self) -> None:
        """End the workers. May be called again; also happens when the pool is forgotten."""
        self._stopped = True
        if self._finalizer is not None:
            self._finalizer()
            atexit.unregister(self._finalizer)

    def _check_alive(self) -> None:
        for number, worker in enumerate(self._workers):
            if not worker.is_alive():
                self.stop()
                error = WorkersDied(
                    f"producer {number} (pid {worker.pid}) ended unasked, with exit code "
                    f"{worker.exitcode}; a negative one is the number of a signal, and -9 often "
                    "means that memory ran out. All producers have been ended"
                )
                error.worker, error.pid, error.exitcode = number, worker.pid, worker.exitcode
                raise error


def _work(produce: Callable[[], Any], pipe: Connection, parent: int) -> None:
    """Be a worker."""
    stopping = threading.Event()
    threading.Thread(target=_listen, args=(pipe, stopping), daemon=True).start()
    np.random.seed(None)  # otherwise the same in all workers
    try:
        while not stopping.is_set():
            message = _produced(produce)
            if message is not None:
                _deliver(pipe, message, parent)
    except (ParentDied, KeyboardInterrupt):
        return


def _produced(produce: Callable[[], Any]) -> Any:
    try:
        result = produce()
        return None if result is None else pickle.dumps(result, pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        return capture(error)


def _deliver(pipe: Connection, message: Any, parent: int) -> None:
    try:
        pipe.send(message)
    except (BrokenPipeError, ConnectionResetError):
        raise ParentDied(f"process {parent} does not take results any more") from None


def _listen(pipe: Connection, stopping: threading.Event) -> None:
    """Hear when to stop, and end this process with its parent, whatever it is doing then."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    heard: list[Any] = [pipe]
    while True:
        if parent.sentinel in connections.wait([parent.sentinel, *heard]):
            os._exit(1)
        stopping.set()
        heard.clear()


class _Reader(threading.Thread):
    """Takes what the workers produce; knows nothing of the pool, so that it can be forgotten."""

    def __init__(self, pipes: list[Connection], results: queue.Queue[Any]) -> None:
        super().__init__(daemon=True)
        self._pipes, self._results = pipes, results
        self._stopping, self._ended = threading.Event(), threading.Event()

    def run(self) -> None:
        pipes = list(self._pipes)
        while pipes and not self._ended.is_set():
            for pipe in connections.wait(pipes, _TICK):
                assert isinstance(pipe, connections.Connection)
                try:
                    self._keep(pipe.recv())
                except (EOFError, OSError):  # it has ended: `get` finds out and tells
                    pipes.remove(pipe)
        for pipe in self._pipes:
            pipe.close()

    def _keep(self, message: Any) -> None:
        # Once it is stopping, who waits to deliver has to get on.
        while not self._stopping.is_set():
            try:
                return self._results.put(message, timeout=_TICK)
            except queue.Full:
                continue

    def stop_workers(self) -> None:
        """Tell the workers to stop after what they are at."""
        self._stopping.set()
        for pipe in self._pipes:
            with suppress(OSError):  # it has ended
                pipe.send(None)

    def end(self) -> None:
        """Take no more."""
        self._ended.set()
        while not self._results.empty():
            self._results.get_nowait()


def _end(workers: list[BaseProcess], reader: _Reader, owner: int) -> None:
    if os.getpid() != owner:  # a copy in a forked child owns nothing
        return
    reader.stop_workers()
    for end in (None, "terminate", "kill"):
        for worker in workers:
            if end is not None and worker.is_alive():
                getattr(worker, end)()
        for worker in workers:
            worker.join(_GRACE if end != "kill" else None)
        if not any(worker.is_alive() for worker in workers):
            break
    reader.end()
