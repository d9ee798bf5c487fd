"""Which chunks are stored in the shards of a precomputed volume.

Tensorstore reads those that are not as 0, whatever it is told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from voxflow.stores.remote import check_home, explain, kvstore_spec, make_context, wait_for

__all__ = ["chunk_id", "open_shards", "which_are_stored"]


def chunk_id(position: Sequence[int], grid: Sequence[int]) -> int:
    """The number of a chunk in its volume: its compressed Morton code.

    Source: https://github.com/google/neuroglancer, "Precomputed volume format", section "Sharded
    chunk storage". The bits of the positions take turns, x first, where a grid is that large.

    Parameters
    ----------
    position
        Of the chunk in the grid: x, y, z.
    grid
        How many chunks there are along each axis.

    Examples
    --------
    >>> [chunk_id((x, y, 0), (3, 2, 1)) for y in range(2) for x in range(3)]
    [0, 1, 4, 2, 3, 6]
    """
    code = place = 0
    for bit in range(max(grid).bit_length()):
        for at, count in zip(position, grid, strict=True):
            if 1 << bit < count:
                code |= (at >> bit & 1) << place
                place += 1
    return code


def open_shards(folder: str, sharding: Mapping[str, Any]) -> Any:
    """The chunks of a scale as a key-value store, opened by tensorstore.

    Parameters
    ----------
    folder
        or URL of the scale.
    sharding
        As in ``info``.
    """
    import tensorstore

    check_home(folder)
    driver = "neuroglancer_uint64_sharded"
    spec = {"driver": driver, "base": kvstore_spec(folder), "metadata": dict(sharding)}
    return wait_for(tensorstore.KvStore.open(spec, context=make_context()), folder)


def which_are_stored(shards: Any, folder: str, ids: Sequence[int]) -> list[bool]:
    """Say of each chunk whether it is stored.

    Raises
    ------
    StoreError
        If it cannot be told.
    """
    try:
        asked = [shards.read(number.to_bytes(8, "big")) for number in ids]
        return [wait_for(found, folder).state == "value" for found in asked]
    except ValueError as error:
        raise explain(error, folder, "read") from error
