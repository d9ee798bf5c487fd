"""Batches as plain values that can be compared, and sent between processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voxflow.pipeline.data import Batch


class Seen(NamedTuple):
    """What a consumer sees of one array or graph.

    Attributes
    ----------
    spec
        Its spec, as text.
    parts
        Its data by name: "values"; or "ids", "locations" and "edges".
    """

    spec: str
    parts: dict[str, NDArray[Any]]


def seen(batch: Batch) -> dict[str, Seen]:
    """All that a consumer sees of a batch."""
    found = {str(k): Seen(repr(a.spec), {"values": a.data}) for k, a in batch.arrays.items()}
    for key, graph in batch.graphs.items():
        parts = {"ids": graph.ids, "locations": graph.locations, "edges": graph.edge_array}
        found[str(key)] = Seen(repr(graph.spec), parts)
    return found


def difference(one: dict[str, Seen], other: dict[str, Seen]) -> str | None:
    """Say in what two batches differ first; None if they are the same, bit for bit."""
    if one.keys() != other.keys():
        return f"one batch has {', '.join(sorted(one))}, the other {', '.join(sorted(other))}"
    for key, mine in one.items():
        its = other[key]
        if mine.spec != its.spec:
            return f"{key} has the spec ({mine.spec}) in one batch and ({its.spec}) in the other"
        for name, values in mine.parts.items():
            text = unequal(values, its.parts[name])
            if text is not None:
                return f"{key}: {text}" if name == "values" else f"{key}, {name}: {text}"
    return None


def unequal(one: NDArray[Any], other: NDArray[Any]) -> str | None:
    """Say where two arrays differ; None if they are the same, bit for bit."""
    if one.shape != other.shape or one.dtype != other.dtype:
        return f"{one.dtype} of shape {one.shape} and {other.dtype} of shape {other.shape}"
    if one.tobytes() == other.tobytes():
        return None
    differ = np.asarray(one != other)
    if one.dtype.kind in "fc":
        differ &= ~(np.isnan(one) & np.isnan(other))
    places = np.argwhere(differ)
    if not len(places):
        return "zeros or nans that differ in their bits"
    first = tuple(places[0].tolist())
    return (
        f"{len(places)} of {differ.size} values differ, the first at {first}: "
        f"{one[first]} and {other[first]}"
    )
