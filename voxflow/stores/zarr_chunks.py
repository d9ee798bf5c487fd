"""Find out which chunks of a zarr array are stored.

zarr reads a chunk that is not there as the fill value, without a word. `StrictStore` stands between
zarr and the store and raises instead. That costs nothing, and there is no gap between looking and
reading.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from zarr.abc.store import RangeByteRequest, SuffixByteRequest
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync
from zarr.storage import WrapperStore

from voxflow.stores.grid import Index

if TYPE_CHECKING:
    from zarr.abc.store import ByteRequest, Store
    from zarr.core.buffer import Buffer, BufferPrototype

__all__ = ["ChunkNotStored", "StrictStore", "chunk_is_stored", "missing_in_shard"]

_METADATA = frozenset({"zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata"})
_ABSENT = np.iinfo(np.uint64).max  # offset and length of a chunk that a shard does not hold
_CRC_BYTES = 4


class ChunkNotStored(Exception):
    """A chunk is not there; made into a `MissingChunk` by whoever knows the dataset."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


class StrictStore(WrapperStore["Store"]):
    """A store that raises where it has no chunk, and else is the store that it wraps."""

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Get the bytes of a key."""
        found = await super().get(key, prototype, byte_range)
        if found is None and key.rsplit("/", 1)[-1] not in _METADATA:
            raise ChunkNotStored(key)
        return found


def chunk_is_stored(store: Store, key: str) -> bool:
    """Say whether a key is in the store."""
    return bool(sync(store.exists(key)))


def missing_in_shard(array: Any, key: str, per_shard: Index) -> frozenset[Index]:
    """List the chunks that a shard does not hold, by their place in the shard.

    The index of a shard lists offset and length of each chunk as little-endian uint64, followed by
    a checksum. Source: https://zarr-specs.readthedocs.io, sharding codec 1.0. A compressed index is
    not read: nothing is missing then, as far as one can see.
    """
    codec = array.metadata.codecs[0]
    names = [type(step).__name__ for step in getattr(codec, "index_codecs", ())]
    if names not in (["BytesCodec"], ["BytesCodec", "Crc32cCodec"]):
        return frozenset()
    size = 16 * math.prod(per_shard)
    stored = size + (_CRC_BYTES if len(names) == 2 else 0)
    at_start = codec.index_location.value == "start"
    part = RangeByteRequest(0, stored) if at_start else SuffixByteRequest(stored)
    buffer = sync(array.store.get(key, default_buffer_prototype(), part))
    index = np.frombuffer(buffer.to_bytes()[:size], dtype="<u8").reshape(*per_shard, 2)
    absent = (index == _ABSENT).all(axis=-1)
    return frozenset(tuple(int(i) for i in place) for place in np.argwhere(absent))
