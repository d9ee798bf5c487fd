"""Does a request fit what a node offers, and a batch what was asked?"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from voxflow.pipeline.data.array import (
    fits_in_size,
    is_off_grid,
    meant_region,
    off_grid,
)
from voxflow.pipeline.engine.errors import BatchMismatch
from voxflow.pipeline.engine.same_objects import SameObjects
from voxflow.pipeline.geometry import describe
from voxflow.pipeline.geometry.exact import format_exact, whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

    from voxflow.pipeline.data import (
        Array,
        ArraySpec,
        Batch,
        BatchRequest,
        Graph,
        GraphSpec,
        ProviderSpec,
    )
    from voxflow.pipeline.geometry import Coordinate, Roi


@dataclass(slots=True)
class Problem:
    """One thing that keeps a node from serving a request.

    Attributes
    ----------
    node
        The node, as it is to appear in the text.
    key
        What was asked; None if the whole request is concerned.
    kind
        "key", "voxel size", "directed", "region", "grid" or "error".
    text
        What is wrong and what to do.
    """

    node: str
    key: Any
    kind: str
    text: str

    def __str__(self) -> str:
        if self.key is None:
            return f"{self.node}: {self.text}" if self.node else self.text
        return f"{self.node}, {self.key}: {self.text}"


def request_fits(offered: ProviderSpec, request: BatchRequest) -> bool:
    """Whether a node can serve a request: no `request_problems`, found out without reasons."""
    arrays = offered.array_specs
    for key, asked in request.array_specs.items():
        there = arrays.get(key)
        if there is None or (there.nonspatial and asked.roi is not None):
            return False
        size, wanted = there._voxel_size, asked._voxel_size
        if wanted is not None and wanted is not size and size is not None and wanted != size:
            return False
        if not _fits(asked._roi, there._roi, size):
            return False
    for graph_key, graph_asked in request.graph_specs.items():
        graph = offered.graph_specs.get(graph_key)
        if graph is None or not _fits(graph_asked._roi, graph._roi, None):
            return False
        if graph_asked.directed is not None and graph_asked.directed != graph.directed:
            return False
    return True


def request_problems(name: str, offered: ProviderSpec, request: BatchRequest) -> list[Problem]:
    """Everything that keeps a node from serving a request, as far as geometry tells.

    Parameters
    ----------
    name
        The node, as it is to appear in the text.
    offered
        What the node provides.
    request
        What it is asked for.
    """
    problems: list[Problem] = []
    for specs, there in (
        (request.array_specs, offered.array_specs),
        (request.graph_specs, offered.graph_specs),
    ):
        for key, asked in specs.items():
            if key not in there:
                problems.append(Problem(name, key, "key", _unknown(key, offered)))
                continue
            for kind, text in _spec_problems(asked, there[key]):  # type: ignore[index]
                problems.append(Problem(name, key, kind, text))
    return problems


def _unknown(key: Any, offered: ProviderSpec) -> str:
    names = [str(k) for k in offered]
    if not names:
        return (
            "it is not provided, nothing is: requests are served inside `with build(...)` only, "
            "and a source has to name what it provides in setup()."
        )
    for other in offered:
        if str(other) == str(key):
            there, asked = type(other).__name__, type(key).__name__
            return f"it is provided under {there}('{other}'), not {asked}('{key}')."
    folded = {name.casefold(): name for name in names}
    close = difflib.get_close_matches(str(key).casefold(), folded, n=1, cutoff=0.5)
    guess = f" Did you mean {folded[close[0]]}?" if close else ""
    return f"neither this node nor one before it provides it. There is: {', '.join(names)}.{guess}"


def _spec_problems(asked: Any, offered: Any) -> Iterator[tuple[str, str]]:
    voxel_size = getattr(offered, "voxel_size", None)
    wanted = getattr(asked, "voxel_size", None)
    if wanted is not None and voxel_size is not None and wanted != voxel_size:
        yield (
            "voxel size",
            (
                f"voxel size {wanted} was asked, {voxel_size} is there (world units). "
                "Ask without a voxel size, or put a resampling node in between."
            ),
        )
    directed = getattr(asked, "directed", None)
    if directed is not None and directed != offered.directed:
        yield (
            "directed",
            (
                f"directed={directed} was asked, directed={offered.directed} is there. "
                "Ask without directed=, or correct the spec of the source."
            ),
        )
    yield from _roi_problems(asked, offered, voxel_size)


def _roi_problems(
    asked_spec: Any, offered_spec: Any, voxel_size: Coordinate | None
) -> Iterator[tuple[str, str]]:
    asked, offered = asked_spec.roi, offered_spec.roi
    if _fits(asked, offered, voxel_size) and not getattr(offered_spec, "nonspatial", False):
        return
    if asked is None:
        if offered is not None:
            there = describe(offered, voxel_size)
            yield "region", f"no region was asked for. It has one, {there}: ask for a Roi in it."
        return
    text = _shape_problem(asked, asked_spec, offered_spec, voxel_size)
    if text is not None:
        yield "region", text
        return
    if voxel_size is not None and is_off_grid(asked, voxel_size):
        yield "grid", f"{off_grid(asked, voxel_size)}.{_grid_hint(asked, voxel_size)}"
    if offered is not None and not offered.contains(asked):
        there = describe(offered, voxel_size)
        text = (
            f"asked for {describe(asked, voxel_size)}, there is {there}: "
            f"{_missing(asked, offered, voxel_size)}. "
            "Ask for less, let downstream nodes add less context, or put Pad after the source."
        )
        yield "region", text


def _compare(asked: Roi | None, offered: Roi | None, voxel_size: Coordinate | None) -> bool:
    """Whether a region is there and on the grid, without reasons."""
    if asked is None:
        return offered is None
    if voxel_size is not None and (
        len(asked.shape) != len(voxel_size) or None in asked.shape or is_off_grid(asked, voxel_size)
    ):
        return False
    return offered is None or offered.contains(asked)


_fits = SameObjects(_compare)


def _grid_hint(asked: Roi, voxel_size: Coordinate) -> str:
    """What the mistake behind a region off the grid may be."""
    if meant_region(asked, voxel_size) is not None:
        return ""
    if fits_in_size(asked, voxel_size):
        return (
            " If it was centred on another one, as by BatchRequest.add(), their sizes have to "
            "differ by an even number of voxels."
        )
    return f" Regions are in world units: n voxels are n * {voxel_size}."


def _shape_problem(
    asked: Roi, asked_spec: Any, offered_spec: Any, voxel_size: Coordinate | None
) -> str | None:
    offered = offered_spec.roi
    if getattr(offered_spec, "nonspatial", False):
        return (
            f"the region {asked} was asked, but it is nonspatial and lies nowhere. Ask for it "
            "with ArraySpec(nonspatial=True)."
        )
    dims = asked.dims
    if offered is not None:
        dims = offered.dims
    elif voxel_size is not None:
        dims = len(voxel_size)
    if asked.dims != dims:
        there = f", {offered}" if offered is not None else f", with voxels of {voxel_size}"
        return (
            f"a region of {asked.dims} dimensions was asked, {asked}; it has {dims}{there}. "
            "Channel axes are not asked for."
        )
    if asked.unbounded and voxel_size is not None and not asked_spec.placeholder:
        return f"the unbounded region {asked} was asked. Say where it begins and ends."
    return None


def _missing(asked: Roi, offered: Roi, voxel_size: Coordinate | None) -> str:
    """By how much each axis misses."""
    if asked.empty:
        return "the region that was asked is empty"
    parts = []
    for axis in range(asked.dims):
        for side, here, there, sign in (
            ("begin", asked.begin[axis], offered.begin[axis], 1),
            ("end", asked.end[axis], offered.end[axis], -1),
        ):
            if there is None:
                continue
            if here is None:
                parts.append(f"axis {axis} is unbounded at its {side}, which is not there")
            elif (miss := (there - here) * sign) > 0:
                size = _count(miss, "world unit")
                if voxel_size is not None:
                    size += f" = {_count(Fraction(miss) / voxel_size[axis])}"
                parts.append(f"axis {axis} misses {size} at its {side}")
    return "; ".join(parts) or "what is there is empty"


def _count(number: Any, noun: str = "voxel") -> str:
    return f"{format_exact(whole(number))} {noun}{'' if number == 1 else 's'}"


def batch_fits(offered: ProviderSpec, request: BatchRequest, batch: Batch) -> bool:
    """Whether a node delivered what it was asked for: `check_batch`, found out without reasons."""
    arrays, there = batch.arrays, offered.array_specs
    for key, asked in request.array_specs.items():
        if asked.placeholder:
            continue
        array, known = arrays.get(key), there.get(key)
        if array is None:
            return False
        roi, spec = asked._roi, array.spec
        size = spec._voxel_size
        if roi is not None and spec._roi is not roi and spec._roi != roi:
            return False
        if known is not None and size is not known._voxel_size and size != known._voxel_size:
            return False
        if asked._dtype is not None and array.dtype != asked._dtype:
            return False
        if roi is not None and size is not None and not array.fills(roi, size):
            return False
    for graph_key, graph_asked in request.graph_specs.items():
        there_graph = batch.graphs.get(graph_key)
        if not graph_asked.placeholder and _graph_mismatch(there_graph, graph_asked) is not None:
            return False
    return True


def check_batch(name: str, offered: ProviderSpec, request: BatchRequest, batch: Batch) -> None:
    """Raise if a node did not deliver what it was asked for.

    Raises
    ------
    BatchMismatch
        Names the node, the key, what was asked and what came.
    """
    for key, asked in request.array_specs.items():
        if not asked.placeholder:
            text = _array_mismatch(batch.arrays.get(key), asked, offered.array_specs.get(key))
            if text:
                raise BatchMismatch(f"{name}, {key}: {text}")
    for graph_key, graph_asked in request.graph_specs.items():
        if not graph_asked.placeholder:
            text = _graph_mismatch(batch.graphs.get(graph_key), graph_asked)
            if text:
                raise BatchMismatch(f"{name}, {graph_key}: {text}")


def _array_mismatch(array: Array | None, asked: ArraySpec, offered: ArraySpec | None) -> str | None:
    if array is None:
        return "it was asked for, and the node did not put it into the batch"
    spec, roi, voxel_size = array.spec, asked.roi, array.spec.voxel_size
    if roi is not None and spec.roi != roi:
        return f"asked for {describe(roi, voxel_size)}, got {spec.roi}"
    if offered is not None and voxel_size != offered.voxel_size:
        return f"voxel size {offered.voxel_size} was promised, got {voxel_size} (world units)"
    if roi is not None and voxel_size is not None and not array.fills(roi, voxel_size):
        return (
            f"the region {roi} has {tuple(roi.shape // voxel_size)} voxels of {voxel_size}, the "
            f"data have the shape {array.shape}. Spatial axes come last; a node that makes voxels "
            "larger or smaller says so in setup(), with updates(), and sets the spec of the array"
        )
    if asked.dtype is not None and array.dtype != asked.dtype:
        return _dtype_text(asked.dtype, array.dtype)
    return None


def _dtype_text(asked: np.dtype[Any], got: np.dtype[Any]) -> str:
    return f"{asked} was asked, {got} came. Put AsType or Normalize in between, or ask for {got}."


def _graph_mismatch(graph: Graph | None, asked: GraphSpec) -> str | None:
    if graph is None:
        return "it was asked for, and the node did not put it into the batch"
    if asked.roi is not None and graph.spec.roi != asked.roi:
        return f"asked for {asked.roi}, got {graph.spec.roi}"
    if asked.directed is not None and asked.directed != graph.directed:
        return f"directed={asked.directed} was asked, got directed={graph.directed}"
    return graph.stray(asked.roi)
