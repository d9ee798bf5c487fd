"""What can be asked of a pipeline besides batches: what is asked of its nodes, and what they do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voxflow.pipeline.data import BatchRequest, ReplayToken
from voxflow.pipeline.engine import planning
from voxflow.pipeline.engine.explain import Explanation, explain
from voxflow.pipeline.engine.profile import Profile, profiled
from voxflow.pipeline.engine.trace import Trace, watched

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from voxflow.pipeline.data import Batch
    from voxflow.pipeline.engine.planning import NodePlan
    from voxflow.pipeline.engine.run import Run


class Inside:
    """A view into a pipeline; a base of `Pipeline`."""

    output: Any

    if TYPE_CHECKING:

        @property
        def run(self) -> Run: ...  # noqa: D102

        def request_batch(self, request: BatchRequest) -> Batch: ...  # noqa: D102

        def check(self, request: BatchRequest) -> None: ...  # noqa: D102

        def nodes(self) -> Iterator[Any]: ...  # noqa: D102

    def plan(self, request: BatchRequest) -> NodePlan:
        """What each node will be asked for; print it to see the tree."""
        self.run  # noqa: B018 - says so if the pipeline is not set up
        return planning.plan(self.output, request)

    def explain(self, request: BatchRequest) -> Explanation:
        """What a request costs: context that nodes add, bytes, and memory; print or draw it.

        Raises
        ------
        RequestRefused
            If the request cannot be served; as for `check`.
        """
        self.check(request)
        return explain(self.plan(request))

    def trace(
        self, request: BatchRequest | ReplayToken | str, path: str | Path | None = None
    ) -> Trace:
        """What every node gets, draws and makes for one request; the run goes on as before.

        The batch is made here, as in a replay, also where workers make others ahead. What a node
        has other processes ask, as a scan with workers does, is not seen.

        Parameters
        ----------
        request
            The keys and regions: without a seed, what the next batch of the run will be. Or the
            `token` of a batch.
        path
            A folder to write the arrays to, see `Trace.write`.

        Raises
        ------
        PipelineRequestError
            If the request cannot be served; as for `request_batch`.
        """
        if isinstance(request, str):
            request = ReplayToken(request)
        asked = request.request() if isinstance(request, ReplayToken) else request.clone()
        if not asked.is_deterministic():
            asked = asked.at(self.run.next_position)
        asked.replayed = True
        with watched() as watch:
            batch = self.request_batch(asked)
        trace = Trace(tuple(watch.nodes), batch)
        if path is not None:
            trace.write(path)
        return trace

    def profile(self, request: BatchRequest, n: int = 20) -> Profile:
        """Ask for batches, and say which nodes work, wait, and limit how fast batches come.

        The run goes on: these are its next batches, and one more before them, which is not counted.
        They are made as always, by workers where there are some; nodes that train, train.

        Parameters
        ----------
        request
            The keys and regions.
        n
            How many batches.

        Raises
        ------
        ValueError
            If `n` is less than 1.
        PipelineRequestError
            If the request cannot be served; as for `request_batch`.
        """
        labels = [node.label for node in self.nodes()]
        told = self.explain(request)
        return profiled(lambda: self.request_batch(request), n, labels, told)
