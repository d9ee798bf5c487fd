"""How long a server is waited for, and how often it is asked again: the numbers stand only here.

A request that fails for a reason that may pass is sent again by tensorstore: a connection that is
refused, reset or cut short, a server that says nothing, and the HTTP codes 408, 429, 500, 502, 503,
504. It waits before that, twice as long each time, and some random time more so that many
processes do not ask at the same moment. It has random numbers of its own for it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable
from typing import Any

__all__ = ["VARIABLE", "limit_silence", "patience", "retries", "settle", "settled"]

VARIABLE = "VOXFLOW_URL_TIMEOUT"
"""The environment variable with the seconds that a server is waited for."""

_SECONDS = 45.0
_BYTES_PER_SECOND = 1_000_000  # a slower line has to be said to be so
_PAUSE, _LONGEST_PAUSE = 0.25, 8.0
_SILENCE = 1 / 3  # of the time; then a request that nothing comes of is sent again


def patience() -> float:
    """Seconds that a server is waited for.

    Raises
    ------
    ValueError
        If the environment variable is no positive number.

    Examples
    --------
    >>> patience()
    45.0
    """
    said = os.environ.get(VARIABLE)
    if said is None:
        return _SECONDS
    try:
        seconds = float(said)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise ValueError(
            f"{VARIABLE} is the number of seconds that a server is waited for, got {said!r}"
        )
    return seconds


def retries() -> dict[str, Any]:
    """What tensorstore has to be told: as many pauses as fit, so that the last error is told.

    Examples
    --------
    >>> retries()
    {'max_retries': 9, 'initial_delay': '0.25s', 'max_delay': '8s'}
    """
    seconds = patience()
    first = min(_PAUSE, seconds / 8)
    count, pause, total = 0, first, 0.0
    while total + pause <= 0.9 * seconds:
        total += pause
        pause = min(2 * pause, _LONGEST_PAUSE)
        count += 1
    return {
        "max_retries": count,
        "initial_delay": f"{first:g}s",
        "max_delay": f"{_LONGEST_PAUSE:g}s",
    }


def limit_silence() -> None:
    """Have a connection given up that nothing comes from, which tensorstore waits for for ever.

    It reads these variables once in a process, before its first connection.
    """
    seconds = str(max(1, round(patience() * _SILENCE)))
    for name, value in {
        "TENSORSTORE_CURL_LOW_SPEED_TIME_SECONDS": seconds,
        "TENSORSTORE_CURL_LOW_SPEED_LIMIT_BYTES": "1",
        "TENSORSTORE_CURL_CONNECT_TIMEOUT_SECONDS": seconds,
    }.items():
        os.environ.setdefault(name, value)


def _limit(nbytes: int) -> float:
    return patience() + nbytes / _BYTES_PER_SECOND


def _late(limit: float) -> ValueError:
    return ValueError(f"DEADLINE_EXCEEDED: it was not done within {limit:g} s")


def settle(future: Any, nbytes: int = 0) -> Any:
    """Wait for what tensorstore asked a server for.

    Parameters
    ----------
    future
        tensorstore's.
    nbytes
        That are moved at most; a second more is waited for each MB.

    Raises
    ------
    ValueError
        tensorstore's, or one of its kind if that takes too long.
    """
    limit = _limit(nbytes)
    try:
        return future.result(timeout=limit)
    except TimeoutError:
        future.cancel()
        raise _late(limit) from None


async def settled(future: Awaitable[Any], nbytes: int = 0) -> Any:
    """The same for what runs in an event loop."""
    limit = _limit(nbytes)
    try:
        return await asyncio.wait_for(future, limit)
    except TimeoutError:
        raise _late(limit) from None
