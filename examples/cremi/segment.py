"""Turn predicted affinities into instances with the mutex watershed, block by block.

    python examples/cremi/segment.py [FILE ...]

reads `volumes/predictions/affinities` of each file and writes `volumes/segmentation` beside it.
"""

import argparse
import shutil
from pathlib import Path

import numpy as np
from common import AFFINITIES, SEGMENTATION, TRAINED, UNTRAINED, load, save
from scipy.ndimage import distance_transform_edt, gaussian_filter, label, maximum_filter
from skimage.segmentation import watershed

import voxflow as vf
from voxflow.segmentation import MutexWatershed, segment_blockwise

BIAS = (0.5, 0.5)
MIN_SIZE = 200  # voxels
BLOCK = (32, 256, 256)  # voxels at a time


def segment(path, bias=BIAS, min_size=MIN_SIZE, block=BLOCK):
    """Instances (z, y, x; uint64, no background) from the affinities of a file.

    An affinity above its bias says "one object", one below says "two objects", the more so the
    further away; the mutex watershed believes the strongest first. `bias` holds that of the
    direct neighbours and that of the long range. A higher one gives more and smaller objects.
    Which voxels the affinities compare, the file says.
    """
    method = MutexWatershed(bias=bias[0], long_bias=bias[1])
    options = {"block": block, "exist": "overwrite", "progress": vf.ScanCallback()}
    report = segment_blockwise((path, AFFINITIES), (path, SEGMENTATION), method, **options)
    shutil.rmtree(report.folder)
    instances = load(path, SEGMENTATION)
    return vf.Array(merge_small(instances.data, min_size), instances.spec)


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
        instances = segment(path, options.bias, options.min_size)
        save(path, SEGMENTATION, instances)
        print(f"{path}: {len(np.unique(instances.data))} objects")


if __name__ == "__main__":
    main()
