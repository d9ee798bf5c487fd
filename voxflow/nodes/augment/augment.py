"""What all random changes to a batch have in common: they may be left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voxflow.pipeline.data import BatchRequest
from voxflow.pipeline.engine import BatchFilter

if TYPE_CHECKING:
    import numpy as np

    from voxflow.pipeline.data import ArrayKey


class Augment(BatchFilter):
    """A filter that is applied with a probability.

    Subclasses set `p` in their constructor, roll their dice in `draw`, and read `plan(request)` in
    `prepare` and `process`.

    Attributes
    ----------
    p
        The probability with which the node does anything at all.
    """

    p: float = 1.0

    def skip_node(self, request: BatchRequest) -> bool:
        """Whether this request goes by untouched, with probability ``1 - p``.

        While a request is only planned, it does not, unless that is sure: what a node needs one
        time out of many has to be there.
        """
        if request.planning:
            return self.p <= 0
        return self.p < 1 and bool(request.rng(f"{self._engine_label}/skip").random() >= self.p)


def probability(name: str, value: float) -> float:
    """A number in [0, 1], or an error that names it."""
    if not 0 <= value <= 1:
        raise ValueError(f"{name} is a probability and has to lie in [0, 1], got {value}")
    return float(value)


def check_floating(node: Augment, key: ArrayKey, dtype: np.dtype[Any]) -> None:
    """Raise if values are not of floating point.

    Raises
    ------
    TypeError
        Names the node and the array.
    """
    if dtype.kind != "f":
        raise TypeError(
            f"{node.name()} needs floating point values of {key}, which is {dtype}; put Normalize "
            "upstream"
        )


class ValueAugment(Augment):
    """An augmentation of the values of one array, which has to be of floating point.

    Attributes
    ----------
    array
        The array; set by the constructor of the subclass.
    """

    array: ArrayKey

    def setup(self) -> None:
        """Say that the array changes."""
        self.enable_autoskip()
        spec = self.spec[self.array].copy()
        if spec.dtype is not None:
            check_floating(self, self.array, spec.dtype)
        self.updates(self.array, spec)

    def prepare(self, request: BatchRequest) -> BatchRequest:
        """Need the array."""
        needed = BatchRequest()
        needed[self.array] = request[self.array]
        return needed
