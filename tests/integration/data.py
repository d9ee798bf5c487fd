"""Small samples in the layout of CREMI."""

import h5py
import numpy as np
from scipy import ndimage


def write_sample(path, shape=(12, 40, 48), seed=0, resolution=(40, 4, 4)):
    """Cells around random points: raw (uint8) is dark at their boundaries, labels are uint64."""
    rng = np.random.default_rng(seed)
    points = np.zeros(shape, bool)
    points[tuple(rng.integers(0, n, 30) for n in shape)] = True
    seeds = ndimage.label(points)[0]
    _, nearest = ndimage.distance_transform_edt(~points, sampling=resolution, return_indices=True)
    labels = seeds[tuple(nearest)].astype(np.uint64)
    edge = ndimage.grey_dilation(labels, (1, 3, 3)) != ndimage.grey_erosion(labels, (1, 3, 3))
    raw = np.clip(180 - 120 * edge + rng.normal(0, 20, shape), 0, 255).astype(np.uint8)
    with h5py.File(path, "w") as file:
        for name, data in (("volumes/raw", raw), ("volumes/labels/neuron_ids", labels)):
            dataset = file.create_dataset(name, data=data, chunks=(4, 16, 16))
            dataset.attrs["resolution"] = resolution
            dataset.attrs["offset"] = (0,) * 3
