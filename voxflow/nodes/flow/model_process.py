"""A process of its own for the model of a node."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from voxflow.pipeline.engine.workers import WorkerDied, WorkerPool, WorkerStalled

if TYPE_CHECKING:
    from voxflow.pipeline.data import Batch, BatchRequest

_STALL_TIMEOUT = 600.0


class ModelProcess:
    """Calls a method of a node with one batch after another, in one other process.

    Parameters
    ----------
    node
        It is copied there without the nodes upstream of it. Its ``start`` is called there first,
        its ``stop`` last.
    method
        Changes a batch in place.
    died
        What to raise if the process ends unasked or hangs.
    """

    def __init__(self, node: Any, method: str, died: type[Exception]) -> None:
        self._name, self._died, self._gone = node.label, died, False
        alone = copy.copy(node)
        alone._upstream, alone._pipeline_run, alone._process = [], None, None
        serve = _Calls(alone, method)
        self._pool = WorkerPool(
            serve, 1, ahead=1, name=node.label, stall_timeout=_STALL_TIMEOUT, setup=serve.start
        )
        self._pool.start()

    def __call__(self, batch: Batch, request: BatchRequest) -> Batch:
        """The batch as the method left it."""
        changed: Batch = self._answer((batch, request))
        return changed

    def stop(self) -> None:
        """Let the node stop its work, and end the process."""
        try:
            if not self._gone:  # it has been told already
                self._answer(None)
        finally:
            self._pool.stop()

    def _answer(self, task: Any) -> Any:
        try:
            self._pool.submit(task)
            return self._pool.result()
        except (WorkerDied, WorkerStalled) as error:
            self._gone = True
            raise self._died(f"the process of {self._name} is gone: {error}") from error


class _Calls:
    """What the process does."""

    def __init__(self, node: Any, method: str) -> None:
        self._node, self._method = node, method

    def start(self) -> None:
        self._node.start()

    def __call__(self, task: tuple[Batch, BatchRequest] | None) -> Batch | None:
        if task is None:
            self._node.stop()
            return None
        getattr(self._node, self._method)(*task)
        return task[0]
