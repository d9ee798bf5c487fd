"""Ask again until a batch will do."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.pipeline.data import ArrayKey, GraphKey
from voxflow.pipeline.engine import BatchFilter
from voxflow.pipeline.engine.errors import RequestRefused, SamplingError

if TYPE_CHECKING:
    from voxflow.pipeline.data import Batch, BatchRequest
    from voxflow.pipeline.engine import BatchProvider

logger = logging.getLogger(__name__)

_FIRST_WARNING = 50


class Reject(BatchFilter):
    """Asks upstream again, each time with another seed, until the batch is good.

    The first try has the seed of the request, so a batch that is good at once is the same with and
    without this node. Each further one has a seed derived from it. After `max_attempts` of them
    there is an error with the numbers.

    Where only the location decides, `RandomLocation` with a mask is much faster: it reads nothing
    that is thrown away.

    Parameters
    ----------
    mask
        An array that has to be in the request. Of bools or integers, what is greater than 0 is
        masked; the mean of floating point values counts as the masked fraction.
    min_masked
        In a good batch a larger fraction than this is masked; in [0, 1).
    ensure_nonempty
        A graph that has to be in the request. In a good batch it has at least one point.
    reject_probability
        A bad batch is passed on all the same with 1 minus this probability.
    max_attempts
        How many batches are asked for at most.

    Raises
    ------
    ValueError
        If a number is out of range, or there is neither mask nor graph.
    TypeError
        If a key is of the wrong kind.

    Notes
    -----
    A request without the mask or the graph is refused (`RequestRefused`, also by
    `pipeline.check`). If no batch is good there is a `SamplingError`.
    """

    def __init__(
        self,
        mask: ArrayKey | None = None,
        min_masked: float = 0.5,
        ensure_nonempty: GraphKey | None = None,
        reject_probability: float = 1.0,
        *,
        max_attempts: int = 1000,
    ) -> None:
        if mask is not None and not isinstance(mask, ArrayKey):
            raise TypeError(f"mask has to be an ArrayKey, got {mask!r}")
        if ensure_nonempty is not None and not isinstance(ensure_nonempty, GraphKey):
            raise TypeError(f"ensure_nonempty has to be a GraphKey, got {ensure_nonempty!r}")
        if mask is None and ensure_nonempty is None:
            raise ValueError("Reject needs mask= or ensure_nonempty=, or it would reject nothing")
        if not 0 <= min_masked < 1:
            raise ValueError(
                f"min_masked has to lie in [0, 1), got {min_masked}: a good batch has more of it"
            )
        if not 0 <= reject_probability <= 1:
            raise ValueError(f"reject_probability has to lie in [0, 1], got {reject_probability}")
        if max_attempts < 1:
            raise ValueError(f"max_attempts has to be at least 1, got {max_attempts}")
        self.mask = mask
        self.min_masked = min_masked
        self.ensure_nonempty = ensure_nonempty
        self.reject_probability = reject_probability
        self.max_attempts = max_attempts

    def setup(self) -> None:
        """See that mask and graph are provided upstream."""
        for key in self._keys():
            self.spec[key]

    def upstream_requests(self, request: BatchRequest) -> list[tuple[BatchProvider, BatchRequest]]:
        """The first try."""
        self._check(request)
        return [(self.get_upstream_provider(), self._attempt(request, 0))]

    def provide(self, request: BatchRequest) -> Batch:
        """Ask until the batch is good."""
        self._check(request)
        upstream = self.get_upstream_provider()
        best, empty = 0.0, 0
        for attempt in range(self.max_attempts):
            asked = self._attempt(request, attempt)
            batch = upstream.request_batch(asked)
            fraction = self._fraction(batch)
            is_empty = self._is_empty(batch)
            if fraction > self.min_masked and not is_empty:
                return batch
            if asked.rng(self._engine_label).random() >= self.reject_probability:
                return batch
            best, empty = max(best, fraction), empty + is_empty
            tries = attempt + 1
            if tries >= _FIRST_WARNING and tries & (tries - 1) == 0:
                logger.warning("%s", self._numbers(tries, best, empty))
        raise SamplingError(
            f"{self._numbers(self.max_attempts, best, empty)} Ask for a lower min_masked or a "
            "larger region, choose places by RandomLocation(min_masked=..., mask=...) or "
            "RandomLocation(ensure_nonempty=...), or raise max_attempts."
        )

    def _keys(self) -> list[Any]:
        return [key for key in (self.mask, self.ensure_nonempty) if key is not None]

    def _attempt(self, request: BatchRequest, attempt: int) -> BatchRequest:
        # The label keeps apart the tries of two such nodes in one pipeline.
        return request.reseed("reject", self._engine_label, attempt) if attempt else request.clone()

    def _check(self, request: BatchRequest) -> None:
        problems = [
            f"{self._who()} looks at {key}, which is "
            f"{'only a placeholder' if key in request else 'not'} in the request. "
            f"Add it with its data: request.add({key}, size)."
            for key in self._keys()
            if key not in request or request[key].placeholder
        ]
        if problems:
            raise RequestRefused(problems)

    def _fraction(self, batch: Batch) -> float:
        """How much is masked, in [0, 1]; without a mask as much as one can ask for."""
        if self.mask is None:
            return 1.0
        data = batch[self.mask].view
        if not data.size:
            return 0.0
        return float(
            data.mean() if data.dtype.kind == "f" else np.count_nonzero(data > 0) / data.size
        )

    def _is_empty(self, batch: Batch) -> bool:
        key = self.ensure_nonempty
        return key is not None and batch[key].num_vertices() == 0

    def _numbers(self, attempts: int, best: float, empty: int) -> str:
        text = f"{self._who()}: 0 of {attempts} batches were good."
        if self.mask is not None:
            text += (
                f" More than {self.min_masked:g} of {self.mask} has to be masked, the best had "
                f"{best:.4g}."
            )
        if self.ensure_nonempty is not None:
            text += f" In {empty} of them {self.ensure_nonempty} had no points."
        return text
