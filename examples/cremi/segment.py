"""Turn predicted affinities into instances, block by block.

    python examples/cremi/segment.py [FILE ...]

reads `volumes/predictions/affinities` of each file and writes `volumes/segmentation` beside it: by
the method that choose.py found best, if it was run, else by the mutex watershed.
"""

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
from common import AFFINITIES, CHOSEN, SEGMENTATION, TRAINED, UNTRAINED, load, save
from scipy.ndimage import distance_transform_edt, gaussian_filter, label, maximum_filter
from skimage.segmentation import watershed

import voxflow as vf
from voxflow.segmentation import MutexWatershed, Watershed, segment_blockwise

MIN_SIZE = 200  # voxels
BLOCK = (64, 128, 128)  # voxels at a time


def segment(path, method=None, min_size=MIN_SIZE, block=BLOCK):
    """Instances (z, y, x; uint64, no background) from the affinities of a file.

    Which voxels the affinities compare, the file says.
    """
    method = method or chosen(path.parent)
    options = {"block": block, "exist": "overwrite", "progress": vf.ScanCallback()}
    report = segment_blockwise((path, AFFINITIES), (path, SEGMENTATION), method, **options)
    shutil.rmtree(report.folder)
    instances = load(path, SEGMENTATION)
    spec = instances.spec
    return vf.Array(merge_small(instances.data, min_size, spec.voxel_size), spec)


def chosen(folder):
    """The method that choose.py wrote into a folder; else the mutex watershed."""
    if not (folder / CHOSEN).exists():
        return MutexWatershed()
    options = json.loads((folder / CHOSEN).read_text())
    kinds = {"MutexWatershed": MutexWatershed, "Watershed": Watershed}
    return kinds[options.pop("method")](**options)


def merge_small(instances, min_size, voxel_size):
    """Give voxels of no object (0), or of one under `min_size`, to the nearest that stays."""
    _, index, sizes = np.unique(instances, return_inverse=True, return_counts=True)
    small = (sizes < min_size)[index].reshape(instances.shape) | (instances == 0)
    if small.all():
        return np.ones_like(instances)
    nearest = distance_transform_edt(
        small, sampling=tuple(map(float, voxel_size)), return_distances=False, return_indices=True
    )
    return instances[tuple(nearest)]


def watershed_of_raw(raw, sigma, min_size=MIN_SIZE):
    """The baseline that needs no network: raw, which is darker at membranes, is smoothed (`sigma`
    voxels) and flooded from its bright spots."""
    smooth = gaussian_filter(raw.data.astype(np.float32), sigma)
    seeds = label(smooth == maximum_filter(smooth, 3))[0]
    basins = watershed(-smooth, seeds).astype(np.uint64)
    return vf.Array(merge_small(basins, min_size, raw.spec.voxel_size), raw.spec)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", type=Path, nargs="*", default=[TRAINED, UNTRAINED])
    parser.add_argument("--min-size", type=int, default=MIN_SIZE, help="voxels")
    options = parser.parse_args()
    for path in options.files:
        instances = segment(path, min_size=options.min_size)
        save(path, SEGMENTATION, instances)
        print(f"{path}: {len(np.unique(instances.data))} objects")


if __name__ == "__main__":
    main()
