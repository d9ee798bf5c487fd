"""Voxels into fragments: those that are surely of one segment, whatever lies outside of a block."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from voxflow.ops.components import root
from voxflow.pipeline.compiled import kernel
from voxflow.segmentation.block import OUTSIDE, OWN, span
from voxflow.segmentation.clusters import is_full, new_clusters, take, with_room
from voxflow.segmentation.order import GROUPS, MAGNITUDE, group_of, strongest_first

if TYPE_CHECKING:
    from voxflow.segmentation.block import Block

__all__ = ["contract", "name_by_first"]


def contract(block: Block, weights: npt.NDArray[np.float32]) -> npt.NDArray[np.uint64]:
    """Join the voxels of a block that the mutex watershed of the volume surely joins.

    Edges are taken in the order of their magnitudes, those of equal magnitude in the order of
    channels and places. Those that cross the border of the block are seen, but not what lies
    beyond; see `voxflow.segmentation.clusters`. Without any border, that is all of it.

    Parameters
    ----------
    block
        What lies around it is seen as far as the neighbourhood reaches.
    weights
        Shape (channels, \\*region): above 0 attractive, below 0 repulsive, 0 no edge.

    Returns
    -------
    numpy.ndarray
        Of the block's own part: the id of each voxel's fragment, which is 1 + the number of its
        first voxel in the volume; 0 where there is no object.
    """
    state, vectors = block.state, block.vectors
    flat = weights.reshape(-1)
    if flat.size >= 2**31:
        raise ValueError(
            f"a block of {weights.shape} affinities is too large to be segmented at once: fewer "
            "than 2^31; segment it in blocks (segment_blockwise)"
        )
    bits = flat.view(np.int32)
    counts, repulsive = _count_edges(bits, state, vectors)
    edges, ends = np.empty(counts.sum(), np.int32), np.cumsum(counts)
    _find_edges(bits, state, vectors, ends - counts, edges)
    if repulsive:
        clusters, steps = new_clusters(state.reshape(-1) != OWN, repulsive), _steps(state, vectors)
        for group in np.split(edges, ends[counts > 0]):
            # Most edges lie within what stronger ones have joined: they need not be sorted.
            count = _keep_useful(clusters, group, steps)
            clusters = _cluster(clusters, strongest_first(flat, group[:count], True), steps)
        parent = clusters.parent
    else:
        parent = np.arange(state.size, dtype=np.int32)
        _unite(parent, edges, state, vectors)
    return name_by_first(parent, block)


def name_by_first(parent: npt.NDArray[np.int32], block: Block) -> npt.NDArray[np.uint64]:
    """Name each tree of voxels 1 + the number of its first voxel in the volume."""
    state = block.state
    names = np.zeros(parent.size, np.uint64)
    out = np.zeros(state.shape, np.uint64)
    _name(parent, state, block.place, names, out)
    shape = block.alive.shape
    return out.reshape(shape)[block.own]


@kernel
def _joined(one: int, two: int) -> bool:
    """Whether an edge between voxels of these states counts for a block."""
    return one != OUTSIDE and two != OUTSIDE and (one == OWN or two == OWN)


@kernel
def _count_edges(bits: Any, state: Any, vectors: Any) -> Any:
    """How many edges each group has, and how many edges are repulsive."""
    counts, repulsive = np.zeros(GROUPS, np.int64), 0
    n0, n1, n2 = state.shape
    for c in range(len(vectors)):
        d0, d1, d2 = vectors[c]
        for i in range(*span(n0, d0)):
            for j in range(*span(n1, d1)):
                row = ((c * n0 + i) * n1 + j) * n2
                for k in range(*span(n2, d2)):
                    weight = bits[row + k]
                    if weight & MAGNITUDE and _joined(
                        state[i, j, k], state[i + d0, j + d1, k + d2]
                    ):
                        counts[group_of(weight)] += 1
                        repulsive += weight < 0
    return counts, repulsive


@kernel
def _find_edges(bits: Any, state: Any, vectors: Any, begins: Any, edges: Any) -> None:
    """The edges, group by group."""
    n0, n1, n2 = state.shape
    for c in range(len(vectors)):
        d0, d1, d2 = vectors[c]
        for i in range(*span(n0, d0)):
            for j in range(*span(n1, d1)):
                row = ((c * n0 + i) * n1 + j) * n2
                for k in range(*span(n2, d2)):
                    weight = bits[row + k]
                    if weight & MAGNITUDE and _joined(
                        state[i, j, k], state[i + d0, j + d1, k + d2]
                    ):
                        group = group_of(weight)
                        edges[begins[group]] = row + k
                        begins[group] += 1


@kernel
def _steps(state: Any, vectors: Any) -> Any:
    steps = np.empty(len(vectors), np.int64)
    for c in range(len(vectors)):
        steps[c] = (vectors[c, 0] * state.shape[1] + vectors[c, 1]) * state.shape[2] + vectors[c, 2]
    return steps


@kernel
def _keep_useful(clusters: Any, edges: Any, steps: Any) -> int:
    """Put edges between clusters in front, in their order; how many they are."""
    voxels, parent = len(clusters.nodes), clusters.nodes[:, 0]
    count, channel, begin = 0, 0, 0
    for edge in edges:
        while edge >= begin + voxels:
            channel, begin = channel + 1, begin + voxels
        one = edge - begin
        two = one + steps[channel]
        edges[count] = edge
        count += parent[one] != parent[two] and root(parent, one) != root(parent, two)
    return count


@kernel
def _cluster(clusters: Any, edges: Any, steps: Any) -> Any:
    voxels = len(clusters.nodes)
    for code in edges:
        attractive = code >= 0
        edge = code if attractive else ~code
        one = edge % voxels
        if is_full(clusters):
            clusters = with_room(clusters)
        take(clusters, one, one + steps[edge // voxels], attractive)
    return clusters


@kernel
def _unite(parent: Any, edges: Any, state: Any, vectors: Any) -> None:
    """All edges are attractive: nothing beyond the border can keep voxels apart."""
    steps, states = _steps(state, vectors), state.reshape(-1)
    for edge in edges:
        one = edge % states.size
        two = one + steps[edge // states.size]
        if states[one] == OWN and states[two] == OWN:
            a, b = root(parent, one), root(parent, two)
            parent[max(a, b)] = min(a, b)


@kernel
def _name(parent: Any, state: Any, place: Any, names: Any, out: Any) -> None:
    n0, n1, n2 = state.shape
    for i in range(n0):
        for j in range(n1):
            row = ((i + place[0, 0]) * place[1, 1] + j + place[0, 1]) * place[1, 2] + place[0, 2]
            for k in range(n2):
                if state[i, j, k] == OWN:
                    at = root(parent, (i * n1 + j) * n2 + k)
                    if names[at] == 0:
                        names[at] = row + k + 1
                    out[i, j, k] = names[at]
