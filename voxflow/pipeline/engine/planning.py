"""Walk a request upstream without data: find all mistakes, show what every node will be asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any

from voxflow.pipeline.data.seeds import derive_seed
from voxflow.pipeline.engine.checks import Problem, request_problems
from voxflow.pipeline.engine.errors import RequestRefused
from voxflow.pipeline.engine.legacy_random import borrowed_state, is_foreign, seed_globals
from voxflow.pipeline.engine.memory import Memory, format_size, memory_of
from voxflow.pipeline.engine.notes import note_visit
from voxflow.pipeline.geometry.exact import format_exact

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voxflow.pipeline.data import BatchRequest


@dataclass(slots=True)
class NodePlan:
    """What one node will be asked.

    Attributes
    ----------
    label
        What the node is called.
    request
        What it is asked for.
    offered
        The specs of what it provides.
    problems
        What is wrong with that.
    upstream
        The plans of the nodes that it asks in turn; None if that is not known.
    times
        How often it is asked for just this.
    node
        The node itself.
    error
        What the node raised when it was to say what it asks upstream; one of the problems.
    """

    label: str
    request: BatchRequest
    offered: Any
    problems: list[Problem]
    upstream: list[NodePlan] | None = field(default_factory=list)
    times: int = 1
    error: Exception | None = None
    node: Any = field(default=None, repr=False, compare=False)

    def visits(self) -> Iterator[NodePlan]:
        """This plan, and those of all nodes upstream."""
        yield self
        for plan in self.upstream or []:
            yield from plan.visits()

    def all_problems(self) -> list[str]:
        """The problems of this node and of all upstream, each mistake once."""
        found = dict.fromkeys(map(str, self.problems))
        for plan in self.upstream or []:
            found.update(dict.fromkeys(plan.all_problems()))
        return list(found)

    def errors(self) -> list[Exception]:
        """What nodes raised when they were to say what they ask upstream."""
        own = [] if self.error is None else [self.error]
        return own + [error for plan in self.upstream or [] for error in plan.errors()]

    def memory(self) -> Memory:
        """How many bytes of voxels are held at once, at most, while this is served."""
        return memory_of(self)

    def __str__(self) -> str:
        return "\n".join(self._lines(0))

    def _lines(self, depth: int) -> Iterator[str]:
        pad = "  " * depth
        yield f"{pad}{self.label}" + (f"  (asked {self.times} times)" if self.times > 1 else "")
        for key, spec in self.request.items():
            yield f"{pad}  · {key}: {_row(spec, self.offered, key)}"
        for problem in self.problems:
            yield f"{pad}  ! {problem}"
        if self.upstream is None:
            yield f"{pad}  (what it asks upstream is not known before it runs)"
        for plan in self.upstream or []:
            yield from plan._lines(depth + 1)


def plan(node: Any, request: BatchRequest, own_nodes_only: bool = False) -> NodePlan:
    """Plan a request: which node is asked for what. No data are read.

    Parameters
    ----------
    node
        The node at the downstream end.
    request
        What is asked of it.
    own_nodes_only
        Do not call nodes from outside of voxflow, and stop there.
    """
    walked = request.clone()
    walked.planning = True
    if not walked.is_deterministic():
        # Any seed will do: plans of one request only differ in where random locations fall.
        walked._set_seed(derive_seed(0, "plan"))
    with borrowed_state(not own_nodes_only):
        return _walk(node, walked, own_nodes_only)


def check(node: Any, request: BatchRequest, own_nodes_only: bool = False) -> None:
    """Raise if a request cannot be served, as far as that can be known without reading data.

    Raises
    ------
    RequestRefused
        With all the mistakes, in the order from downstream to upstream.
    Exception
        What a node raised, if that is the only mistake.
    """
    found = plan(node, request, own_nodes_only)
    problems = found.all_problems()
    errors = found.errors()
    if len(problems) == 1 and len(errors) == 1 and not isinstance(errors[0], RequestRefused):
        raise errors[0]
    if problems:
        raise RequestRefused(problems) from (errors[0] if errors else None)


def prefetch(node: Any, request: BatchRequest) -> None:
    """Let all nodes upstream that wait for their data begin to read what a request will ask for.

    Parameters
    ----------
    node
        The node at the downstream end.
    request
        What will be asked of it soon. Nodes from outside of voxflow are not called for that.
    """
    for visit in plan(node, request, own_nodes_only=True).visits():
        if visit.node.prefetches and not visit.problems:
            visit.node.prefetch(visit.request)


def _walk(node: Any, request: BatchRequest, own_nodes_only: bool, spoilt: bool = False) -> NodePlan:
    asked = request.clone()
    asked._plans = {}
    seed_globals(asked)
    if node.remove_placeholders:
        asked.remove_placeholders()
    visit = NodePlan(node.label, request, node.spec, _problems(node, asked), node=node)
    # What cannot be served is left out from here on, so that no mistake is told twice.
    for key in {problem.key for problem in visit.problems}:
        del asked[key]
        spoilt = True
    if spoilt and len(asked) == 0:
        return visit
    if own_nodes_only and is_foreign(node):
        visit.upstream = None
        return visit
    try:
        upstream = node.upstream_requests(asked)
    except Exception as error:
        if not spoilt:
            visit.error = error
            visit.problems += _raised(node, error)
            note_visit(error, node._who(), request, node.spec)
        return visit
    if upstream is not None:
        upstream = _walk_all(upstream, own_nodes_only, spoilt)
    visit.upstream = upstream
    return visit


def _walk_all(
    upstream: list[tuple[Any, BatchRequest]], own_nodes_only: bool, spoilt: bool
) -> list[NodePlan]:
    """Walk on from each node; one that is asked for the same several times is walked once."""
    plans: list[NodePlan] = []
    last: Any = None
    for node, request in upstream:
        if last is node and plans[-1].request == request:
            plans[-1].times += 1
        else:
            plans.append(_walk(node, request, own_nodes_only, spoilt))
        last = node
    return plans


def _problems(node: Any, request: BatchRequest) -> list[Problem]:
    problems = request_problems(node._who(), node.spec, request)
    for problem in problems:
        if problem.key in node.spec:
            problem.node = _origin(node, problem.key)._who()
    return problems


def _origin(node: Any, key: Any) -> Any:
    """The node that a key comes from, as far as it is passed on as it is."""
    for provider in node.get_upstream_providers():
        if key in provider.spec and provider.spec[key].roi == node.spec[key].roi:
            return _origin(provider, key)
    return node


def _raised(node: Any, error: Exception) -> list[Problem]:
    if isinstance(error, RequestRefused):
        return [Problem("", None, text, text) for text in error.problems]
    # The text of a KeyError is its argument in quotes.
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    return [Problem(node._who(), None, "error", f"{type(error).__name__}: {text}")]


def _row(spec: Any, offered: Any, key: Any) -> str:
    known = offered[key] if key in offered else spec  # noqa: SIM401 - no dict
    voxel_size = getattr(known, "voxel_size", None)
    parts = ["placeholder"] if spec.placeholder else []
    if spec.roi is None or voxel_size is None or spec.roi.dims != len(voxel_size):
        parts.append("nonspatial" if spec.roi is None else str(spec.roi))
        return ", ".join(parts + ([] if known.dtype is None else [str(known.dtype)]))
    shape = spec.roi.shape / voxel_size
    parts += [str(spec.roi), f"{' x '.join(map(format_exact, shape))} voxels of {voxel_size}"]
    if known.dtype is not None and None not in shape:
        size = float(prod(shape)) * known.dtype.itemsize
        parts.append(f"{known.dtype}, {format_size(size)} per channel")
    return ", ".join(parts)
