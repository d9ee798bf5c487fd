"""What the user asks of a compressor, in one text for all formats."""

from __future__ import annotations

from typing import NamedTuple

from voxflow.stores.base import Compression

__all__ = ["BLOSC_CODECS", "Codec", "parse_compression"]

BLOSC_CODECS = ("blosclz", "lz4", "lz4hc", "zlib", "zstd")
"""What blosc compresses with, after it has sorted the bytes of voxels."""

_LEVELS = {"gzip": (0, 9), "blosc": (0, 9), "zstd": (-7, 22), "bzip2": (1, 9), "xz": (0, 9)}


class Codec(NamedTuple):
    """A compressor.

    Parameters
    ----------
    name
        As ``"gzip"``.
    level
        None: the default of the format.
    inner
        For ``"blosc"``: which of `BLOSC_CODECS`; None: the default of the format.
    """

    name: str
    level: int | None = None
    inner: str | None = None


def parse_compression(compression: Compression) -> Codec | None:
    """Take apart ``"zstd:3"``, ``"blosc:lz4"``, ``"blosc:zstd:5"``, or a level of gzip.

    Which names a format knows is the format's matter.

    Raises
    ------
    ValueError
        If a level is out of range, or a name does not take what follows.

    Examples
    --------
    >>> parse_compression("zstd:3"), parse_compression(9)
    (Codec(name='zstd', level=3, inner=None), Codec(name='gzip', level=9, inner=None))
    >>> parse_compression("blosc:lz4")
    Codec(name='blosc', level=None, inner='lz4')
    """
    if compression is None:
        return None
    if isinstance(compression, int):
        return _checked(Codec("gzip", compression), compression)
    name, *options = compression.split(":")
    inner = options.pop(0) if name == "blosc" and options and not _is_number(options[0]) else None
    if len(options) > 1 or not all(map(_is_number, options)):
        raise ValueError(f"compression {compression!r} is not understood: {_FORMS}")
    return _checked(Codec(name, int(options[0]) if options else None, inner), compression)


_FORMS = "it is a name, and behind colons a level, as 'zstd:3', 'blosc:lz4' or 'blosc:zstd:5'"


def _is_number(text: str) -> bool:
    return text.removeprefix("-").isdecimal()


def _checked(codec: Codec, given: Compression) -> Codec:
    if codec.inner is not None and codec.inner not in BLOSC_CODECS:
        raise ValueError(
            f"compression {given!r}: blosc has {', '.join(BLOSC_CODECS)}, not {codec.inner!r}"
        )
    if codec.level is None:
        return codec
    if codec.name not in _LEVELS:
        raise ValueError(f"compression {given!r}: {codec.name!r} has no levels")
    low, high = _LEVELS[codec.name]
    if not low <= codec.level <= high:
        meaning = " (small and slow)" if low == 0 else ""
        raise ValueError(
            f"a {codec.name} level is from {low} to {high}{meaning}, got {codec.level}"
        )
    return codec
