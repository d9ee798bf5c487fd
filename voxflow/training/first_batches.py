"""The batches that a training would begin with, without a training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voxflow.pipeline.data import RunPosition
from voxflow.pipeline.engine import build
from voxflow.training.configured import make_session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voxflow.pipeline.data import Batch
    from voxflow.training.config import Config

__all__ = ["first_batches"]


def first_batches(config: Config, count: int = 1) -> Iterator[Batch]:
    """Make the batches that a training would begin with, bit for bit; nothing is trained.

    They are made in this process, also where the training has workers.

    Parameters
    ----------
    config
        Of the training.
    count
        How many.

    Yields
    ------
    Batch
        With all that is asked for each step.

    Raises
    ------
    ValueError, TypeError
        If what is named makes something that does not fit; as for `make_session`.
    """
    session = make_session(config)
    with build(session.pipeline, seed=config.seed):
        for index in range(count):
            request = session.request.at(RunPosition(config.seed, index))
            request.replayed = True
            yield session.pipeline.request_batch(request)
