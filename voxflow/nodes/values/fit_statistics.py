"""Statistics of the values of an array, gathered once and used for training and prediction."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from voxflow.pipeline.data import BatchRequest
from voxflow.pipeline.engine import build
from voxflow.pipeline.geometry import Coordinate
from voxflow.pipeline.geometry.tiling import grid

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from voxflow.pipeline.data import ArrayKey
    from voxflow.pipeline.geometry import Roi

_BLOCK = 2**21
_SAMPLE = 2**20


@dataclass(frozen=True)
class Statistics:
    """What `Normalize` has to know of the values of an array.

    Attributes
    ----------
    mean, std
        Mean and standard deviation.
    low, high
        The values at the lower and the upper percentile.

    Examples
    --------
    >>> Statistics(100.0, 20.0, 55.0, 160.0).to_dict()
    {'mean': 100.0, 'std': 20.0, 'low': 55.0, 'high': 160.0}
    """

    mean: float
    std: float
    low: float
    high: float

    def to_dict(self) -> dict[str, float]:
        """Plain numbers, for JSON or a checkpoint."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, float]) -> Statistics:
        """What `to_dict` gave."""
        return cls(**{name: float(value) for name, value in values.items()})


def fit_statistics(
    sources: Any,
    array: ArrayKey,
    *,
    block_shape: Any = None,
    blocks: int | None = None,
    percentiles: tuple[float, float] = (1.0, 99.0),
    per: Literal["voxel", "volume"] = "voxel",
    seed: int = 0,
) -> Statistics:
    """Go over an array once, block by block, and gather statistics of its values.

    Memory is bounded by the size of a block, whatever the size of the volume. Percentiles of
    integers of 8 and 16 bits are those of all values that were read, others those of a random
    sample of a million.

    Parameters
    ----------
    sources
        A node or a pipeline that offers the array in a bounded region, not built; or a list of
        them, for several volumes.
    array
        The array.
    block_shape
        The size of a block, world units; None: about two million voxels.
    blocks
        How many blocks of each source are read, drawn at random; None: all.
    percentiles
        The lower and the upper one, 0 to 100.
    per
        "voxel": mean and standard deviation of all values. "volume": the mean over the volumes of
        their means, and of their standard deviations, so that each volume counts alike.
    seed
        Of all random draws.

    Raises
    ------
    ValueError
        If nothing is given to read, the array has no bounded region, values are not finite, or
        some volumes hold integers of 8 or 16 bits and others do not.

    Examples
    --------
    >>> import voxflow as gp
    >>> raw = gp.ArrayKey("RAW")
    >>> line = gp.ArraySource(raw, np.array([2.0, 4, 6]), spec=gp.ArraySpec(voxel_size=(4,)))
    >>> gp.fit_statistics(line, raw, percentiles=(0, 100))
    Statistics(mean=4.0, std=1.632993161855452, low=2.0, high=6.0)
    """
    if per not in ("voxel", "volume"):
        raise ValueError(f"per has to be 'voxel' or 'volume', got {per!r}")
    if not 0 <= percentiles[0] < percentiles[1] <= 100:
        raise ValueError(f"percentiles go from low to high within 0 to 100, got {percentiles}")
    volumes = list(sources) if isinstance(sources, (list, tuple)) else [sources]
    if not volumes:
        raise ValueError("there is no source to gather statistics from")
    moments, sample = [], _Sample(seed)
    for i, volume in enumerate(volumes):
        own = _Moments()
        for values in _read(volume, array, block_shape, blocks, seed + i):
            own.add(values)
            sample.add(values)
        moments.append(own)
    low, high = sample.percentiles(percentiles)
    if per == "volume":
        means, stds = [m.mean for m in moments], [m.std for m in moments]
        return Statistics(float(np.mean(means)), float(np.mean(stds)), low, high)
    whole = _Moments()
    for own in moments:
        whole.join(own.count, own.mean, own.squares)
    return Statistics(whole.mean, whole.std, low, high)


def _read(
    source: Any, array: ArrayKey, block_shape: Any, count: int | None, seed: int
) -> Iterator[NDArray[Any]]:
    """The values of blocks, one after the other."""
    with build(source, seed=seed) as pipeline:
        spec = pipeline.spec[array]
        roi: Roi | None = spec.roi
        if roi is None or roi.unbounded:
            raise ValueError(f"statistics of {array} need a bounded region, there is {roi}")
        if block_shape is None:
            side = round(_BLOCK ** (1 / roi.dims))
            block_shape = Coordinate((side,) * roi.dims) * spec.grid
        tiles = grid(roi, block_shape, roi.begin)
        numbers: Sequence[int] = range(len(tiles))
        if count is not None and count < len(tiles):
            chosen = np.random.default_rng(seed).choice(len(tiles), count, replace=False)
            numbers = sorted(chosen.tolist())
        for number in numbers:
            request = BatchRequest({array: tiles[number].intersect(roi)})
            values = pipeline.request_batch(request)[array].view.reshape(-1)
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                raise ValueError(f"{array} has values in {tiles[number]} that are not finite")
            yield values


class _Moments:
    """Count, mean and sum of squared deviations (Chan, Golub, LeVeque 1983)."""

    def __init__(self) -> None:
        self.count, self.mean, self.squares = 0, 0.0, 0.0

    @property
    def std(self) -> float:
        return math.sqrt(self.squares / max(1, self.count))

    def add(self, values: NDArray[Any]) -> None:
        if values.size:
            mean = float(values.mean(dtype=np.float64))
            rest = values.astype(np.float64) - mean
            self.join(values.size, mean, float(rest @ rest))

    def join(self, count: int, mean: float, squares: float) -> None:
        total = self.count + count
        if total:
            step = mean - self.mean
            self.squares += squares + step**2 * self.count * count / total
            self.mean += step * count / total
            self.count = total


class _Sample:
    """A uniform sample of bounded size; of small integers a histogram of all."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng([seed, 1])
        self.histogram: dict[int, int] = {}
        self.values = np.empty(0)
        self.ranks = np.empty(0)

    def add(self, values: NDArray[Any]) -> None:
        if values.dtype.kind in "uib" and values.dtype.itemsize <= 2:
            found, counts = np.unique(values.astype(np.int64), return_counts=True)
            for value, count in zip(found.tolist(), counts.tolist(), strict=True):
                self.histogram[value] = self.histogram.get(value, 0) + count
            return
        self.values = np.concatenate([self.values, values.astype(np.float64)])
        self.ranks = np.concatenate([self.ranks, self.rng.random(values.size)])
        if self.values.size > _SAMPLE:  # the smallest of random ranks are a uniform sample
            kept = np.argpartition(self.ranks, _SAMPLE)[:_SAMPLE]
            self.values, self.ranks = self.values[kept], self.ranks[kept]

    def percentiles(self, wanted: tuple[float, float]) -> tuple[float, float]:
        if self.histogram and self.values.size:
            raise ValueError(
                "some volumes hold integers of 8 or 16 bits, others do not, so they have no "
                "percentiles in common; put Normalize or AsType after their sources"
            )
        if not self.histogram:
            low, high = np.percentile(self.values, wanted)
            return float(low), float(high)
        values = np.array(sorted(self.histogram))
        ends = np.cumsum([self.histogram[v] for v in values.tolist()])
        places = np.array(wanted) / 100 * (ends[-1] - 1)
        below = values[np.searchsorted(ends, np.floor(places), "right")]
        above = values[np.searchsorted(ends, np.ceil(places), "right")]
        low, high = below + (above - below) * (places - np.floor(places))
        return float(low), float(high)
