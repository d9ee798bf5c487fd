"""Voxels that are made when somebody looks at them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


class Deferred(ABC):
    """What stands in for the voxels of an `Array` until they are looked at.

    Nodes that follow one another and only move voxels or change their values hand on what is to
    be done instead of doing it, so that it is done in one pass. Everybody else reads
    ``array.data`` and never sees the difference. What can go wrong has to be found out before.
    """

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """The shape that the voxels will have."""

    @property
    @abstractmethod
    def dtype(self) -> np.dtype[Any]:
        """The type that they will have."""

    @abstractmethod
    def make(self, out: np.ndarray[Any, Any] | None = None) -> np.ndarray[Any, Any]:
        """Make the voxels.

        Parameters
        ----------
        out
            Where to, of this shape and type, in any layout; None: into an array of their own.

        Returns
        -------
        numpy.ndarray
            The voxels, which belong to the caller: `out`, or a new array.
        """
