"""The numbers of segments, by their names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from voxflow.segmentation.scratch import Scratch

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["SegmentNumbers"]


class SegmentNumbers:
    """Numbers segments from 1, in the order of their names, but for those that are too small.

    Parameters
    ----------
    segments
        Names, and how many voxels each of them has: some segments at a time.
    min_size
        Segments of fewer voxels become 0.
    folder
        Where there is room for a file, which is gone with this. None: all is in memory.

    Examples
    --------
    >>> segments = [(np.uint64([9, 4]), np.array([8, 7])), (np.uint64([5]), np.array([1]))]
    >>> numbers = SegmentNumbers(segments, min_size=2)
    >>> len(numbers), numbers(np.uint64([4, 5, 9, 9])).tolist()
    (2, [1, 0, 2, 2])
    """

    def __init__(
        self,
        segments: Iterable[tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]],
        min_size: int,
        folder: Path | None = None,
    ) -> None:
        large = (names[sizes >= min_size] for names, sizes in segments)
        self._names = Scratch(folder).collected(large, np.uint64)
        self._names.sort()  # in the file

    def __len__(self) -> int:
        return len(self._names)

    def __call__(self, names: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
        """The numbers of segments."""
        at = np.searchsorted(self._names, names)
        there = at < len(self._names)
        there[there] = self._names[at[there]] == names[there]
        return np.where(there, at + 1, 0).astype(np.uint64)
