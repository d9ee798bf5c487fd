"""Walk a request upstream without data: find all mistakes, show what every node will be asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any

from voxflow.pipeline.data.seeds import derive_seed
from voxflow.pipeline.engine.checks import request_problems
from voxflow.pipeline.engine.errors import RequestRefused
from voxflow.pipeline.engine.legacy_random import borrowed_state, is_foreign

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voxflow.pipeline.data import BatchRequest


@dataclass(slots=True)
class NodePlan:
    """What one node will be asked.

    Attributes
    ----------
    label
        The node.
    request
        What it is asked for.
    offered
        The specs of what it provides.
    problems
        What is wrong with that.
    upstream
        The plans of the nodes that it asks in turn; None if that is not known.
    """

    label: str
    request: BatchRequest
    offered: Any
    problems: list[str]
    upstream: list[NodePlan] | None = field(default_factory=list)

    def all_problems(self) -> list[str]:
        """The problems of this node and of all upstream, without repetitions."""
        found = dict.fromkeys(self.problems)
        for plan in self.upstream or []:
            found.update(dict.fromkeys(plan.all_problems()))
        return list(found)

    def __str__(self) -> str:
        return "\n".join(self._lines(0))

    def _lines(self, depth: int) -> Iterator[str]:
        pad = "  " * depth
        yield f"{pad}{self.label}"
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
    """
    problems = plan(node, request, own_nodes_only).all_problems()
    if problems:
        raise RequestRefused(problems)


def _walk(node: Any, request: BatchRequest, own_nodes_only: bool) -> NodePlan:
    asked = request.clone()
    asked._plans = {}
    if node.remove_placeholders:
        asked.remove_placeholders()
    problems = request_problems(node.label, node.spec, asked)
    visit = NodePlan(node.label, request, node.spec, problems)
    if any(key not in node.spec for key in asked):
        return visit
    if own_nodes_only and is_foreign(node):
        visit.upstream = None
        return visit
    try:
        upstream = node.upstream_requests(asked)
    except RequestRefused as error:
        visit.problems += error.problems
        return visit
    except Exception as error:
        if not problems:
            visit.problems.append(f"{node.label}: {type(error).__name__}: {error}")
        return visit
    if upstream is None:
        visit.upstream = None
    else:
        visit.upstream = [_walk(n, r, own_nodes_only) for n, r in upstream]
    return visit


def _row(spec: Any, offered: Any, key: Any) -> str:
    known = offered[key] if key in offered else spec  # noqa: SIM401 - no dict
    voxel_size = getattr(known, "voxel_size", None)
    if spec.roi is None or voxel_size is None or spec.roi.dims != voxel_size.dims:
        parts = ["nonspatial" if spec.roi is None else str(spec.roi)]
        return ", ".join(parts + ([] if known.dtype is None else [str(known.dtype)]))
    shape = spec.roi.shape / voxel_size
    parts = [str(spec.roi), f"{shape} voxels of {voxel_size}"]
    if known.dtype is not None and None not in shape:
        size = float(prod(shape)) * known.dtype.itemsize
        parts.append(f"{known.dtype}, {_size(size)} per channel")
    return ", ".join(parts)


def _size(size: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.4g} {unit}"
        size /= 1024
    return f"{size:.4g} TiB"
