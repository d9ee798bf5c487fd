"""The way into a pipeline: seeds for requests, the first check, error kinds, replay tokens."""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from voxflow.pipeline.data import BatchRequest, ReplayToken, RunPosition
from voxflow.pipeline.data.seeds import fresh_seed, whole_seed
from voxflow.pipeline.engine.errors import BatchRequestError, marked
from voxflow.pipeline.engine.legacy_random import borrowed_state
from voxflow.pipeline.engine.own_time import Between, make_timed
from voxflow.pipeline.engine.planning import check

if TYPE_CHECKING:
    from voxflow.pipeline.data import Batch

logger = logging.getLogger(__name__)

_REMEMBERED = 8  # different requests, such as one for training and one for validation


class Run:
    """One run of a pipeline: from a seed, batch after batch.

    Parameters
    ----------
    seed
        The seed of the run; None: one is drawn and logged.
    index
        The number of the first batch.
    """

    def __init__(self, seed: int | None = None, index: int = 0) -> None:
        if seed is None:
            seed = fresh_seed()
            logger.info("no seed was given, this run uses seed=%d", seed)
        self._next = RunPosition(whole_seed("seed", seed), index)
        self._lock = threading.Lock()
        self._checked: deque[BatchRequest] = deque(maxlen=_REMEMBERED)
        self.foreign = False
        self._process = os.getpid()

    @property
    def seed(self) -> int:
        """The seed of the run."""
        return self._next.seed

    @property
    def next_position(self) -> RunPosition:
        """The position that the next request without a seed of its own gets."""
        return self._next

    def move_to(self, position: RunPosition) -> None:
        """Go on from another position, as after a resume."""
        with self._lock:
            self._next = position

    def seeded(self, request: BatchRequest) -> BatchRequest:
        """The request with a seed: its own, or that of the run's next batch.

        Raises
        ------
        RuntimeError
            If the run began in another process, as in the forked workers of a data loader.
        """
        if request.is_deterministic():
            return request.clone()
        if self._process != os.getpid():
            raise RuntimeError(
                f"this pipeline was built in process {self._process} and is used in process "
                f"{os.getpid()}, which would make the same batches once more. Build it in the "
                "process that uses it, each with a seed of its own; or let PreCache have the "
                "workers; or give each request a random_seed"
            )
        with self._lock:
            position = self._next
            self._next = position.next()
        return request.at(position)

    def serve(
        self, node: Any, request: BatchRequest, kind: type[BatchRequestError], **who: Any
    ) -> Batch:
        """Request a batch from the last node, as the one way from outside.

        Parameters
        ----------
        node
            The node at the downstream end.
        request
            What the user asks for. It is not changed.
        kind
            What errors have to be, besides their own type.
        who
            Attributes for errors.
        """
        token = None
        try:
            with Between() as between:
                if not isinstance(request, BatchRequest):
                    raise TypeError(
                        f"a pipeline takes a BatchRequest, got {type(request).__name__}; make one "
                        "with BatchRequest({key: Roi(offset, shape)})"
                    )
                with self._lock:
                    known = request in self._checked
                if not known:
                    check(node, request, own_nodes_only=True)
                    with self._lock:
                        self._checked.append(request.clone())
                asked = self.seeded(request)
                token = asked.token = ReplayToken.of(asked)
                with borrowed_state(self.foreign):
                    batch: Batch = node._serve_request(asked)
                    make_timed(batch)
                batch.token = token
                between.record(batch)
                return batch
        except Exception as error:
            raised = marked(error, kind, request=request, token=token, **who)
        raise raised

    def __getstate__(self) -> dict[str, Any]:
        return {"_next": self._next, "foreign": self.foreign, "_process": self._process}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.Lock(), _checked=deque(maxlen=_REMEMBERED))
