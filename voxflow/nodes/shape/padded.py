"""Voxels with others around them, which are put there when somebody looks at them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import numpy as np

from voxflow.pipeline.data.deferred import Deferred

if TYPE_CHECKING:
    from voxflow.pipeline.data import Array

__all__ = ["Padded"]


@final
class Padded(Deferred):
    """An array in the middle of a larger one.

    Who only needs a part that lies within it, such as a model that crops its context, gets that
    without a copy of all.

    Parameters
    ----------
    middle
        What is inside. Nobody else may change it.
    shape
        Of all, leading axes included.
    inside
        Where the middle lies along the last axes, in voxels.
    fill
        What is around it; a number, or an array that is broadcast.
    """

    fixed = True

    def __init__(
        self, middle: Array, shape: tuple[int, ...], inside: tuple[slice, ...], fill: Any
    ) -> None:
        self._middle = middle
        self._shape = shape
        self._inside: tuple[Any, ...] = inside
        self._fill = fill

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of all."""
        return self._shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of all."""
        return self._middle.dtype

    def make(self, out: np.ndarray[Any, Any] | None = None) -> np.ndarray[Any, Any]:
        """Put both there."""
        data = np.empty(self._shape, self.dtype) if out is None else out
        self._middle.write_to(data[(..., *self._inside)])
        self._fill_around(data)
        return data

    def sketch(self, out: np.ndarray[Any, Any]) -> bool:
        """Put there what is known of the middle."""
        self._fill_around(out)
        middle, deferred = out[(..., *self._inside)], self._middle.deferred
        if deferred is not None:
            return deferred.sketch(middle)
        self._middle.write_to(middle)
        return True

    def view_of(self, where: tuple[slice, ...]) -> np.ndarray[Any, Any] | None:
        """A part of the middle, or None."""
        cuts = list[Any]()
        for cut, inside in zip(where, self._inside, strict=True):
            if cut.start < inside.start or cut.stop > inside.stop:
                return None
            cuts.append(slice(cut.start - inside.start, cut.stop - inside.start))
        return self._middle.view[(..., *cuts)]

    def _fill_around(self, data: np.ndarray[Any, Any]) -> None:
        inside = self._inside
        for axis, cut in enumerate(inside):
            # What lies beside it along an axis, as far as the axes before did not fill it.
            rest = (slice(None),) * (len(inside) - axis - 1)
            for side in (slice(0, cut.start), slice(cut.stop, None)):
                data[(..., *inside[:axis], side, *rest)] = self._fill
