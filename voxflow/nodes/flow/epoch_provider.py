"""Each of several inputs as often as it is told, in every epoch."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.nodes.flow.random_provider import RandomProvider
from voxflow.nodes.locations.turns import Turns, shuffled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voxflow.pipeline.data import ArrayKey, BatchRequest


class EpochProvider(RandomProvider):
    """Goes through its inputs in epochs: in each of them every input has its number of turns.

    It offers the keys that all inputs have in common, in the region that all of them cover. Which
    input a batch comes from follows from the seed of the run and the number of the batch alone, so
    it is the same for any number of workers and after a resume.

    Parameters
    ----------
    repeats
        How many turns an input has in an epoch: one number for all, or one for each.
    random_provider_key
        A nonspatial array that holds the number of the input.
    shuffle
        Whether the order is drawn anew for each epoch. If not, inputs come in their order.
    per_batch
        How many turns a batch takes. Give n upstream of ``Stack(n)``.

    Raises
    ------
    ValueError
        If a number is out of range. At setup: if there is no input, if there are more or fewer
        repeats than inputs, or if inputs differ in voxel size.

    Examples
    --------
    Each image once as it is, and in three augmented variants, in every epoch:

    >>> from voxflow import ArrayKey, ArraySource, ArraySpec, SimpleAugment
    >>> raw = ArrayKey("RAW")
    >>> spec = ArraySpec(voxel_size=(1, 1))
    >>> images = [np.zeros((8, 8)), np.ones((8, 8))]
    >>> as_they_are = [ArraySource(raw, image, spec=spec) for image in images]
    >>> augmented = [ArraySource(raw, image, spec=spec) + SimpleAugment() for image in images]
    >>> pipeline = (*as_they_are, *augmented) + EpochProvider([1, 1, 3, 3])
    """

    def __init__(
        self,
        repeats: int | Sequence[int] = 1,
        random_provider_key: ArrayKey | None = None,
        *,
        shuffle: bool = True,
        per_batch: int = 1,
    ) -> None:
        super().__init__(None, random_provider_key)
        each = [operator.index(n) for n in np.atleast_1d(np.asarray(repeats, dtype=object))]
        if min(each, default=0) < 0 or not sum(each):
            raise ValueError(f"repeats have to be 0 or more, and not all 0; got {repeats}")
        self.repeats = each[0] if np.ndim(repeats) == 0 else each
        self.shuffle = shuffle
        self.per_batch = per_batch
        self._turns = Turns(per_batch)

    def setup(self) -> None:
        """Offer what the inputs have in common."""
        super().setup()
        number = len(self.get_upstream_providers())
        each = [self.repeats] * number if isinstance(self.repeats, int) else self.repeats
        if len(each) != number:
            raise ValueError(
                f"{self.name()} got {len(each)} repeats for {number} inputs; give one for each"
            )
        self._epoch = np.repeat(np.arange(number), each)
        self._turns = Turns(self.per_batch)

    def draw(self, request: BatchRequest, rng: np.random.Generator) -> Any:
        """The number of the input."""
        return int(self._epoch[self.turn(request)])

    def turn(self, request: BatchRequest) -> int:
        """Which turn of its epoch a request has, as they are before they are shuffled.

        Requests that belong to no run are counted: each time that this is asked.
        """
        size = len(self._epoch)
        epoch, turn = divmod(self._turns.of(request), size)
        if not self.shuffle:
            return turn
        position = request.position
        order = shuffled(size, 0 if position is None else position.seed, self.label, epoch)
        return int(order[turn])
