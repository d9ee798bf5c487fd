"""Where a training has looked: how often each part of each source was read, as a file."""

from __future__ import annotations

import json
import math
import operator
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Counts = NDArray[np.int64]

__all__ = ["Branch", "Covered", "SourceMap", "find_coverage", "read_coverage"]

FILE = "coverage.npz"
"""In the run directory."""

CLASSES = 256
"""Values from 0 on that are counted, each for itself; the last number counts all others."""

_DAMAGED = (ValueError, KeyError, TypeError, AttributeError, OSError, EOFError, BadZipFile)
_AT_ONCE = 256  # regions
_BITS = 30
_BOXES = 3


@dataclass
class SourceMap:
    """How often each part of an array of a source was read.

    Parameters
    ----------
    source
        The label of the source.
    key
        The array or graph.
    name
        What the source is called, with its file.
    begin, end
        The region that it has, in world units; empty where it has no bounds.
    voxel_size
        World units; empty where there is none.
    times
        How often a voxel in each cell was read, on average: the region in so many equal parts along
        each spatial axis.
    visits
        How often it was read.

    Examples
    --------
    >>> of = SourceMap.of("ZarrSource", "RAW", (0.0, 0.0), (40.0, 20.0), cells=8)
    >>> of.add(np.array([[5.0, 0.0], [30.0, 15.0]]), np.array([[20.0, 10.0], [40.0, 20.0]]))
    >>> of.times
    array([[0.5, 0. ],
           [1. , 0. ],
           [0. , 0. ],
           [0. , 0.5]])
    """

    source: str
    key: str
    name: str
    begin: tuple[float, ...]
    end: tuple[float, ...]
    voxel_size: tuple[float, ...]
    times: Floats
    visits: int = 0

    @classmethod
    def of(
        cls,
        source: str,
        key: str,
        begin: Sequence[float],
        end: Sequence[float],
        *,
        name: str = "",
        voxel_size: Sequence[float] = (),
        cells: int,
    ) -> SourceMap:
        """Nothing was read yet, in at most so many cells, which are no smaller than a voxel."""
        extent = [b - a for a, b in zip(begin, end, strict=True)]
        voxels = voxel_size or (0.0,) * len(extent)
        most = [n / v if v else math.inf for n, v in zip(extent, voxels, strict=True)]
        times = np.zeros(_parts(extent, most, cells))
        return cls(source, key, name, tuple(begin), tuple(end), tuple(voxel_size), times)

    def add(self, begin: Floats, end: Floats) -> None:
        """Count regions.

        Parameters
        ----------
        begin, end
            World units, shape (regions, dims).
        """
        self.visits += len(begin)
        if self.times.ndim and begin.shape[1] == self.times.ndim:
            self.times += self._times_of(begin, end)

    def _times_of(self, begin: Floats, end: Floats) -> Floats:
        """How often regions cover each cell.

        Along an axis, the cover of a region is a running sum of four numbers: a share where it
        begins, the rest of 1 in the next cell, and both taken away where it ends. They are whole
        numbers of small parts, so that what no region covers is 0 exactly.
        """
        shape = self.times.shape
        room = tuple(count + 2 for count in shape)
        sums = np.zeros(math.prod(room))
        for start in range(0, len(begin), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            sums += np.bincount(*self._changes(begin[part], end[part]), sums.size)
        sums = sums.reshape(room)
        for axis in range(len(shape)):
            sums = sums.cumsum(axis)
        one: float = 1 << _BITS // len(shape)
        covered: Floats = sums[tuple(slice(count) for count in shape)] / one ** len(shape)
        return covered

    def _changes(self, begin: Floats, end: Floats) -> tuple[NDArray[np.int64], Floats]:
        """Where running sums change, in the flat map with two cells more, and by how much."""
        shape, count_of = self.times.shape, len(begin)
        one = 1 << _BITS // len(shape)
        index = np.zeros((count_of, 1), np.int64)
        share = np.ones((count_of, 1))
        for axis, count in enumerate(shape):
            cell = (self.end[axis] - self.begin[axis]) / count
            bounds = np.stack([begin[:, axis], end[:, axis]], 1)
            places = np.clip((bounds - self.begin[axis]) / cell, 0, count)
            first, rest = np.divmod(np.rint(places * one).astype(np.int64), one)
            cells = np.concatenate([first, first + 1], 1)
            parts = np.concatenate([one - rest, rest], 1) * [1.0, -1.0, 1.0, -1.0]
            index = (index[:, :, None] * (count + 2) + cells[:, None, :]).reshape(count_of, -1)
            share = (share[:, :, None] * parts[:, None, :]).reshape(count_of, -1)
        return index.ravel(), share.ravel()

    @property
    def never(self) -> float:
        """Which share of the region was never read, in [0, 1]."""
        return float(np.mean(self.times == 0)) if self.times.ndim else 0.0

    def as_dict(self) -> dict[str, Any]:
        """What can be said of it in numbers, for ``json.dumps``."""
        placed = bool(self.times.ndim)
        return {
            **_without_times(self),
            "visits": self.visits,
            "mean": float(self.times.mean()) if placed else None,
            "most": float(self.times.max()) if placed else None,
            "never": self.never if placed else None,
            "never_boxes": self.never_boxes(),
        }

    def never_boxes(self, most: int = _BOXES) -> list[tuple[tuple[float, ...], tuple[float, ...]]]:
        """Boxes of which nothing was ever read, without overlap: begin and end, the largest first.

        Each is grown from the largest cube of cells that is left.
        """
        boxes: list[tuple[tuple[float, ...], tuple[float, ...]]] = []
        left = self.times == 0
        while left.ndim and left.any() and len(boxes) < most:
            box = _grown(left)
            left[box] = False
            cell = (np.array(self.end) - self.begin) / left.shape
            begin, end = (
                tuple((self.begin + cell * [getattr(part, side) for part in box]).tolist())
                for side in ("start", "stop")
            )
            boxes.append((begin, end))
        return sorted(boxes, key=lambda box: -math.prod(map(operator.sub, box[1], box[0])))


def _grown(left: NDArray[np.bool_]) -> tuple[slice, ...]:
    """A box of cells that are left: the largest cube around a cell, grown to all sides."""
    depth = ndimage.distance_transform_cdt(np.pad(left, 1), "chessboard")
    middle = np.array(np.unravel_index(depth.argmax(), depth.shape)) - 1
    reach = int(depth.max()) - 1
    low, high = middle - reach, middle + reach + 1
    grew = True
    while grew:
        grew = False
        for axis, count in enumerate(left.shape):
            for side, step in ((low, -1), (high, 1)):
                slab = [slice(a, b) for a, b in zip(low, high, strict=True)]
                at = side[axis] - 1 if step < 0 else side[axis]
                slab[axis] = slice(at, at + 1)
                if 0 <= at < count and left[tuple(slab)].all():
                    side[axis] += step
                    grew = True
    return tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))


@dataclass
class Branch:
    """An input of a `RandomProvider`.

    Parameters
    ----------
    node
        The label of the node.
    number
        Of the input, from 0.
    sources
        The labels of the sources in it.
    wanted
        How likely it is.
    """

    node: str
    number: int
    sources: list[str]
    wanted: float


@dataclass
class Covered:
    """Where a training has looked.

    Parameters
    ----------
    maps
        One for each array of each source.
    branches
        The inputs of each `RandomProvider`.
    classes
        By array: how often each value from 0 to 255 was in what is counted of the batches, and then
        how often all others were; shape (257,).
    steps
        How many steps are counted.
    """

    maps: list[SourceMap] = field(default_factory=list)
    branches: list[Branch] = field(default_factory=list)
    classes: dict[str, Counts] = field(default_factory=dict)
    steps: int = 0

    def taken(self, branch: Branch) -> int:
        """How often an input was taken: as often as what is read most in it."""
        visits = [of.visits for of in self.maps if of.source in branch.sources]
        return max(visits, default=0)

    def as_dict(self) -> dict[str, Any]:
        """What can be said of it in numbers, for ``json.dumps``."""
        totals: dict[str, int] = {}
        for branch in self.branches:
            totals[branch.node] = totals.get(branch.node, 0) + self.taken(branch)
        return {
            "steps": self.steps,
            "sources": [of.as_dict() for of in self.maps],
            "inputs": [
                {**asdict(branch), "taken": self.taken(branch) / max(1, totals[branch.node])}
                for branch in self.branches
            ],
            "classes": {key: _shares(counts) for key, counts in self.classes.items()},
        }

    def write(self, path: Path) -> None:
        """Write a file, whole or not at all."""
        header = {
            "steps": self.steps,
            "branches": [asdict(branch) for branch in self.branches],
            "maps": [{**_without_times(of), "visits": of.visits} for of in self.maps],
        }
        values: dict[str, Any] = {f"times/{i}": of.times for i, of in enumerate(self.maps)}
        values |= {f"classes/{key}": counts for key, counts in self.classes.items()}
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            with partial.open("wb") as file:
                np.savez_compressed(file, header=json.dumps(header), **values)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


def _without_times(of: SourceMap) -> dict[str, Any]:
    return {name: value for name, value in vars(of).items() if name not in ("times", "visits")}


def _shares(counts: Counts) -> dict[str, float]:
    """How often which value was seen, of those that were."""
    names = ("others" if value == CLASSES else str(value) for value in np.flatnonzero(counts))
    shares = counts[counts > 0] / max(1, int(counts.sum()))
    return dict(zip(names, shares.tolist(), strict=True))


def find_coverage(path: str | os.PathLike[str]) -> Path | None:
    """The coverage of a run: of its directory, its folder of snapshots, or the file itself."""
    given = Path(path)
    for found in (given, given / FILE, given.parent / FILE if given.name == "snapshots" else given):
        if found.name == FILE and found.is_file():
            return found
    return None


def read_coverage(path: str | os.PathLike[str]) -> Covered:
    """Read where a training has looked.

    Parameters
    ----------
    path
        The run directory, or the file ``coverage.npz`` in it.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If it cannot be read.
    """
    file = find_coverage(path)
    if file is None:
        raise FileNotFoundError(
            f"there is no {FILE} in {path}; the hook voxflow.training.Coverage writes it"
        )
    try:
        with file.open("rb") as opened, np.load(opened) as stored:
            return _read(stored)
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        OSError,
        EOFError,
        BadZipFile,
    ) as error:
        raise ValueError(f"{file} is damaged ({type(error).__name__}: {error})") from error


def _read(stored: Mapping[str, Any]) -> Covered:
    header = json.loads(str(stored["header"]))
    maps = []
    for number, fields in enumerate(header["maps"]):
        places: dict[str, Any] = {
            name: tuple(fields.pop(name)) for name in ("begin", "end", "voxel_size")
        }
        maps.append(SourceMap(**fields, **places, times=stored[f"times/{number}"]))
    classes = {
        name.removeprefix("classes/"): stored[name]
        for name in stored
        if name.startswith("classes/")
    }
    branches = [Branch(**fields) for fields in header["branches"]]
    return Covered(maps, branches, classes, header["steps"])


def _parts(extent: Sequence[float], most: Sequence[float], cells: int) -> tuple[int, ...]:
    """Into how many parts each axis is cut: about cubes, at most so many.

    >>> _parts((100.0, 100.0), (50.0, 3.0), 100)
    (33, 3)
    >>> _parts((), (), 100)
    ()
    """
    if not extent or min(extent) <= 0:
        return ()
    # From cells as large as the largest extent on, as long as there is room for smaller ones.
    best, edge = (1,) * len(extent), max(extent)
    while True:
        parts = tuple(
            max(1, math.floor(min(n / edge, limit) + 1e-9))
            for n, limit in zip(extent, most, strict=True)
        )
        if math.prod(parts) > cells:
            return best
        if parts != best:
            best = parts
        if all(p + 1 > limit for p, limit in zip(parts, most, strict=True)):
            return best
        edge *= 0.97
