"""Turn predicted affinities into instances with the mutex watershed.

    python examples/cremi/segment.py [FILE ...]

reads `volumes/predictions/affinities` of each file and writes `volumes/segmentation` beside it.
"""

import argparse
from pathlib import Path

import mwatershed
import numpy as np
from common import AFFINITIES, NEIGHBORHOOD, SEGMENTATION, TRAINED, UNTRAINED, load, save
from scipy.ndimage import distance_transform_edt, gaussian_filter, label, maximum_filter
from skimage.segmentation import watershed

import voxflow as vf

BIAS = (0.5, 0.5)
MIN_SIZE = 200  # voxels


def segment(affinities, neighborhood=NEIGHBORHOOD, bias=BIAS, min_size=MIN_SIZE):
    """Instances (z, y, x; uint64, no background) from affinities (c, z, y, x; 0 ... 1 or uint8).

    An affinity above its bias says "one object", one below says "two objects", the more so the
    further away; the mutex watershed believes the strongest first. `bias` holds that of the
    direct neighbours and that of the long range. A higher one gives more and smaller objects.
    """
    affinities = affinities / 255 if affinities.dtype == np.uint8 else affinities.astype(float)
    for channel, offset in enumerate(neighborhood):
        affinities[channel] -= bias[sum(map(abs, offset)) > 1]
    return merge_small(mwatershed.agglom(affinities, neighborhood), min_size)


def merge_small(instances, min_size):
    """Give voxels of no object (0), or of one under `min_size`, to the nearest that stays."""
    _, index, sizes = np.unique(instances, return_inverse=True, return_counts=True)
    small = (sizes < min_size)[index].reshape(instances.shape) | (instances == 0)
    if small.all():
        return np.ones_like(instances)
    nearest = distance_transform_edt(
        small, sampling=(10, 1, 1), return_distances=False, return_indices=True
    )
    return instances[tuple(nearest)]


def watershed_of_raw(raw, sigma=(2, 6, 6), min_size=MIN_SIZE):
    """The baseline that needs no network: smoothed raw flooded from its bright spots.

    This `sigma` (voxels) was the best of several on the samples; raw is darker at membranes.
    """
    smooth = gaussian_filter(raw.astype(np.float32), sigma)
    seeds = label(smooth == maximum_filter(smooth, 3))[0]
    return merge_small(watershed(-smooth, seeds).astype(np.uint64), min_size)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", type=Path, nargs="*", default=[TRAINED, UNTRAINED])
    parser.add_argument("--bias", type=float, nargs=2, default=BIAS, help="short, long range")
    parser.add_argument("--min-size", type=int, default=MIN_SIZE, help="voxels")
    options = parser.parse_args()
    for path in options.files:
        affinities = load(path, AFFINITIES)
        instances = segment(affinities.data, bias=options.bias, min_size=options.min_size)
        save(path, SEGMENTATION, vf.Array(instances, affinities.spec))
        print(f"{path}: {len(np.unique(instances))} objects")


if __name__ == "__main__":
    main()
