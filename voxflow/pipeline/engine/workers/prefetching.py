"""Jobs that are done in the background, before somebody asks for what they make."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from voxflow.pipeline.engine.workers.pool import WorkerPool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from voxflow.pipeline.engine.workers.pool import Method

__all__ = ["prefetch"]

T = TypeVar("T")


def prefetch(
    jobs: Iterable[Callable[[], T]],
    n: int = 2,
    *,
    method: Method = "forkserver",
    stall_timeout: float = 120.0,
) -> Iterator[T]:
    """What jobs make, in their order, while workers do the next ones: such as to load what follows.

    Large arrays come through shared memory and are not copied. Whoever stops asking ends the
    workers, and so does a job that fails.

    Parameters
    ----------
    jobs
        Functions without arguments. At most `n` are taken from here before what they make is asked
        for, so there may be endlessly many.
    n
        How many are worked on at once, each by a worker.
    method
        "forkserver" or "spawn" for processes, to which the jobs are sent, functions by value;
        "thread" for threads.
    stall_timeout
        After how many seconds without any work a worker counts as stalled.

    Yields
    ------
    object
        What the next job made.

    Raises
    ------
    ValueError
        If `n` is below 1, or the method unknown.
    NotPicklable
        If a job cannot be sent.
    WorkerError
        If a worker died or stalled. An error of a job keeps its type.

    Examples
    --------
    >>> from functools import partial
    >>> list(prefetch([partial(pow, 2, i) for i in range(5)], method="thread"))
    [1, 2, 4, 8, 16]
    """
    pool = WorkerPool(
        _done, n, ahead=n, name="prefetch", method=method, stall_timeout=stall_timeout
    )
    return _made(jobs, pool, n)


def _made(jobs: Iterable[Callable[[], T]], pool: WorkerPool, n: int) -> Iterator[T]:
    with pool:
        following = iter(jobs)
        for job in islice(following, n):
            pool.submit(job)
        while pool.pending:
            result: Any = pool.result()
            for job in islice(following, 1):
                pool.submit(job)
            yield result


def _done(job: Callable[[], Any]) -> Any:
    return job()
