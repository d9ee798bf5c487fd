"""Small volumes to segment, and what segmentations are compared by."""

import numpy as np
from scipy.ndimage import gaussian_filter

from voxflow.ops.affinities import affinities, reach
from voxflow.segmentation.block import Block

NEIGHBORHOODS = {
    1: [[-1], [-3], [2]],
    2: [[-1, 0], [0, -1], [-3, 0], [0, 4], [2, -2]],
    3: [[-1, 0, 0], [0, -1, 0], [0, 0, -1], [-2, 0, 0], [0, -4, 0], [0, 1, 3]],
}


def noise(rng, shape, neighborhood, kind=np.float32):
    """Affinities that mean nothing: floats without ties, or few levels with many."""
    values = rng.random((len(neighborhood), *shape))
    if kind == np.uint8:
        return np.round(values * 10).astype(np.uint8) * 25
    return values.astype(np.float32)


def cells(shape, neighborhood, count=12, seed=0, dtype=np.uint8):
    """Labels of a Voronoi diagram, and blurred, noisy affinities of them."""
    rng = np.random.default_rng(seed)
    below, above = reach(neighborhood)
    around = [n + b + a for n, b, a in zip(shape, below, above, strict=True)]
    points = rng.random((count, len(shape))) * around
    grid = np.stack(np.meshgrid(*map(np.arange, around), indexing="ij"), -1)
    labels = ((grid[..., None, :] - points) ** 2).sum(-1).argmin(-1) + 1
    found = affinities(labels, neighborhood, np.float32)
    for channel in found:
        blurred = gaussian_filter(rng.normal(size=shape), 1) * 1.5
        channel[...] = np.clip(gaussian_filter(channel, 0.7) * 0.9 + 0.05 + blurred, 0, 1)
    inner = tuple(slice(b, b + n) for b, n in zip(below, shape, strict=True))
    if dtype == np.uint8:
        found = np.round(found * 255)
    return labels[inner].astype(np.uint64), found.astype(dtype)


def blocks_of(affinities, neighborhood, size, method, mask=None):
    """Each block of a volume with what lies around it, and where region and own part are."""
    volume = affinities.shape[1:]
    table = np.array(neighborhood, np.int64)
    around = method.reach(table)
    for index in np.ndindex(*(-(-n // s) for n, s in zip(volume, size, strict=True))):
        begin = np.multiply(index, size)
        end = np.minimum(begin + size, volume)
        low, high = np.maximum(begin - around, 0), np.minimum(end + around, volume)
        region = tuple(map(slice, low.tolist(), high.tolist()))
        own = tuple(map(slice, (begin - low).tolist(), (end - low).tolist()))
        part = np.ascontiguousarray(affinities[(slice(None), *region)])
        alive = np.ones(part.shape[1:], bool) if mask is None else mask[region] != 0
        block = Block(part, table, alive, own, tuple(low.tolist()), volume)
        yield block, region, tuple(map(slice, begin.tolist(), end.tolist()))


def same_partition(one, two):
    """Whether two labellings are the same but for the names."""
    pairs = np.unique(np.stack([one.ravel(), two.ravel()]), axis=1)
    return len(np.unique(pairs[0])) == len(np.unique(pairs[1])) == pairs.shape[1]
