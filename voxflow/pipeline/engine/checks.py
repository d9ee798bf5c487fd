"""Does a request fit what a node offers, and a batch what was asked?"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from voxflow.pipeline.data.array import off_grid
from voxflow.pipeline.engine.errors import BatchMismatch
from voxflow.pipeline.geometry import describe

if TYPE_CHECKING:
    import numpy as np

    from voxflow.pipeline.data import (
        Array,
        ArraySpec,
        Batch,
        BatchRequest,
        Graph,
        GraphSpec,
        ProviderSpec,
        Spec,
    )
    from voxflow.pipeline.geometry import Coordinate, Roi


def request_problems(name: str, offered: ProviderSpec, request: BatchRequest) -> list[str]:
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
    problems: list[str] = []
    for key, asked in request.items():
        if key not in offered:
            problems.append(f"{name} does not provide {key}. {_known(key, offered)}")
            continue
        for text in _spec_problems(asked, offered[key]):
            problems.append(f"{name}, {key}: {text}")
    return problems


def _known(key: Any, offered: ProviderSpec) -> str:
    names = [str(k) for k in offered]
    if not names:
        return "It provides nothing."
    close = difflib.get_close_matches(str(key), names, n=1, cutoff=0.5)
    guess = f" Did you mean {close[0]}?" if close else ""
    return f"It provides: {', '.join(names)}.{guess}"


def _spec_problems(asked: Any, offered: Any) -> list[str]:
    problems = []
    voxel_size = getattr(offered, "voxel_size", None)
    wanted = getattr(asked, "voxel_size", None)
    if wanted is not None and voxel_size is not None and wanted != voxel_size:
        problems.append(
            f"voxel size {wanted} was asked, {voxel_size} is there (world units). "
            "Ask without a voxel size, or put a resampling node in between."
        )
    directed = getattr(asked, "directed", None)
    if directed is not None and directed != offered.directed:
        problems.append(f"directed={directed} was asked, directed={offered.directed} is there.")
    problems += _roi_problems(asked.roi, offered.roi, voxel_size)
    return problems


def _roi_problems(
    asked: Roi | None, offered: Roi | None, voxel_size: Coordinate | None
) -> list[str]:
    if asked is None:
        if offered is not None:
            return [f"no region was asked for, but it has one: {offered}. Ask for a Roi."]
        return []
    if offered is not None and asked.dims != offered.dims:
        return [f"a region of {asked.dims} dimensions was asked, there are {offered.dims}."]
    if voxel_size is not None and asked.dims != voxel_size.dims:
        return [f"a region of {asked.dims} dimensions was asked, voxels have {voxel_size.dims}."]
    problems = []
    if voxel_size is not None and _is_off_grid(asked, voxel_size):
        problems.append(off_grid(asked, voxel_size) + ". Ask for one of those.")
    if offered is not None and not offered.contains(asked):
        problems.append(
            f"asked for {describe(asked, voxel_size)}, there is {describe(offered, voxel_size)}: "
            f"{_missing(asked, offered, voxel_size)}. "
            "Ask for less, let downstream nodes add less context, or put Pad after the source."
        )
    return problems


def _is_off_grid(roi: Roi, voxel_size: Coordinate) -> bool:
    for offset, extent, step in zip(roi.offset, roi.shape, voxel_size, strict=True):
        if offset is not None and offset % step:
            return True
        if extent is not None and extent % step:
            return True
    return False


def _missing(asked: Roi, offered: Roi, voxel_size: Coordinate | None) -> str:
    """By how much each axis misses."""
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
                voxels = (
                    "" if voxel_size is None else f" = {_number(miss / voxel_size[axis])} voxels"
                )
                parts.append(f"axis {axis} misses {_number(miss)}{voxels} at its {side}")
    return "; ".join(parts) or "the region is empty"


def _number(value: Any) -> str:
    return str(int(value)) if value == int(value) else f"{float(value):g}"


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
        return "it was asked for and is not in the batch"
    spec = array.spec
    if asked.roi is not None and spec.roi != asked.roi:
        return f"asked for {describe(asked.roi, spec.voxel_size)}, got {spec.roi}"
    if offered is not None and spec.voxel_size != offered.voxel_size:
        return f"voxel size {offered.voxel_size} was promised, got {spec.voxel_size} (world units)"
    if asked.roi is not None and spec.voxel_size is not None:
        shape = _shape(asked.roi, spec.voxel_size)
        if array.data.shape[array.data.ndim - len(shape) :] != shape:
            return f"the region has {shape} voxels, the data have the shape {array.data.shape}"
    if asked.dtype is not None and array.data.dtype != asked.dtype:
        return _dtype_text(asked.dtype, array.data.dtype)
    return None


def _dtype_text(asked: np.dtype[Any], got: np.dtype[Any]) -> str:
    return f"{asked} was asked, {got} came. Put AsType or Normalize in between, or ask for {got}."


def _shape(roi: Roi, voxel_size: Coordinate) -> tuple[Any, ...]:
    return tuple(e // v for e, v in zip(roi.shape, voxel_size, strict=True))


def _graph_mismatch(graph: Graph | None, asked: GraphSpec) -> str | None:
    if graph is None:
        return "it was asked for and is not in the batch"
    if asked.roi is not None and graph.spec.roi != asked.roi:
        return f"asked for {asked.roi}, got {graph.spec.roi}"
    if asked.directed is not None and asked.directed != graph.directed:
        return f"directed={asked.directed} was asked, got directed={graph.directed}"
    return graph.stray(asked.roi)


def describe_request(request: BatchRequest, offered: ProviderSpec | None = None) -> str:
    """What was asked, key by key, in world units and voxels."""
    parts = []
    for key, asked in request.items():
        known: Spec = asked
        if offered is not None and key in offered:
            known = offered[key]
        voxel_size = getattr(asked, "voxel_size", None) or getattr(known, "voxel_size", None)
        where = "no region" if asked.roi is None else describe(asked.roi, voxel_size)
        parts.append(f"{key} {where}")
    return "; ".join(parts) or "an empty request"
