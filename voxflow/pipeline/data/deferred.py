"""Voxels that are made when somebody looks at them."""

from __future__ import annotations

from typing import Any, ClassVar, final

import numpy as np

from voxflow.pipeline.data.copying import copied, copy_voxels


class Deferred:
    """What stands in for the voxels of an `Array` until they are looked at.

    Nodes that follow one another and only move voxels or change their values hand on what is to
    be done instead of doing it, so that it is done in one pass. Everybody else reads
    ``array.data`` and never sees the difference. What can go wrong has to be found out before.
    """

    elsewhere: ClassVar[bool] = False
    """Whether they are made already, where numpy does not reach, and only have to be fetched."""

    fixed: bool = False
    """Whether the voxels will be the same, whoever writes to which array in the meantime."""

    # No ABC: whether an array is deferred is asked so often that asking one would be felt.

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape that the voxels will have."""
        raise NotImplementedError

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type that they will have."""
        raise NotImplementedError

    def make(self, out: np.ndarray[Any, Any] | None = None) -> np.ndarray[Any, Any]:
        """Make the voxels.

        Parameters
        ----------
        out
            Where to, of this shape and type, in any layout; None: wherever it costs least.

        Returns
        -------
        numpy.ndarray
            The voxels, which belong to the caller: `out`, or an array of their own.
        """
        raise NotImplementedError

    def sketch(self, out: np.ndarray[Any, Any]) -> bool:
        """As `make`, to look at on the way: what has not been read is 0; whether nothing is."""
        self.make(out)
        return True

    def view(self) -> np.ndarray[Any, Any] | None:
        """The voxels for reading only, where there are some that need not be made; or None."""
        return None

    def view_of(self, where: tuple[slice, ...]) -> np.ndarray[Any, Any] | None:
        """A part for reading only, where it can be had without making the rest; or None.

        Parameters
        ----------
        where
            Along the last axes, in voxels.
        """
        return None

    def __reduce__(self) -> tuple[Any, ...]:
        # What is sent or kept are the voxels.
        return np.asarray, (self.make(),)


class _Held(Deferred):
    """Voxels that are there, and that nobody changes."""

    fixed = True

    def __init__(self, array: np.ndarray[Any, Any]) -> None:
        self._array = array

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the voxels."""
        shape: tuple[int, ...] = self._array.shape
        return shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Their type."""
        dtype: np.dtype[Any] = self._array.dtype
        return dtype

    def view(self) -> np.ndarray[Any, Any]:
        """The voxels, for reading only."""
        return self._array


@final
class Borrowed(_Held):
    """Voxels of somebody else, such as a part of a volume in memory.

    They are copied for whoever may change them, and lie where they are for whoever only reads.

    Parameters
    ----------
    array
        The voxels. They must not change.

    Examples
    --------
    >>> volume = np.arange(6)
    >>> part = Borrowed(volume[2:4])
    >>> part.view(), np.shares_memory(part.make(), volume)
    (array([2, 3]), False)
    """

    def __init__(self, array: np.ndarray[Any, Any]) -> None:
        super().__init__(array.view())
        self._array.flags.writeable = False

    def make(self, out: np.ndarray[Any, Any] | None = None) -> np.ndarray[Any, Any]:
        """A copy."""
        if out is None:
            return copied(self._array)
        copy_voxels(out, self._array)
        return out


@final
class Fresh(_Held):
    """Voxels that were just read, and that nobody else has.

    They are there already, and are handed out as they are. Until then an `Array` can still
    promise that they will not change: see `Array.settle`.

    Parameters
    ----------
    array
        The voxels. Whoever made them lets go of them.

    Examples
    --------
    >>> voxels = np.arange(3)
    >>> Fresh(voxels).make() is voxels
    True
    """

    def make(self, out: np.ndarray[Any, Any] | None = None) -> np.ndarray[Any, Any]:
        """The voxels themselves."""
        if out is None:
            return self._array
        copy_voxels(out, self._array)
        return out
