from collections import Counter

import h5py
import numpy as np
import pytest

import voxflow as gp

RAW, LABELS = gp.ArrayKey("RAW"), gp.ArrayKey("LABELS")


def files(folder, sizes):
    """Images of which each voxel names its file and its place, and the labels of their middles."""
    images, labels = [], []
    for number, (image, label) in enumerate(sizes):
        code = number * 10_000 + np.arange(np.prod(image)).reshape(image)
        cut = tuple(slice((n - m) // 2, (n + m) // 2) for n, m in zip(image, label, strict=True))
        for kind, data in (("raw", code.astype(np.float64)), ("lab", code[cut])):
            with h5py.File(folder / f"{kind}{number}.h5", "w") as file:
                file.create_dataset(kind, data=data, compression="gzip", chunks=True)
        images.append((folder / f"raw{number}.h5", "raw"))
        labels.append((folder / f"lab{number}.h5", "lab"))
    return images, labels


def pipeline(images, labels, **options):
    pairs = gp.paired_sources(images, labels, RAW, LABELS, default_voxel_size="ones", **options)
    assert len(pairs) == len(images)
    return tuple(pair + gp.RandomLocation() for pair in pairs) + gp.RandomProvider(weights="size")


@pytest.mark.parametrize("dims", [2, 3])
def test_labels_lie_on_their_image_and_large_ones_come_more_often(tmp_path, dims):
    sizes = [((9,) * dims, (5,) * dims), ((12,) * dims, (10,) * dims)]
    request = gp.BatchRequest()
    request.add(RAW, (5,) * dims)
    request.add(LABELS, (3,) * dims)
    seen = Counter()
    with gp.build(pipeline(*files(tmp_path, sizes), align="center"), seed=1) as built:
        for _ in range(400):
            batch = built.request_batch(request)
            middle = batch[RAW].data[(slice(1, -1),) * dims]
            np.testing.assert_array_equal(batch[LABELS].data, middle)
            seen[int(batch[LABELS].data.flat[0]) // 10_000] += 1
    share = 1 / (1 + 2**dims)
    assert abs(seen[0] - 400 * share) < 4 * np.sqrt(400 * share * (1 - share))


def test_without_alignment_files_say_where_they_lie(tmp_path):
    images, labels = files(tmp_path, [((9, 9), (5, 5))])
    with gp.build(pipeline(images, labels)) as built:
        assert built.spec[LABELS].roi.unbounded
    (pair,) = gp.paired_sources(images, labels, RAW, LABELS, default_voxel_size="ones")
    with gp.build(pair) as built:
        assert built.spec[LABELS].roi == gp.Roi((0, 0), (5, 5))


@pytest.mark.parametrize(("count", "text"), [(1, "2 images and 1 labels"), (0, "2 images and 0 l")])
def test_refuses_what_is_no_pair(tmp_path, count, text):
    images, labels = files(tmp_path, [((4,), (4,)), ((4,), (4,))])
    with pytest.raises(ValueError, match=text):
        gp.paired_sources(images, labels[:count], RAW, LABELS)
    with pytest.raises(ValueError, match="0 images and 0 labels"):
        gp.paired_sources([], [], RAW, LABELS)
    with pytest.raises(ValueError, match="'center', got 'middle'"):
        gp.paired_sources(images, labels, RAW, LABELS, align="middle")
