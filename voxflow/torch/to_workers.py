"""What workers of torch's DataLoader are sent, and the errors that they send back."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import dill  # type: ignore[import-untyped]

from voxflow.pipeline.engine.workers import NotPicklable, WorkerFailed
from voxflow.pipeline.engine.workers.blame import find_unpicklable
from voxflow.pipeline.engine.workers.packing import pack_by_value

if TYPE_CHECKING:
    from typing import NoReturn

    from voxflow.pipeline.engine import Pipeline


def packed(pipeline: Pipeline) -> tuple[bytes, list[bytearray]]:
    """A pipeline that is not set up, as bytes; what a script defines goes along.

    Raises
    ------
    NotPicklable
        If a part of it cannot be sent; it says which.
    """
    try:
        parts = pack_by_value(pipeline)
    except Exception as error:
        path, reason = find_unpicklable(pipeline, pack_by_value, "pipeline") or ("pipeline", error)
        raise NotPicklable(
            f"The pipeline cannot be sent to workers: {path} cannot be pickled "
            f"({type(reason).__name__}: {reason}). Create it in setup(), or use num_workers=0."
        ) from error
    buffers = [bytearray(nbytes) for nbytes in parts.sizes]
    for buffer, write in zip(buffers, parts.writers, strict=True):
        write(memoryview(buffer))
    return parts.stream, buffers


def unpacked(stream: bytes, buffers: list[bytearray]) -> Any:
    """What `packed` was given."""
    return dill.loads(stream, buffers=buffers)


def raise_sendable(error: Exception) -> NoReturn:
    """Raise an error as it is if a DataLoader can send it, else one that it can.

    The loader sends the type and a text, and makes the error again from these. Where the type
    cannot be pickled, it would wait for the answer forever.

    Raises
    ------
    WorkerFailed
        With the type and the text of an error that cannot be sent.
    """
    kind = type(error)
    try:
        pickle.dumps(kind)
        sendable = "text" in str(kind("text"))
    except Exception:
        sendable = False
    if sendable:
        raise error
    raise WorkerFailed(f"{kind.__name__}: {error}") from error
