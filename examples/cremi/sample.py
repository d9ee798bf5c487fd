"""Make small CREMI-like volumes on the spot, so that the example runs without a download.

    python examples/cremi/sample.py

writes sample_A.hdf, sample_B.hdf and sample_C.hdf into runs/cremi/data, in the layout of the
CREMI challenge: `volumes/raw` (uint8) and `volumes/labels/neuron_ids` (uint64), 40 x 4 x 4 nm,
every voxel labelled, raw reaching further than the labels on every side. The neurites are
invented: tracks wander through z, and the cells of a power diagram around them are neurites.
"""

import argparse
from pathlib import Path

import h5py
import numpy as np
from common import LABELS, RAW, SAMPLES
from scipy.ndimage import distance_transform_edt, gaussian_filter, zoom
from scipy.spatial import cKDTree

RESOLUTION = (40, 4, 4)  # nm, z y x
PADDING = (8, 36, 36)  # voxels of raw around the labels, on either side
SPACING = 27  # voxels between the tracks: the usual calibre of a neurite


def smooth_noise(rng, shape, scale):
    """Noise of mean 0 and variance 1 that changes over about `scale` voxels per axis."""
    coarse = rng.standard_normal([n // s + 3 for n, s in zip(shape, scale, strict=True)])
    fine = zoom(gaussian_filter(coarse, 0.6), scale, order=1)
    fine = fine[tuple(slice(s // 2, s // 2 + n) for n, s in zip(shape, scale, strict=True))]
    return ((fine - fine.mean()) / fine.std()).astype(np.float32)


def neurites(rng, times, size):
    """Labels (time, y, x): a 2D power diagram per time, around tracks that wander."""
    extent = size + 4 * SPACING
    count = (extent // SPACING) ** 2
    wander = gaussian_filter(rng.standard_normal((times, count, 2)), (6, 0, 0))
    wander *= 1.0 / wander.std()
    tracks = rng.uniform(0, extent, (count, 2)) + np.cumsum(wander, axis=0) - 2 * SPACING
    calibre = gaussian_filter(rng.standard_normal((times, count)), (10, 0))
    calibre *= 0.8 * SPACING**2 / calibre.std()
    neuron = np.arange(1, count + 1)
    for a, b in cKDTree(tracks[times // 2]).query(tracks[times // 2], k=2)[1]:
        if rng.random() < 0.35:  # these two are branches of one neuron
            neuron[neuron == neuron[b]] = neuron[a]
    places = np.stack(np.mgrid[:size, :size], axis=-1).reshape(-1, 2).astype(np.float32)
    waves = places @ rng.normal(0, 1 / 14, (2, 8)).astype(np.float32)
    waves = np.hstack([np.sin(waves), np.cos(waves)])
    swell = rng.normal(0, 1.1, (16, 2))
    labels = np.empty((times, size, size), np.uint16)
    for t in range(times):
        phase = 0.12 * t * np.arange(1, 9)
        turned = np.vstack([swell[:8] * np.cos(phase)[:, None], swell[8:] * np.sin(phase)[:, None]])
        warped = places + waves @ turned.astype(np.float32)
        # |x - p|^2 - w is smallest where p, lifted by sqrt(max w - w), is nearest
        lifted = np.column_stack([tracks[t], np.sqrt(calibre[t].max() - calibre[t])])
        nearest = cKDTree(lifted).query(np.column_stack([warped, np.zeros(size * size)]))[1]
        labels[t] = neuron[nearest].reshape(size, size)
    return labels


def depth(labels):
    """Distance of each pixel from the border of its neurite, in voxels, section by section."""
    inside = np.ones(labels.shape, bool)
    for axis in (1, 2):
        same = np.diff(labels.astype(np.int32), axis=axis) == 0
        low = [slice(None)] * 3
        high = [slice(None)] * 3
        low[axis], high[axis] = slice(None, -1), slice(1, None)
        inside[tuple(low)] &= same
        inside[tuple(high)] &= same
    return np.stack([distance_transform_edt(section) for section in inside]).astype(np.float32)


def organelles(rng, raw, labels, distance):
    """Draw mitochondria and vesicles: dark things that are no border of a neurite."""
    sections, size, _ = raw.shape
    z, y, x = np.ogrid[:sections, :size, :size]
    for _ in range(sections * size * size // 20_000):
        centre = tuple(rng.integers(0, raw.shape))
        radius = distance[centre] * rng.uniform(0.5, 0.8)
        if radius < 5:
            continue
        length = rng.uniform(3, 10)
        box = tuple(
            slice(max(0, int(c - 2 * r)), int(c + 2 * r) + 1)
            for c, r in zip(centre, (length, radius, radius), strict=True)
        )
        zz, yy, xx = z[box[0]], y[:, box[1]], x[:, :, box[2]]
        reach = ((zz - centre[0]) / length) ** 2
        reach = reach + ((yy - centre[1]) ** 2 + (xx - centre[2]) ** 2) / radius**2
        body = (reach < 1) & (labels[box] == labels[centre]) & (distance[box] > 3)
        cristae = 0.06 * np.sin(0.9 * (yy + 0.6 * xx) + rng.uniform(0, 6))
        rim = np.where(reach > 0.75, -0.2, 0.0)
        raw[box] += body * (-0.16 + cristae + rim)
    for _ in range(sections * size * size // 900):
        k, j, i = rng.integers(0, raw.shape)
        if distance[k, j, i] > 7 and labels[k, j, i] % 3 == 0:
            patch = (slice(k, k + 1), slice(j - 5, j + 6), slice(i - 5, i + 6))
            radius = np.hypot(y[:, patch[1]] - j, x[:, :, patch[2]] - i)
            raw[patch] -= 0.3 * np.exp(-(((radius - 3) / 1.2) ** 2))


def sample(rng, shape):
    """Raw (uint8) and labels (uint64) of one volume of `shape` voxels, both z y x."""
    sections, size, _ = shape
    fine = neurites(rng, 2 * sections, size)  # twice per section: sections are thick
    membrane = np.exp(-((depth(fine) / 2.0) ** 2)).reshape(sections, 2, size, size).mean(axis=1)
    labels = fine[::2]
    cytoplasm = rng.normal(0.66, 0.06, fine.max() + 1).astype(np.float32)
    raw = cytoplasm[labels] + 0.03 * smooth_noise(rng, shape, (4, 12, 12))
    reticulum = smooth_noise(rng, shape, (3, 14, 14))
    raw -= 0.14 * np.exp(-((reticulum / 0.12) ** 2))  # thin dark sheets inside the cells
    organelles(rng, raw, labels, depth(labels))
    strength = 0.36 + 0.10 * smooth_noise(rng, shape, (2, 10, 10))  # weak, at places gone
    raw -= np.clip(strength, 0.02, None) * membrane
    raw = gaussian_filter(raw, (0, 0.8, 0.8))
    raw += 0.05 * gaussian_filter(rng.standard_normal(shape), (0, 0.5, 0.5)) / 0.55
    raw = raw * rng.normal(1, 0.05, (sections, 1, 1)) + rng.normal(0, 0.03, (sections, 1, 1))
    names = rng.choice(20_000, fine.max() + 1, replace=False).astype(np.uint64) + np.uint64(1)
    return np.clip(raw * 255, 0, 255).astype(np.uint8), names[labels]


def write(path, raw, labels):
    """Write one file in CREMI's layout; the labels lose the padding."""
    inner = tuple(slice(p, n - p) for p, n in zip(PADDING, raw.shape, strict=True))
    offset = [p * r for p, r in zip(PADDING, RESOLUTION, strict=True)]
    with h5py.File(path, "w") as file:
        file.attrs["file_format"] = "0.2"
        for name, data in (RAW, raw), (LABELS, labels[inner]):
            dataset = file.create_dataset(name, data=data, compression="gzip")
            dataset.attrs["resolution"] = np.array(RESOLUTION, float)
        dataset.attrs["offset"] = np.array(offset, float)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=SAMPLES[0].parent, help="folder")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--size", type=int, nargs=3, default=(56, 312, 312), help="voxels of raw")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for number, default in enumerate(SAMPLES):
        rng = np.random.default_rng([options.seed, number])
        path = options.out / default.name
        write(path, *sample(rng, tuple(options.size)))
        print(path)


if __name__ == "__main__":
    main()
