"""The base of nodes with exactly one node upstream: nearly every node."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Self

from voxflow.pipeline.data import Batch, BatchRequest, ProviderSpec
from voxflow.pipeline.engine.errors import BatchFilterError, BatchMismatch
from voxflow.pipeline.engine.outside import finish_before
from voxflow.pipeline.engine.own_time import is_told
from voxflow.pipeline.engine.provider import BatchProvider, drop_unrequested

if TYPE_CHECKING:
    from voxflow.pipeline.data import Key, Spec


class BatchFilter(BatchProvider):
    """A node with one node upstream. Subclasses override `prepare` and `process`.

    Nothing is kept on the node between `prepare` and `process`: a node serves many requests at
    once. A node that rolls dice overrides `draw`, and reads `plan(request)` in both.

    Examples
    --------
    >>> class Invert(BatchFilter):
    ...     def __init__(self, array):
    ...         self.array = array
    ...
    ...     def process(self, batch, request):
    ...         batch[self.array].data = 1 - batch[self.array].data
    """

    _updated_items: list[Any]
    _autoskip: bool

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:  # noqa: D102
        node = super().__new__(cls, *args, **kwargs)
        node._updated_items = []
        node._autoskip = False
        return node

    # -- for authors of nodes -------------------------------------------------------------------

    def setup(self) -> None:
        """Say what this node makes (`provides`) and changes (`updates`); by default nothing."""

    def prepare(self, request: BatchRequest) -> BatchRequest | None:
        """Say what this node needs from upstream.

        Parameters
        ----------
        request
            What is asked of this node. Regions may be changed in place.

        Returns
        -------
        BatchRequest | None
            What `process` needs to see, as a request; None: just what is asked of this node.
        """
        return None

    def process(self, batch: Batch, request: BatchRequest) -> Batch | None:
        """Do the node's work.

        Parameters
        ----------
        batch
            What came from upstream. It may be changed.
        request
            What is asked of this node, with its original regions.

        Returns
        -------
        Batch | None
            What the node made, or None if it changed `batch`.
        """
        raise BatchFilterError(self, "does not implement process()")

    def skip_node(self, request: BatchRequest) -> bool | None:
        """Whether to pass this request on as if the node were not there."""
        return False

    def updates(self, key: Key, spec: Spec) -> None:
        """Say in `setup` that this node changes an array or a graph on its way.

        Raises
        ------
        BatchFilterError
            If nothing upstream provides it.
        """
        if key not in self.spec:
            known = ", ".join(str(k) for k in self.spec) or "nothing"
            raise BatchFilterError(
                self, f"wants to change {key}, which is not provided upstream. There is: {known}."
            )
        self.spec[key] = spec
        self._updated_items.append(key)

    def enable_autoskip(self, skip: bool = True) -> None:
        """Skip this node whenever nothing that it makes or changes is asked for."""
        self._autoskip = skip

    # -- what a node knows ----------------------------------------------------------------------

    @property
    def autoskip_enabled(self) -> bool:
        """Whether the node is skipped when nothing that it makes or changes is asked for."""
        return self._autoskip

    @property
    def updated_items(self) -> list[Any]:
        """The keys that this node changes."""
        return self._updated_items

    @property
    def hands_on_recipes(self) -> bool:
        """As all do that look at nothing."""
        return self.looks_at_nothing

    @property
    def remove_placeholders(self) -> bool:
        """Filters see placeholders."""
        return False

    def get_upstream_provider(self) -> BatchProvider:
        """The one node that this one asks.

        Raises
        ------
        BatchFilterError
            If there is none, or more than one.
        """
        if len(self._upstream) != 1:
            raise BatchFilterError(
                self,
                f"needs exactly one node upstream, there are {len(self._upstream)}"
                + (
                    "; put MergeProvider or RandomProvider before it"
                    if self._upstream
                    else ": a pipeline begins with a source, and is used inside `with build(...)`"
                ),
            )
        return self._upstream[0]

    def _own_spec(self) -> ProviderSpec:
        if self._spec is None:
            self._spec = self.get_upstream_provider().spec.copy()
        return self._spec

    def internal_teardown(self) -> None:
        """Forget what `setup` said, then call `teardown`."""
        self._updated_items = []
        super().internal_teardown()

    # -- the one path ---------------------------------------------------------------------------

    def upstream_requests(self, request: BatchRequest) -> list[tuple[Any, BatchRequest]] | None:
        """The one node upstream, with what it will be asked."""
        upstream, _ = self._upstream_request(request)
        return [(self.get_upstream_provider(), upstream)]

    def provide(self, request: BatchRequest) -> Batch:
        """Ask upstream, and do the node's work on what comes."""
        return self._filtered(request, request.clone())

    def _timed_provide(self, visit: BatchRequest, request: BatchRequest) -> Batch:
        if type(self).provide is BatchFilter.provide:  # records its two halves itself
            return self._filtered(visit, request)
        return super()._timed_provide(visit, request)

    def _mistake(self, text: str) -> Exception:
        return BatchFilterError(self, text)

    def _filtered(self, request: BatchRequest, asked: BatchRequest) -> Batch:
        """The node's work. `request` may be changed, `asked` is the same and stays as it is."""
        started = time.time()
        skip = self._skips(request)
        downstream = None if skip else self._downstream(request, asked)
        upstream, needed = self._upstream_request(request, skip)
        provider = self.get_upstream_provider()
        prepared = time.time()
        # What is on its way between nodes is between these two times, so nobody else need tell it.
        plain = type(provider).request_batch is BatchProvider.request_batch
        batch = (provider._serve_request if plain else provider.request_batch)(upstream)
        if downstream is None:
            drop_unrequested(batch, asked)
            return batch
        finish_before(self._engine_foreign)
        resumed = time.time()
        if self._engine_foreign and not self.looks_at_nothing:
            batch.fix()
        seen = batch if needed is None else batch.crop(needed)
        made = self.process(seen, downstream)
        if made is not None and not isinstance(made, Batch):
            raise BatchFilterError(
                self, f"process() has to return a Batch or None, it returned {made!r}"
            )
        if made is not None or needed is not None:
            batch = batch.merge(seen if made is None else made)
        self._cut(batch, downstream)
        done = time.time()
        batch.profiling_stats.record_halves(
            type(self).__name__, self._engine_label, started, prepared, resumed, done
        )
        is_told(prepared - started + done - resumed)
        return batch

    def _cut(self, batch: Batch, request: BatchRequest) -> None:
        try:
            batch.cut(request)
        except ValueError as error:
            raise BatchMismatch(f"{self._who()}: {error}") from error

    def _downstream(self, request: BatchRequest, asked: BatchRequest) -> BatchRequest:
        """What `process` gets to see as the request."""
        if not self._engine_foreign and not asked.has_placeholders:
            # Our own nodes do not change it, so it need not be copied.
            asked._plans = request._plans
            return asked
        downstream = request.copy()
        downstream.remove_placeholders()
        return downstream

    def _upstream_request(
        self, request: BatchRequest, skip: bool | None = None
    ) -> tuple[BatchRequest, BatchRequest | None]:
        """What upstream is asked for, and which part of it `process` is to see.

        The request itself becomes the one for upstream.
        """
        if skip is None:
            skip = self._skips(request)
        needed = None if skip else self.prepare(request)
        if needed is not None:
            if not isinstance(needed, BatchRequest):
                raise BatchFilterError(
                    self,
                    f"prepare() has to return a BatchRequest or None, it returned {needed!r}",
                )
            needed = needed.clone()
            _unite(request, needed)
            needed.remove_placeholders()
            self.remove_provided(needed)  # it may be the request itself, with what the node makes
        if not skip:
            self._free_updated(request, needed)
            if not self.looks_at_nothing:
                request.shown = None
        self.remove_provided(request)
        request._plans = None
        request._legacy_steps += 1
        return request, needed

    def _free_updated(self, upstream: BatchRequest, needed: BatchRequest | None) -> None:
        """A dtype asked of what this node makes is not asked of what it makes it from."""
        for key in self._updated_items:
            spec = upstream.get(key)
            if spec is not None:
                known = None if needed is None else needed.get(key)
                spec.dtype = None if known is None else known.dtype

    def _skips(self, request: BatchRequest) -> bool:
        if self._autoskip and not any(
            (spec := request.get(key)) is not None and not spec.placeholder
            for key in (*self._provided_items, *self._updated_items)
        ):
            return True
        return bool(self.skip_node(request))


def _unite(request: BatchRequest, needed: BatchRequest) -> None:
    """Ask also for what is needed, in place."""
    for key, spec in needed.items():
        asked = request.get(key)
        if asked is None:
            request[key] = spec
        else:
            asked.update_with(spec)
