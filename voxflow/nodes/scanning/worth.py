"""Whether workers are worth their start."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from voxflow.nodes.scanning.job import Job

__all__ = ["WorkersPay"]

_WORTH = 5.0
"""Workers have to save so many seconds, of which their start takes one or two."""

_LOOK = 0.5
"""For so many seconds blocks are done before it is said how long the others will take."""


class WorkersPay:
    """Whether workers would save more than their start costs, by how fast blocks are done here.

    Parameters
    ----------
    job
        The blocks, of which the first one is done.
    num_workers
        How many workers there would be.
    seconds
        How long the first block took. That counts only if it is long, as the first one opens files
        and loads libraries.

    Attributes
    ----------
    known
        Whether it is known that they would.
    """

    def __init__(self, job: Job, num_workers: int, seconds: float) -> None:
        self._job = job
        self._saved = 1 - 1 / num_workers
        # Where a block has a time limit, only a process can be ended that exceeds it.
        self.known = job.policy.timeout is not None or seconds >= _WORTH
        self._since, self._before = time.monotonic(), job.done

    def until(self, numbers: Iterable[int]) -> Iterator[int]:
        """Blocks that are to be done here: until it is known that workers pay."""
        for number in numbers:
            self._look()
            if self.known:
                return
            yield number

    def _look(self) -> None:
        job, passed = self._job, time.monotonic() - self._since
        if passed >= _LOOK:
            each = passed / max(1, job.done - self._before)
            self.known = self.known or each * (len(job.blocks) - job.done) * self._saved > _WORTH
