"""The label kernels beside plain numpy and scipy on the same uint64 labels, outputs compared first.

Run it as ``python -m benchmarks.labels``. The baseline is written out below: one erosion per label,
affinities of an int32 copy of the labels, classes counted with ``np.unique``. Both sides take
turns on one thread; the table shows medians. A ratio above 1 means that ours is faster.
"""

import statistics
import time

import numpy as np
from scipy.ndimage import binary_erosion

from voxflow.ops.affinities import affinities
from voxflow.ops.balance import balance
from voxflow.ops.boundary import grow_boundary

SHAPES = ((57, 57, 57), (13, 173, 173), (64, 256, 256))
STEPS = 3
DIRECT = [[-1, 0, 0], [0, -1, 0], [0, 0, -1]]
NINE = [*DIRECT, [-2, 0, 0], [0, -3, 0], [0, 0, -3], [-3, 0, 0], [0, -9, 0], [0, 0, -9]]
TWELVE = [*NINE, [-4, 0, 0], [0, -27, 0], [0, 0, -27]]


def neurites(shape, seed=0):
    """Blobs of about a neurite's size: each voxel belongs to the nearest of a few random seeds."""
    rng = np.random.default_rng(seed)
    count = max(8, int(np.prod(shape)) // 40_000)
    seeds = rng.uniform(0, 1, (count, 3)) * shape
    coarse = [np.arange(0, n, 4) for n in shape]
    places = np.stack(np.meshgrid(*coarse, indexing="ij"), axis=-1)
    nearest = np.zeros(places.shape[:3], np.uint64)
    best = np.full(places.shape[:3], np.inf)
    for number, place in enumerate(seeds, start=1):
        distance = ((places - place) ** 2).sum(axis=-1)
        closer = distance < best
        nearest[closer], best[closer] = number, distance[closer]
    return np.ascontiguousarray(nearest[np.ix_(*[np.arange(n) // 4 for n in shape])])


def plain_grow(labels, steps):
    kept = np.zeros(labels.shape, dtype=bool)
    for label in np.unique(labels):
        if label:
            kept |= binary_erosion(labels == label, iterations=steps, border_value=1)
    out = labels.copy()
    out[~kept] = 0
    return out


def plain_affinities(labels, neighborhood):
    labels = labels.astype(np.int32)
    axes = list(zip(*neighborhood, strict=True))
    low = [max(0, -min(axis)) for axis in axes]
    high = [n - max(0, *axis) for n, axis in zip(labels.shape, axes, strict=True)]
    here = labels[tuple(map(slice, low, high))]
    channels = []
    for vector in neighborhood:
        moved = [slice(a + v, b + v) for a, b, v in zip(low, high, vector, strict=True)]
        there = labels[tuple(moved)]
        channels.append((here == there) & (here > 0) & (there > 0))
    return np.stack(channels).astype(np.uint8)


def plain_balance(labels, clipmin=0.05, clipmax=0.95):
    scale = np.ones(labels.shape, np.float32)
    classes, counts = np.unique(labels[np.nonzero(scale)], return_counts=True)
    factors = np.zeros(2)
    factors[classes] = 1 / (2 * np.clip(counts / scale.sum(), clipmin, clipmax))
    return scale * np.take(factors, labels.astype(np.int64)).astype(np.float32)


def measure(ours, plain, repeats):
    times = ([], [])
    for _ in range(repeats):
        for function, kept in zip((ours, plain), times, strict=True):
            start = time.perf_counter()
            function()
            kept.append(time.perf_counter() - start)
    return [statistics.median(kept) for kept in times]


def works(labels):
    """Name, ours, plain; the outputs of both have to be equal."""
    grown = grow_boundary(labels, STEPS)
    channels = affinities(grown, DIRECT)
    yield "grow_boundary", lambda: grow_boundary(labels, STEPS), lambda: plain_grow(labels, STEPS)
    for neighborhood in (DIRECT, NINE, TWELVE):
        yield (
            f"affinities, {len(neighborhood)} neighbours",
            lambda n=neighborhood: affinities(grown, n),
            lambda n=neighborhood: plain_affinities(grown, n),
        )
    yield "balance", lambda: balance(channels), lambda: plain_balance(channels)
    yield (
        "the three in a row",
        lambda: balance(affinities(grow_boundary(labels, STEPS), DIRECT)),
        lambda: plain_balance(plain_affinities(plain_grow(labels, STEPS), DIRECT)),
    )


def main():
    print(f"{'work':<26}{'shape':>14}{'ours, ms':>11}{'plain, ms':>11}{'ratio':>8}")
    for shape in SHAPES:
        for name, ours, plain in works(neurites(shape)):
            np.testing.assert_allclose(ours(), plain(), rtol=1e-6, err_msg=name)
            mine, theirs = measure(ours, plain, 5 if shape[-1] < 200 else 3)
            size = "x".join(map(str, shape))
            row = f"{name:<26}{size:>14}{mine * 1e3:>11.2f}{theirs * 1e3:>11.1f}"
            print(f"{row}{theirs / mine:>7.1f}x", flush=True)


if __name__ == "__main__":
    main()
