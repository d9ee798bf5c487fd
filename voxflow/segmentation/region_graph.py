"""Edges between fragments: the strongest of each pair, or how many there are and their mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from voxflow.pipeline.compiled import kernel
from voxflow.segmentation.block import OWN, in_three, span
from voxflow.segmentation.hashing import number_ids, pair_slots
from voxflow.segmentation.order import strongest_first

if TYPE_CHECKING:
    from pathlib import Path

    from voxflow.segmentation.block import Block

__all__ = ["FIXED", "RegionGraph", "between_fragments"]

FIXED = 1 << 24
"""Weights are summed up as whole numbers of this part, so that the order does not matter."""


class RegionGraph(NamedTuple):
    """Fragments of a part of a volume, and the edges between them.

    A pair of fragments is there once, the one that begins first in front. Pairs are in the order of
    the strength of their weights, those of equal strength in that of their places.
    """

    fragments: npt.NDArray[np.uint64]
    """Ids, in rising order."""
    sizes: npt.NDArray[np.int64]
    """How many voxels each one has."""
    outside: npt.NDArray[np.uint64]
    """Ids of fragments elsewhere that there are edges to."""
    ends: npt.NDArray[np.int32]
    """Shape (edges, 2): the how-manieth of `fragments`, followed by `outside`."""
    weights: npt.NDArray[np.float32]
    """The strongest (of largest magnitude) of the edges between two fragments."""
    places: npt.NDArray[np.uint64]
    """Which edge of the volume that is: of several that are equally strong, the first."""
    totals: npt.NDArray[Any]
    """The sum of all weights between two fragments, in units of 1 / `FIXED`."""
    counts: npt.NDArray[Any]
    """How many edges there are between two fragments."""

    def save(self, path: Path) -> None:
        """Write a file, whole or not at all."""
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            np.savez(file, **self._asdict())
        part.replace(path)


def between_fragments(
    block: Block,
    weights: npt.NDArray[np.float32],
    fragments: npt.NDArray[np.uint64],
    ending: bool = False,
) -> RegionGraph:
    """The fragments in a block, and the edges that begin there.

    Parameters
    ----------
    block
        What lies around it is seen as far as the neighbourhood reaches.
    weights
        Shape (channels, \\*region); 0: no edge.
    fragments
        Shape (\\*region), 0 where there is none.
    ending
        Also the edges that end there; their totals and counts say nothing then.
    """
    numbers, ids = number_ids(fragments.reshape(-1))
    state = block.state
    if len(ids) >= 2**31:
        raise ValueError("a block has more than 2^31 fragments")
    sizes = np.bincount(numbers[state.reshape(-1) == OWN], minlength=len(ids) + 1)[1:]
    numbers = in_three(numbers.reshape(fragments.shape))
    seen = weights.reshape(-1), numbers, state, block.vectors, ending, ids
    count = _find(*seen, np.empty(0, np.int64), np.empty(0, np.uint64))
    edges, keys = np.empty(count, np.int64), np.empty(count, np.uint64)
    _find(*seen, edges, keys)
    slots, pairs = pair_slots(keys)
    strongest = np.full(len(pairs), -1, np.int64)
    # Where sums say nothing, they take no room.
    totals, counts = np.zeros((2, len(pairs)), np.int8 if ending else np.int64)
    _gather(weights.reshape(-1), edges, slots, strongest, totals, counts, ending)
    places = _places(block, strongest)
    weights = weights.reshape(-1)[strongest]
    order = strongest_first(weights, np.argsort(places).astype(np.int32))
    order = np.where(order < 0, ~order, order)
    own, outside, ends = _ends(pairs[order], sizes > 0, ids)
    return RegionGraph(
        ids[own],
        sizes[own].astype(np.int64),
        ids[outside],
        ends,
        weights[order],
        places[order],
        totals[order],
        counts[order],
    )


def _ends(
    pairs: npt.NDArray[np.uint64], here: npt.NDArray[np.bool_], ids: npt.NDArray[np.uint64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """The fragments that are here, the others that there are edges to, and the ends of edges."""
    ends = np.stack([pairs >> np.uint64(32), pairs & np.uint64(0xFFFFFFFF)], axis=1)
    ends = ends.astype(np.int64) - 1
    elsewhere = np.zeros(len(ids), bool)
    elsewhere[ends] = True
    elsewhere &= ~here
    own, outside = np.flatnonzero(here), np.flatnonzero(elsewhere)
    own, outside = own[np.argsort(ids[own])], outside[np.argsort(ids[outside])]
    number = np.zeros(len(ids), np.int32)
    number[own], number[outside] = np.arange(len(own)), len(own) + np.arange(len(outside))
    return own, outside, number[ends]


def _places(block: Block, edges: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """The numbers of edges in the volume: channel by channel, voxel by voxel."""
    index = np.unravel_index(edges, (len(block.neighborhood), *block.alive.shape))
    shape = (len(block.neighborhood), *block.volume)
    place = [index[0], *(i + b for i, b in zip(index[1:], block.begin, strict=True))]
    number = np.zeros(len(edges), np.uint64)
    for extent, at in zip(shape, place, strict=True):
        number = number * np.uint64(extent) + at.astype(np.uint64)
    return number


@kernel
def _find(
    weights: Any,
    numbers: Any,
    state: Any,
    vectors: Any,
    ending: bool,
    ids: Any,
    edges: Any,
    keys: Any,
) -> int:
    """Find edges between fragments; how many they are. Where there is no room, none is written."""
    n0, n1, n2 = state.shape
    count = 0
    for c in range(len(vectors)):
        d0, d1, d2 = vectors[c]
        for i in range(*span(n0, d0)):
            for j in range(*span(n1, d1)):
                row = ((c * n0 + i) * n1 + j) * n2
                for k in range(*span(n2, d2)):
                    one, two = numbers[i, j, k], numbers[i + d0, j + d1, k + d2]
                    if one == two or one == 0 or two == 0 or weights[row + k] == 0:
                        continue
                    begins, ends = state[i, j, k] == OWN, state[i + d0, j + d1, k + d2] == OWN
                    if not (begins or (ending and ends)):
                        continue
                    if edges.size:
                        if ids[one - 1] > ids[two - 1]:
                            one, two = two, one
                        edges[count] = row + k
                        keys[count] = (np.uint64(one) << np.uint64(32)) | np.uint64(two)
                    count += 1
    return count


@kernel
def _gather(
    weights: Any,
    edges: Any,
    slots: Any,
    strongest: Any,
    totals: Any,
    counts: Any,
    strongest_only: bool,
) -> None:
    for i in range(edges.size):
        slot, weight = slots[i], weights[edges[i]]
        best = strongest[slot]
        # Edges come in the order of their places: the first of equally strong ones stays.
        if best < 0 or abs(weight) > abs(weights[best]):
            strongest[slot] = edges[i]
        if not strongest_only:
            totals[slot] += np.int64(np.rint(weight * np.float64(FIXED)))
            counts[slot] += 1
