"""Ids of 64 bits in tables of hashes: numbering them, and looking them up."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from voxflow.pipeline.compiled import kernel

__all__ = ["find", "mixed", "number_ids", "pair_slots", "slot_of", "table_of"]

_ROOM = 1 << 10


def number_ids(ids: npt.NDArray[np.uint64]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint64]]:
    """Number ids from 1, in the order in which they first appear; 0 stays 0.

    Parameters
    ----------
    ids
        Flat.

    Returns
    -------
    tuple[numpy.ndarray, numpy.ndarray]
        The number of each entry, and the ids in their order.

    Examples
    --------
    >>> numbers, ids = number_ids(np.array([7, 0, 2**63, 7], np.uint64))
    >>> numbers.tolist(), ids.tolist()
    ([1, 0, 2, 1], [7, 9223372036854775808])
    """
    numbers = np.empty(ids.size, np.int32)
    return numbers, _number(ids, numbers)


def table_of(
    ids: npt.NDArray[np.uint64],
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int32]]:
    """Make a table in which `find` finds the places of ids."""
    keys = np.zeros(_room_for(ids.size), np.uint64)
    places = np.zeros(keys.size, np.int32)
    _fill(keys, places, ids)
    return keys, places


def _room_for(count: int) -> int:
    return max(_ROOM, 1 << (2 * count - 1).bit_length()) if count else _ROOM


@kernel
def mixed(key: Any) -> Any:
    """A key, its bits mixed well."""
    key = (key ^ (key >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    key = (key ^ (key >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return key ^ (key >> np.uint64(33))


@kernel
def slot_of(keys: Any, places: Any, key: Any) -> int:
    """Where a key is in a table, or where it would be."""
    end = keys.size - 1
    at = np.int64(mixed(key)) & end
    while places[at] and keys[at] != key:
        at = (at + 1) & end
    return int(at)


@kernel
def find(keys: Any, places: Any, key: Any) -> int:
    """The place of an id in the ids that a table was made of; -1 if it is none of them."""
    return int(places[slot_of(keys, places, key)] - 1)


@kernel
def _fill(keys: Any, places: Any, ids: Any) -> None:
    for i in range(ids.size):
        at = slot_of(keys, places, ids[i])
        if not places[at]:
            keys[at], places[at] = ids[i], i + 1


@kernel
def _number(ids: Any, numbers: Any) -> Any:
    keys, places = np.zeros(_ROOM, np.uint64), np.zeros(_ROOM, np.int32)
    found, count = np.empty(_ROOM // 2, np.uint64), 0
    last, number = np.uint64(0), 0
    for i in range(ids.size):
        if ids[i] != last:
            last, number = ids[i], 0
            if last:
                at = slot_of(keys, places, last)
                if not places[at]:
                    found[count], keys[at], places[at] = last, last, count + 1
                    count += 1
                number = places[at]
                if 2 * count == keys.size:
                    keys = np.zeros(2 * keys.size, np.uint64)
                    places = np.zeros(keys.size, np.int32)
                    _fill(keys, places, found)
                    larger = np.empty(keys.size // 2, np.uint64)
                    larger[:count] = found
                    found = larger
        numbers[i] = number
    return found[:count].copy()


def pair_slots(
    pairs: npt.NDArray[np.uint64],
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint64]]:
    """Number pairs, each one key, as `number_ids` does, but from 0."""
    numbers, keys = number_ids(pairs)
    return numbers - np.int32(1), keys
