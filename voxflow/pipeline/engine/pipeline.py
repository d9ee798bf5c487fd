"""Chains and trees of nodes, put together with ``+``."""

from __future__ import annotations

from itertools import chain, count
from typing import TYPE_CHECKING, Any

from voxflow.pipeline.data import BatchRequest, ReplayToken
from voxflow.pipeline.data.seeds import fresh_seed, seeding_from
from voxflow.pipeline.engine import planning
from voxflow.pipeline.engine.errors import (
    PipelineRequestError,
    PipelineSetupError,
    PipelineTeardownError,
    marked,
)
from voxflow.pipeline.engine.inside import Inside
from voxflow.pipeline.engine.legacy_random import borrowed_state, is_foreign, seed_globals
from voxflow.pipeline.engine.notes import add_note
from voxflow.pipeline.engine.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from voxflow.pipeline.data import Batch, ProviderSpec, RunPosition


class Chainable:
    """What can stand on either side of ``+``: nodes and pipelines."""

    def __add__(self, other: Any) -> Pipeline:
        """Put another node or pipeline downstream of this one."""
        if not isinstance(other, Chainable):
            raise _not_chainable(other)
        return _attach((self,), other)

    def __radd__(self, other: Any) -> Pipeline:
        """Make every node or pipeline of a tuple an input of this one."""
        if not isinstance(other, tuple):
            raise _not_chainable(other)
        for member in other:
            if not isinstance(member, Chainable):
                raise TypeError(
                    f"every member of the tuple has to be a node or a pipeline, got {member!r}"
                )
        if not other:
            raise ValueError(f"the tuple of inputs of {self!r} is empty; it needs one at least")
        return _attach(other, self)


class Pipeline(Chainable, Inside):
    """A tree of nodes: the last node, and the pipelines that feed it.

    Parameters
    ----------
    node
        The last, most downstream node.

    Attributes
    ----------
    output
        The last node.
    children
        The pipelines that feed it.
    initialized
        Whether the nodes are set up.

    Raises
    ------
    TypeError
        If `node` is no node.
    """

    output: Any
    children: tuple[Pipeline, ...]
    initialized: bool

    def __init__(self, node: Any) -> None:
        if not isinstance(node, Chainable) or isinstance(node, Pipeline):
            hint = ""
            if isinstance(node, (tuple, list)):
                hint = "; combine several with (a, b) + MergeProvider(), chain them with a + b"
            raise TypeError(f"a pipeline is made of nodes (BatchProvider), got {node!r}{hint}")
        self.output = node
        self.children = ()
        self.initialized = False
        self._run: Run | None = None

    # -- the tree -------------------------------------------------------------------------------

    def traverse(self, callback: Callable[[Pipeline], Any], reverse: bool = False) -> list[Any]:
        """Call a function with every sub-pipeline.

        Parameters
        ----------
        callback
            Gets a pipeline, the whole one and each below it.
        reverse
            Leaves first.

        Returns
        -------
        list[Any]
            The results, nested as the pipelines are.
        """
        own = [] if reverse else [callback(self)]
        below: list[Any] = [child.traverse(callback, reverse) for child in self.children]
        return [*own, *below] if not reverse else [*below, callback(self)]

    def nodes(self) -> Iterator[Any]:
        """All nodes, upstream first."""
        for child in self.children:
            yield from child.nodes()
        yield self.output

    def copy(self) -> Pipeline:
        """A pipeline of its own over the same nodes."""
        new = Pipeline(self.output)
        new.children = tuple(child.copy() for child in self.children)
        return new

    # -- life -----------------------------------------------------------------------------------

    def setup(self, *, seed: int | None = None) -> None:
        """Connect the nodes and set them up, upstream first.

        Parameters
        ----------
        seed
            The seed of the run. None: that of the checkpoint that a node resumes from, or
            one is drawn.

        Raises
        ------
        PipelineSetupError
            If a node cannot be set up; its own error keeps its type.
        """
        self.check_not_set_up()
        nodes = list(self.nodes())
        self._check_unused(nodes)
        self._label(nodes)
        self._check_inputs()
        self._connect()
        self.initialized = True
        for node in nodes:
            node._engine_state = "connected"
        # What a node asks of the others while it is set up has a seed as well, and may be served by
        # nodes that draw from the global random state.
        with borrowed_state(any(map(is_foreign, nodes))), seeding_from(seed or 0):
            for node in nodes:
                self._setup_node(node)
        self._run = self._start_run(nodes, seed)

    def check_not_set_up(self) -> None:
        """Raise `PipelineSetupError` if the pipeline is set up already."""
        if self.initialized:
            raise PipelineSetupError(
                "this pipeline is set up already; leave the `with build(...)` block that it is in "
                "before it is built once more"
            )

    @staticmethod
    def _setup_node(node: Any) -> None:
        node._engine_state = "set up"
        seed_globals(BatchRequest(random_seed=fresh_seed()))
        try:
            node.setup()
        except Exception as error:
            add_note(error, f"Exception in {node._who()} while calling setup()")
            raised = marked(error, PipelineSetupError, provider=node)
        else:
            return
        raise raised

    def internal_teardown(self) -> None:
        """Tear the nodes down, upstream first, and take them apart.

        Raises
        ------
        PipelineTeardownError
            If a node cannot be torn down; the others still are.
        """
        first: BaseException | None = None
        for node in self.nodes():
            try:
                if node._engine_state == "set up":
                    node.internal_teardown()
            except Exception as error:
                add_note(error, f"Exception in {node._who()} while calling teardown()")
                if first is None:
                    first = marked(error, PipelineTeardownError, provider=node)
            except BaseException as interrupt:  # the rest is torn down all the same
                first = interrupt
            finally:
                node._engine_state = ""
                node._spec = None
                node.remove_upstream_providers()
        self.initialized = False
        self._run = None
        if first is not None:
            raise first

    def _check_unused(self, nodes: list[Any]) -> None:
        seen: set[int] = set()
        for node in nodes:
            if id(node) in seen:
                text = "is used twice in this pipeline; make a second node of the same kind"
            elif node._engine_in_use:
                text = "belongs to another pipeline that is still built; make a node of its own"
            else:
                seen.add(id(node))
                continue
            error = PipelineSetupError(f"{node.name()} {text}")
            error.provider = node
            raise error

    def _check_inputs(self) -> None:
        """Refuse inputs of nodes that take none, which would be left out in silence."""
        for child in self.children:
            child._check_inputs()
            if self.output.takes_no_input:
                error = PipelineSetupError(
                    f"{self.output._who()} takes no input, but "
                    f"{child.output._who()} is put before it; combine sources with "
                    "(a, b) + MergeProvider()"
                )
                error.provider = self.output
                raise error

    @staticmethod
    def _label(nodes: list[Any]) -> None:
        used: set[str] = set()
        # Names that were given come first, so that no counted one takes their place.
        for node in sorted(nodes, key=lambda node: node.given_label is None):
            name = node.given_label or type(node).__name__
            numbered = (f"{name}-{i}" for i in count(2))
            node._engine_label = next(n for n in chain([name], numbered) if n not in used)
            used.add(node._engine_label)

    def _connect(self) -> None:
        for child in self.children:
            child._connect()
            self.output.add_upstream_provider(child.output)

    @staticmethod
    def _start_run(nodes: list[Any], seed: int | None) -> Run:
        resumed = [(n, p) for n in nodes if (p := n.resume_position()) is not None]
        if not resumed:
            run = Run(seed)
        else:
            node, position = resumed[-1]
            _check_together(resumed)
            if seed is not None and seed != position.seed:
                raise PipelineSetupError(
                    f"{node._who()} resumes a run that was made with seed={position.seed}, but "
                    f"build() was given seed={seed}. Leave seed= out to go on with that run, or "
                    "give the node another checkpoint name to start a new one."
                )
            run = Run(position.seed, position.index)
        run.foreign = any(is_foreign(node) for node in nodes)
        return run

    # -- requests -------------------------------------------------------------------------------

    @property
    def spec(self) -> ProviderSpec | None:
        """What the pipeline provides; None before it is set up."""
        spec: ProviderSpec | None = self.output.spec if self.output._engine_in_use else None
        return spec

    @property
    def run(self) -> Run:
        """The run: its seed and the position of the next batch.

        Raises
        ------
        RuntimeError
            If the pipeline is not set up.
        """
        if self._run is None:
            raise RuntimeError("this pipeline is not set up; use it inside `with build(pipeline):`")
        return self._run

    def request_batch(self, request: BatchRequest) -> Batch:
        """A batch with what is asked for.

        Parameters
        ----------
        request
            The keys and regions. A request without a seed gets the next one of the run.

        Raises
        ------
        PipelineRequestError
            If the request cannot be served. The error is also of the type
            that it was raised as.
        """
        return self.run.serve(
            self.output, request, PipelineRequestError, pipeline=self, provider=self.output
        )

    def replay(self, token: ReplayToken | str) -> Batch:
        """Make a batch again, to look at it: no node counts it, learns from it or records it.

        Parameters
        ----------
        token
            The `token` of the batch, or its text, as a snapshot holds it.
        """
        if isinstance(token, str):
            token = ReplayToken(token)
        request = token.request()
        request.replayed = True
        return self.request_batch(request)

    def check(self, request: BatchRequest) -> None:
        """Raise if a request cannot be served, without reading any data.

        Raises
        ------
        RequestRefused
            With all the mistakes at once. If the only one is an error that a node raised, that
            one, which is then a `PipelineRequestError` too.
        """
        self.run  # noqa: B018 - says so if the pipeline is not set up
        try:
            planning.check(self.output, request)
        except Exception as error:
            raised = marked(error, PipelineRequestError, pipeline=self, request=request)
        else:
            return
        raise raised

    def __repr__(self) -> str:
        if not self.children:
            return str(self.output.name())
        inputs = ", ".join(repr(child) for child in self.children)
        if len(self.children) > 1:
            inputs = f"({inputs})"
        return f"{inputs} -> {self.output.name()}"


def _attach(upstream: tuple[Any, ...], downstream: Any) -> Pipeline:
    """Feed every leaf of a pipeline from these nodes and pipelines."""
    inputs = [p if isinstance(p, Pipeline) else Pipeline(p) for p in upstream]
    result = downstream.copy() if isinstance(downstream, Pipeline) else Pipeline(downstream)
    _feed(result, inputs)
    return result


def _feed(pipeline: Pipeline, inputs: list[Pipeline]) -> None:
    if not pipeline.children:
        pipeline.children = tuple(p.copy() for p in inputs)
        return
    for child in pipeline.children:
        _feed(child, inputs)


def _check_together(resumed: list[tuple[Any, RunPosition]]) -> None:
    """Raise if nodes would go on from different places, as after a kill between two checkpoints."""
    if len({position for _, position in resumed}) == 1:
        return
    where = ", ".join(f"{n._who()} at batch {p.index} of seed={p.seed}" for n, p in resumed)
    first = min(position.index for _, position in resumed)
    remedy = (
        f"remove the newer checkpoints, so that each has its latest one at batch {first}, or an "
        "earlier one that all have"
        if len({position.seed for _, position in resumed}) == 1
        else "give all of them the checkpoints of one run"
    )
    raise PipelineSetupError(
        f"the checkpoints of the nodes are from different places of a run ({where}), so that some "
        f"would see batches twice or never; {remedy}. Or start a new run with other checkpoint "
        "names. The same save_every for all makes this rare."
    )


def _not_chainable(other: object) -> RuntimeError:
    if isinstance(other, (list, tuple)):
        got = f"a {type(other).__name__}"
        hint = "; several inputs are a tuple, on the left: (a, b) + MergeProvider()"
    elif isinstance(other, type) and issubclass(other, Chainable):
        got, hint = f"the class {other.__name__}", f"; a node of it is {other.__name__}(...)"
    else:
        got, hint = repr(other), ""
    return RuntimeError(
        f"nodes and pipelines are added to nodes, pipelines, or tuples of them, got {got}{hint}"
    )
