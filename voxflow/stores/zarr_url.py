"""Zarr's store of a URL, on tensorstore's connections: these retry, and need no more packages."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING, Any

from zarr.abc.store import OffsetByteRequest, RangeByteRequest, Store, SuffixByteRequest
from zarr.core.buffer import default_buffer_prototype

from voxflow.stores.errors import ReadOnly
from voxflow.stores.patience import settled
from voxflow.stores.remote import check_home, explain, join, open_store

if TYPE_CHECKING:
    from zarr.abc.store import ByteRequest
    from zarr.core.buffer import Buffer, BufferPrototype

__all__ = ["UrlStore"]


class UrlStore(Store):
    """What lies below a URL (``http://``, ``https://``, ``s3://``, ``gs://``).

    Parameters
    ----------
    url
        Of the root.
    read_only
        Whether it refuses to write.
    """

    supports_deletes = True
    supports_writes = True

    def __init__(self, url: str, *, read_only: bool = False) -> None:
        super().__init__(read_only=read_only)
        self.root = url.rstrip("/")
        self._opened: tuple[int, Any] = (-1, None)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UrlStore) and (other.root, other.read_only) == (
            self.root,
            self.read_only,
        )

    def __hash__(self) -> int:
        return hash((self.root, self.read_only))

    def __str__(self) -> str:
        return self.root

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": (-1, None)}

    def with_read_only(self, read_only: bool = False) -> UrlStore:
        """The same store, for reading only or not."""
        return UrlStore(self.root, read_only=read_only)

    @property
    def supports_listing(self) -> bool:
        """Whether what is there can be listed, which HTTP does not know."""
        return not self.root.startswith("http")

    def _store(self) -> Any:
        check_home(self.root)
        if self._opened[0] != os.getpid():
            self._opened = (os.getpid(), open_store(join(self.root, "")))
        return self._opened[1]

    async def get(
        self,
        key: str,
        prototype: BufferPrototype | None = None,
        byte_range: ByteRequest | None = None,
    ) -> Buffer | None:
        """Get the bytes of a key, or a part of them."""
        try:
            found = await settled(self._store().read(key))
        except ValueError as error:
            raise explain(error, f"{self.root}/{key}", "read") from error
        if found.state != "value":
            return None
        part = bytes(found.value)[_slice(byte_range)]
        return (prototype or default_buffer_prototype()).buffer.from_bytes(part)

    async def get_partial_values(
        self,
        prototype: BufferPrototype,
        key_ranges: Iterable[tuple[str, ByteRequest | None]],
    ) -> list[Buffer | None]:
        """Get parts of several keys."""
        return [await self.get(key, prototype, part) for key, part in key_ranges]

    async def exists(self, key: str) -> bool:
        """Say whether there is a key."""
        return await self.get(key) is not None

    async def set(self, key: str, value: Buffer) -> None:
        """Store bytes."""
        self._check_writable()
        try:
            await settled(self._store().write(key, value.to_bytes()), len(value))
        except NotImplementedError as error:
            raise ReadOnly(f"{self.root} cannot be written to: its server only reads") from error
        except ValueError as error:
            raise explain(error, f"{self.root}/{key}", "written") from error

    async def delete(self, key: str) -> None:
        """Delete a key, if it is there."""
        self._check_writable()
        try:
            await settled(self._store().write(key, None))
        except ValueError as error:
            raise explain(error, f"{self.root}/{key}", "deleted") from error

    def list(self) -> AsyncIterator[str]:
        """List all keys."""
        return self.list_prefix("")

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """List all keys that begin so."""
        import tensorstore

        end = f"{prefix[:-1]}{chr(ord(prefix[-1]) + 1)}" if prefix else ""
        try:
            keys = await self._store().list(tensorstore.KvStore.KeyRange(prefix, end))
        except ValueError as error:
            raise explain(error, f"{self.root}/{prefix}", "listed") from error
        for key in keys:
            yield key.decode()

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """List what is right below a prefix."""
        above = f"{prefix.rstrip('/')}/" if prefix else ""
        seen = set()
        async for key in self.list_prefix(above):
            name = key[len(above) :].partition("/")[0]
            if name not in seen:
                seen.add(name)
                yield name


def _slice(part: ByteRequest | None) -> slice:
    if isinstance(part, RangeByteRequest):
        return slice(part.start, part.end)
    if isinstance(part, OffsetByteRequest):
        return slice(part.offset, None)
    if isinstance(part, SuffixByteRequest):
        return slice(-part.suffix, None)
    return slice(None)
