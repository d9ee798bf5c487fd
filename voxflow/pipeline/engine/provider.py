"""The base of all nodes, and the one path that every request takes through each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from voxflow.pipeline.data import Batch, BatchRequest, ProviderSpec
from voxflow.pipeline.engine.arguments import Arguments
from voxflow.pipeline.engine.checks import (
    batch_fits,
    check_batch,
    request_fits,
    request_problems,
)
from voxflow.pipeline.engine.errors import (
    BatchRequestError,
    PipelineRequestError,
    RequestRefused,
    marked,
)
from voxflow.pipeline.engine.legacy_random import is_foreign, seed_globals
from voxflow.pipeline.engine.notes import note_visit
from voxflow.pipeline.engine.outside import finish_before
from voxflow.pipeline.engine.own_time import OwnTime, enter, fix_timed, leave
from voxflow.pipeline.engine.pipeline import Chainable
from voxflow.pipeline.engine.trace import here as tracing

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from voxflow.pipeline.data import Key, RunPosition, Spec
    from voxflow.pipeline.engine.run import Run


class _EngineLabel:
    """The label that the engine gave; a node with another use for the name may shadow it."""

    def __get__(self, node: Any, owner: Any = None) -> str:
        label: str = type(self).__name__ if node is None else node._engine_label
        return label


class BatchProvider(Chainable):
    """A node. Subclasses with no or several nodes upstream override `setup` and `provide`.

    Subclasses need not call ``super().__init__()``.

    Attributes
    ----------
    label
        The node's name among all of its pipeline: its class, ``-2`` for the second of one
        class, or what `named` was given. The node's random draws follow from it.
    given_label
        What `named` was given, or None.
    """

    takes_no_input: ClassVar[bool] = False
    """True of sources: a node before them is a mistake."""

    looks_at_nothing: bool = False
    """True of nodes that hand on deferred voxels as recipes, and where they lie."""

    only_fills: ClassVar[bool] = False
    """True of nodes that hand on an array as it came where its region is what was asked for."""

    changes_no_result: ClassVar[frozenset[str] | bool] = frozenset()
    """Which parameters of the constructor change no voxel, such as how many workers there are;
    True: none does, and neither does the node. `describe` leaves them out."""

    label = _EngineLabel()
    given_label: str | None
    _engine_label: str
    _spec: ProviderSpec | None
    _provided_items: list[Any]
    _upstream: list[BatchProvider]
    _placeholders_wanted: bool
    _pipeline_run: Run | None
    _engine_state: str
    _engine_foreign: bool
    _engine_arguments: Arguments

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:  # noqa: D102
        # State is made here, since subclasses need not call super().__init__().
        node = super().__new__(cls)
        node._engine_label = cls.__name__
        node.given_label = None
        node._spec = None
        node._provided_items = []
        node._upstream = []
        node._placeholders_wanted = False
        node._pipeline_run = None
        node._engine_state = ""
        node._engine_foreign = is_foreign(node)
        node._engine_arguments = Arguments(args, kwargs)
        return node

    # -- for authors of nodes -------------------------------------------------------------------

    def setup(self) -> None:
        """Say what this node provides, with `provides`."""
        raise NotImplementedError(f"{self.name()} does not implement setup()")

    def provide(self, request: BatchRequest) -> Batch:
        """Make a batch with what is asked for. The request may be changed."""
        raise NotImplementedError(f"{self.name()} does not implement provide()")

    def teardown(self) -> None:
        """Let go of whatever `setup` took."""

    @property
    def prefetches(self) -> bool:
        """Whether `prefetch` is of use at present."""
        return False

    def prefetch(self, request: BatchRequest) -> None:
        """Begin to read what will be asked for soon; called in any thread, while `prefetches`."""

    def upstream_requests(self, request: BatchRequest) -> list[tuple[Any, BatchRequest]] | None:
        """Which nodes `provide` asks for what, for planning and checks before the run.

        Parameters
        ----------
        request
            What is asked of this node. It may be changed.

        Returns
        -------
        list[tuple[Any, BatchRequest]] | None
            Nodes with requests; None if that cannot be known before the run.
        """
        return None if self._upstream else []

    def values_per_voxel(self, key: Key, upstream: Mapping[Key, int]) -> int | None:
        """How many values each voxel of an array has, its channels and samples, before the run.

        Parameters
        ----------
        key
            An array that this node makes or hands on.
        upstream
            How many those have that it gets.

        Returns
        -------
        int | None
            None: as many as upstream; for arrays that are made, what their `kind` says.
        """
        return None

    @property
    def hands_on_recipes(self) -> bool:
        """Whether it hands on what is to be done to voxels, and somebody downstream makes them."""
        return False

    def working_bytes(
        self, request: BatchRequest, given: Mapping[Key, int], made: Mapping[Key, int]
    ) -> int | None:
        """How many bytes it needs at once besides what it is given and what it makes.

        Parameters
        ----------
        request
            What it is asked for.
        given
            Bytes of the arrays that it gets, all made.
        made
            Bytes of those that it makes.

        Returns
        -------
        int | None
            None: not known; as much as it is given or makes is counted, whichever is more.
        """
        return None

    def kept_bytes(self, request: BatchRequest) -> int:
        """How many bytes of decoded chunks it keeps, once it has read what is asked for."""
        return 0

    def decoded_bytes(self, request: BatchRequest) -> int:
        """How many bytes it decodes of files for what is asked for, if it has kept nothing."""
        return 0

    def provides(self, key: Key, spec: Spec) -> None:
        """Say in `setup` that this node makes an array or a graph.

        Raises
        ------
        ValueError
            If it is provided already.
        """
        offered = self._own_spec()
        if key in offered:
            where = "upstream" if self._upstream else "by it"
            raise ValueError(
                f"{self.name()} cannot provide {key}: it is provided {where} already. "
                "Use another key, or `updates` in setup() to change an array on its way."
            )
        offered[key] = spec
        self._provided_items.append(key)

    def enable_placeholders(self) -> None:
        """Let `provide` see specs of which only the region matters."""
        self._placeholders_wanted = True

    def plan(self, request: BatchRequest) -> Any:
        """The value that `draw` returned for this request: drawn once, then kept with it."""
        plans = request._plans
        if plans is None:
            plans = request._plans = {}
        elif "draw" in plans:
            return plans["draw"]
        if request._seed is None:
            request._set_seed(request.random_seed)
        drawn = plans["draw"] = self.draw(request, request.rng(self._engine_label))
        return drawn

    def draw(self, request: BatchRequest, rng: np.random.Generator) -> Any:
        """All the dice of this node for one request, as a small value that does not change."""
        raise NotImplementedError(f"{self.name()} uses plan() and does not implement draw()")

    def resume_position(self) -> RunPosition | None:
        """Where the run goes on, if this node resumes one; asked once, after `setup`."""
        return None

    # -- what a node knows ----------------------------------------------------------------------

    def named(self, label: str) -> Self:
        """Give the node a label of its own, which its random draws then follow from."""
        self.given_label = label
        self._engine_label = label
        return self

    def name(self) -> str:
        """How the node is called in messages."""
        return type(self).__name__

    def _who(self) -> str:
        """How the node is called where it must not be taken for another: its name and label."""
        kind, name = type(self).__name__, self.name()
        return name.replace(kind, self._engine_label, 1) if name.startswith(kind) else name

    @property
    def spec(self) -> ProviderSpec:
        """What this node provides."""
        return self._own_spec()

    @spec.setter
    def spec(self, spec: ProviderSpec | None) -> None:
        self._spec = spec

    def _own_spec(self) -> ProviderSpec:
        if self._spec is None:
            self._spec = ProviderSpec()
        return self._spec

    @property
    def provided_items(self) -> list[Any]:
        """The keys that this node makes itself."""
        return self._provided_items

    def remove_provided(self, request: BatchRequest) -> None:
        """Drop, in place, the keys that this node makes itself."""
        for key in self._provided_items:
            if key in request:
                del request[key]

    @property
    def remove_placeholders(self) -> bool:
        """Whether `provide` gets a request without placeholders."""
        return not self._placeholders_wanted

    @property
    def upstream_providers(self) -> list[BatchProvider]:
        """The nodes that this one asks."""
        return self._upstream

    def get_upstream_providers(self) -> list[BatchProvider]:
        """The nodes that this one asks."""
        return self._upstream

    def add_upstream_provider(self, provider: BatchProvider) -> BatchProvider:
        """Make a node one that this one asks."""
        self._upstream.append(provider)
        return provider

    def remove_upstream_providers(self) -> None:
        """Forget the nodes that this one asks."""
        self._upstream = []

    @property
    def _engine_in_use(self) -> bool:
        """Whether the node belongs to a pipeline that is set up."""
        return bool(self._engine_state)

    def internal_teardown(self) -> None:
        """Forget what `setup` said, then call `teardown`."""
        self._spec = None
        self._provided_items = []
        self.teardown()

    # -- the one path ---------------------------------------------------------------------------

    def request_batch(self, request: BatchRequest) -> Batch:
        """A batch with just what is asked for.

        Parameters
        ----------
        request
            The keys and regions. It is not changed.

        Raises
        ------
        BatchRequestError
            If the request cannot be served.
        """
        if self._pipeline_run is not None:
            return self._pipeline_run.serve(self, request, BatchRequestError, provider=self)
        batch = self._request_deferred(request)
        if self._foreign_from_here():
            # Who asks may ask again before anybody looks, or write to what it gets.
            fix_timed(batch)
        return batch

    def _request_deferred(self, request: BatchRequest) -> Batch:
        entered = enter()
        try:
            return self._serve_request(request)
        except Exception as error:
            # So nodes that try again catch it by the same name as who asks the pipeline.
            raised = marked(error, PipelineRequestError)
        finally:
            leave(entered)
        raise raised

    def _foreign_from_here(self) -> bool:
        """Whether this node or one upstream was written elsewhere."""
        return self._engine_foreign or any(
            node._foreign_from_here() for node in self.get_upstream_providers()
        )

    def _serve_request(self, request: BatchRequest) -> Batch:
        """The same for callers that know what is done in the meantime: `Between` or a filter."""
        try:
            visit = request.clone()
            visit._plans = {}
            if visit._seed is None:
                visit._set_seed(visit.random_seed)
            offered = self._own_spec()
            if self._engine_foreign:
                seed_globals(visit)
            visit._legacy_steps += 1
            if self.remove_placeholders:
                visit.remove_placeholders()
            if not request_fits(offered, visit):
                raise RequestRefused(request_problems(self._who(), offered, visit))
            watch = tracing.watch
            if watch is None:
                batch = self._timed_provide(visit, request)
            else:
                batch = watch.provide(self, visit, request)
            if self._engine_foreign and type(batch) is Batch:
                batch = batch.apart()  # what was given out goes, unless the node has kept it
                batch.claim()
            if not batch_fits(offered, request, batch):
                check_batch(self._who(), offered, request, batch)
        except Exception as error:
            note_visit(error, self._who(), request, self._spec)
            raise
        return batch

    def _timed_provide(self, visit: BatchRequest, request: BatchRequest) -> Batch:
        """What `provide` makes of a request that is its own, stripped to what was asked for."""
        if not self.looks_at_nothing:
            visit.shown = None
        finish_before(self._engine_foreign)
        with OwnTime() as own:
            batch = self.provide(visit)
        if not isinstance(batch, Batch):
            raise self._mistake(f"provide() has to return a Batch, it returned {batch!r}")
        name, stats = type(self).__name__, batch.profiling_stats
        stats.record(name, None, own.start, own.stop, own.seconds, label=self._engine_label)
        if not self._upstream:
            stats.note_reads(self._engine_label, request)
        drop_unrequested(batch, request)
        return batch

    def _mistake(self, text: str) -> Exception:
        """What to raise where the node breaks the rules for nodes."""
        return TypeError(f"{self.name()}: {text}")

    def __repr__(self) -> str:
        return f"{self.name()}, providing: {self._spec}"


def request_deferred(provider: BatchProvider, request: BatchRequest) -> Batch:
    """As `request_batch` of a node, for who sees to all voxels before anybody is asked again."""
    plain = type(provider).request_batch is BatchProvider.request_batch
    if plain and provider._pipeline_run is None:
        return provider._request_deferred(request)
    return provider.request_batch(request)


def drop_unrequested(batch: Batch, request: BatchRequest) -> None:
    """Leave out of a batch, in place, what was not asked for."""
    if not batch.arrays.keys() <= request.array_specs.keys():
        for key in batch.arrays.keys() - request.array_specs.keys():
            del batch.arrays[key]
    if not batch.graphs.keys() <= request.graph_specs.keys():
        for graph_key in batch.graphs.keys() - request.graph_specs.keys():
            del batch.graphs[graph_key]
