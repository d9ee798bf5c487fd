"""Seeds that are derived, never drawn twice: the arithmetic of reproducibility.

Every generator is a counter-based Philox stream whose key is a hash of the request's seed and of a
label. So a node's draws depend on nothing but the request and the node's own name: not on which
worker serves it, on what was served before, or on which other nodes exist.
"""

from __future__ import annotations

import operator
import secrets
from contextlib import contextmanager
from contextvars import ContextVar
from hashlib import blake2b
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.random import Generator, Philox
from numpy.random.bit_generator import ISeedSequence

if TYPE_CHECKING:
    from collections.abc import Iterator

_SEED_BITS = 63


_stream: ContextVar[Iterator[int] | None] = ContextVar("_stream", default=None)


def fresh_seed() -> int:
    """A seed from the operating system's entropy, in [0, 2**63).

    Inside `seeding_from`, the next one of its seeds.
    """
    stream = _stream.get()
    return secrets.randbits(_SEED_BITS) if stream is None else next(stream)


@contextmanager
def seeding_from(seed: int) -> Iterator[None]:
    """Let fresh seeds follow from a seed, for as long as the block lasts.

    Examples
    --------
    >>> with seeding_from(1):
    ...     one = fresh_seed()
    >>> with seeding_from(1):
    ...     print(one == fresh_seed(), one == fresh_seed())
    True False
    """
    before = _stream.set(derive_seed(seed, "fresh", i) for i in count())
    try:
        yield
    finally:
        _stream.reset(before)


def whole_seed(name: str, seed: object) -> int:
    """A seed as a plain whole number.

    Raises
    ------
    TypeError
        If it is none: a fraction or a text would be rounded or read in silence.

    Examples
    --------
    >>> whole_seed("seed", np.uint64(7))
    7
    """
    try:
        return operator.index(seed)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{name} has to be a whole number, got {seed!r}") from None


def derive_seed(seed: int, *parts: int | str) -> int:
    """A seed that follows from another one and from what it is for, in [0, 2**63).

    Parameters
    ----------
    seed
        The parent seed.
    parts
        What tells this child from its siblings, such as a batch index.

    Examples
    --------
    >>> derive_seed(1, 0) == derive_seed(1, 0), derive_seed(1, 0) == derive_seed(1, 1)
    (True, False)
    """
    return int.from_bytes(_digest(seed, parts, 8), "little") >> (64 - _SEED_BITS)


def generator(seed: int, label: str) -> Generator:
    """The generator of one label under one seed (Philox-4x64, 128-bit key).

    Parameters
    ----------
    seed
        The request's seed.
    label
        Who draws, for example a node's label.

    Examples
    --------
    >>> float(generator(1, "a").random()) == float(generator(1, "a").random())
    True
    """
    return Generator(Philox(_Key(_digest(seed, (label,), 16))))  # type: ignore[arg-type]


_WORD = np.dtype("<u8")


class _Key(ISeedSequence):
    """Hands a finished key to a bit generator, which else asks the system for entropy first."""

    __slots__ = ("_digest",)

    def __init__(self, digest: bytes) -> None:
        self._digest = digest

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> np.ndarray[Any, Any]:
        """The key, as two little-endian words of 64 bits."""
        return np.frombuffer(self._digest, _WORD)


def advance_legacy(seed: int) -> int:
    """The seed that gunpowder hands on when it copies a request with the seed given."""
    return hash((seed + 1) ** 2) % 2**32


def _digest(seed: int, parts: tuple[int | str, ...], size: int) -> bytes:
    # repr keeps 1 and "1" apart, and is the same on every machine.
    return blake2b(repr((seed, *parts)).encode(), digest_size=size).digest()
