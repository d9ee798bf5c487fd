"""What the scripts of this example share: paths, dataset names, the neighbourhood, files."""

from dataclasses import dataclass
from pathlib import Path

import voxflow as vf
from voxflow.stores import Geometry, create_dataset, open_dataset, read_geometry, store_format

FOLDER = Path("runs/cremi")  # all that the scripts make, unless they are told otherwise
TRAINED, UNTRAINED = FOLDER / "trained.hdf", FOLDER / "untrained.hdf"
CHOSEN = "method.json"  # of choose.py, beside the predictions
SAMPLES = [FOLDER / "data" / f"sample_{name}.hdf" for name in "ABC"]
HELD_OUT = SAMPLES[2]  # never trained on

RAW = "volumes/raw"
LABELS = "volumes/labels/neuron_ids"
FRAGMENTS = "volumes/labels/fragments"  # some files have them: a watershed by others
AFFINITIES = "volumes/predictions/affinities"
SEGMENTATION = "volumes/segmentation"


@dataclass(frozen=True)
class Setting:
    """What suits voxels of some shape; z y x throughout, in voxels."""

    # Pairs of voxels of which the network says whether they are of one object: the direct
    # neighbours, which join voxels, and some further away, which keep objects apart.
    neighborhood: list[list[int]]
    downsample: list[tuple[int, int, int]]  # of the U-Net, from level to level
    finest: list[tuple[int, int, int]]  # the convolutions of its first level
    crop: tuple[int, int, int]  # raw of a training sample
    block: tuple[int, int, int]  # raw that is predicted at a time, at most
    alike: list[int]  # axes that may change places
    blurs: list[tuple[int, int, int]]  # of raw, for a watershed of it


THICK = Setting(  # sections: thick as they are, not to be pooled, and each with its own defects
    neighborhood=[
        [-1, 0, 0],
        [0, -1, 0],
        [0, 0, -1],
        [-2, 0, 0],
        [0, -9, 0],
        [0, 0, -9],
        [-1, -9, 0],
        [-1, 0, -9],
    ],
    downsample=[(1, 3, 3), (1, 3, 3)],
    finest=[(1, 3, 3), (1, 3, 3)],
    crop=(22, 142, 142),
    block=(34, 214, 214),
    alike=[1, 2],
    blurs=[(1, 3, 3), (2, 6, 6), (3, 9, 9)],
)
ISOTROPIC = Setting(
    neighborhood=[
        [-1, 0, 0],
        [0, -1, 0],
        [0, 0, -1],
        [-3, 0, 0],
        [0, -3, 0],
        [0, 0, -3],
        [-9, 0, 0],
        [0, -9, 0],
        [0, 0, -9],
    ],
    downsample=[(2, 2, 2), (2, 2, 2)],
    finest=[(3, 3, 3)],
    crop=(86, 86, 86),
    block=(110, 110, 110),
    alike=[0, 1, 2],
    blurs=[(3, 3, 3), (5, 5, 5), (8, 8, 8), (16, 16, 16)],
)


def setting(path):
    """The one for the voxels of a file's raw."""
    z, y, x = place(path, RAW).voxel_size
    return THICK if z > 2 * max(y, x) else ISOTROPIC


def place(path, dataset, planes=None):
    """Where a dataset lies (its last three axes are z y x), or some of its planes: (begin, end)."""
    stored = open_dataset(path, dataset)
    voxel_size, offset = read_geometry(stored).voxel_size, read_geometry(stored).offset
    begin, end = planes or (0, stored.shape[-3])
    roi = vf.Roi((begin, 0, 0), (end - begin, *stored.shape[-2:])) * voxel_size + offset
    return vf.ArraySpec(roi=roi, voxel_size=voxel_size)


def source(path, datasets, planes=None):
    """A node that offers datasets {key: name} of a file, or some of their planes."""
    reader = vf.ZarrSource if store_format(path) == "zarr" else vf.Hdf5Source
    nodes = reader(path, datasets)
    for key, name in datasets.items() if planes else ():
        nodes += vf.Crop(key, place(path, name, planes).roi)
    return nodes


def load(path, dataset):
    """A whole dataset in its place in the world."""
    stored = open_dataset(path, dataset)
    return vf.Array(stored.read(tuple(slice(0, n) for n in stored.shape)), place(path, dataset))


def save(path, dataset, array):
    """Write an array with its place in the world, over a dataset of that name."""
    geometry = Geometry(array.spec.voxel_size, array.spec.roi.offset)
    data = array.data
    options = {"geometry": geometry, "compression": "gzip", "exist": "overwrite"}
    if isinstance(array.spec.kind, vf.Affinities):
        options["attrs"] = {"affinity_neighborhood": array.spec.kind.offsets}
    stored = create_dataset(path, dataset, data.shape, data.dtype, **options)
    stored.write(tuple(slice(0, n) for n in data.shape), data)


def overlap(*arrays):
    """The voxels (numpy) of each array in the region that all of them cover."""
    if len({array.spec.voxel_size for array in arrays}) > 1:
        raise ValueError(f"voxel sizes differ: {[array.spec.voxel_size for array in arrays]}")
    region = arrays[0].spec.roi
    for array in arrays[1:]:
        region = region.intersect(array.spec.roi)
    if region.empty:
        raise ValueError(f"no region is common to {[array.spec.roi for array in arrays]}")
    return [array.crop(region, copy=False).data for array in arrays]
