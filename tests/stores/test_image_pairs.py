"""Folders of images and their labels."""

import os
import pickle

import imageio.v3 as imageio
import numpy as np
import pytest
import tifffile

import voxflow as vf
from voxflow.stores import StoreNotFound, StoreUnusable, open_dataset, paired_images

RNG = np.random.default_rng(0)
RAW, LABELS = vf.ArrayKey("RAW"), vf.ArrayKey("LABELS")


def gray(*shape, dtype=np.uint8):
    return RNG.integers(0, np.iinfo(dtype).max, shape).astype(dtype)


def ids(*shape, dtype=np.uint16):
    return RNG.integers(0, 300, shape).astype(dtype)


def save(folder, part, name, data, **options):
    file = folder / part / name
    file.parent.mkdir(parents=True, exist_ok=True)
    if name.endswith("png"):
        imageio.imwrite(file, data)
    else:
        tifffile.imwrite(file, data, **{"photometric": "minisblack", **options})
    return file


def pair(folder, name, image, label, suffix="png"):
    save(folder, "images", f"{name}.{suffix}", image)
    save(folder, "labels", f"{name}.{suffix}", label)


def contents(named):
    return [open_dataset(*one).read() for one in named]


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_pairs_have_one_name_and_any_size(tmp_path, suffix):
    sizes = {"a10": (20, 31), "a9": (33, 12), "b": (1, 7)}
    data = {name: (gray(*size), ids(*size)) for name, size in sizes.items()}
    for name, (image, label) in data.items():
        save(tmp_path, "images", f"{name}.{suffix}", image)
        save(tmp_path, "labels", f"{name}.png", label)
    save(tmp_path, "labels", ".hidden.png", ids(3, 3))
    (tmp_path / "labels" / "notes.txt").write_text("no image")
    images, labels = paired_images(tmp_path)
    assert [os.path.basename(name) for _, name in labels] == ["a9.png", "a10.png", "b.png"]
    found = zip(contents(images), contents(labels), strict=True)
    for (image, label), name in zip(found, ["a9", "a10", "b"], strict=True):
        np.testing.assert_array_equal(image, data[name][0])
        np.testing.assert_array_equal(label, data[name][1])


def test_folders_are_joined_and_may_have_other_names(tmp_path):
    for folder in ("x", "y"):
        save(tmp_path / folder, "raw", "a.png", gray(4, 5))
        save(tmp_path / folder, "masks", "a.png", ids(4, 5))
    folders = (tmp_path / "x", str(tmp_path / "y"))
    images, labels = paired_images(*folders, images="raw", labels="masks")
    assert len(images) == len(labels) == 2
    assert images[1][1] == str(tmp_path / "y" / "raw" / "a.png")


def test_each_page_is_an_image(tmp_path):
    """A stack; pages written one by one; pages of different sizes."""
    image, label = gray(4, 20, 30), ids(4, 20, 30)
    save(tmp_path, "images", "a.tif", image, compression="zlib")
    save(tmp_path, "labels", "a.tif", label)
    sizes = [(5, 6), (7, 8)]
    pages = {"images": [gray(*size) for size in sizes], "labels": [ids(*size) for size in sizes]}
    for part, written in pages.items():
        with tifffile.TiffWriter(tmp_path / part / "b.tif") as file:
            for page in written:
                file.write(page)
    images, labels = paired_images(tmp_path)
    for found, wanted in zip(contents(images), [*image, *pages["images"]], strict=True):
        np.testing.assert_array_equal(found, wanted)
    for found, wanted in zip(contents(labels), [*label, *pages["labels"]], strict=True):
        np.testing.assert_array_equal(found, wanted)
    assert images[3][1].endswith("a.tif, page 3")
    assert images[5][1].endswith("b.tif, image 1")


@pytest.mark.parametrize(
    ("shape", "options", "axes"),
    [
        ((20, 30, 3), {"photometric": "rgb"}, (2, 0, 1)),
        ((4, 20, 30, 3), {"photometric": "rgb"}, (0, 3, 1, 2)),
        ((5, 2, 20, 30), {"imagej": True, "metadata": {"axes": "ZCYX"}}, (0, 1, 2, 3)),
        ((2, 20, 30), {"imagej": True, "metadata": {"axes": "CYX"}}, (0, 1, 2)),
    ],
)
def test_channels_come_first(tmp_path, shape, options, axes):
    image = gray(*shape)
    save(tmp_path, "images", "a.tif", image, **options)
    wanted = image.transpose(axes)
    wanted = wanted if wanted.ndim == 4 else wanted[None]
    save(tmp_path, "labels", "a.tif", ids(*([len(wanted)] if len(wanted) > 1 else []), 20, 30))
    images, _ = paired_images(tmp_path)
    np.testing.assert_array_equal(contents(images), wanted)
    plane = pickle.loads(pickle.dumps(images[-1][0]))
    cut = plane[slice(1, 2), slice(3, 9), slice(4, 20)]
    np.testing.assert_array_equal(cut, wanted[-1, 1:2, 3:9, 4:20])


@pytest.mark.parametrize("channels", [(), (3,)])
@pytest.mark.parametrize("cache", [None, "ram"])
def test_they_are_sources(tmp_path, channels, cache):
    image, label = gray(20, 30, *channels), ids(20, 30)
    pair(tmp_path, "a", image, label)
    options = {"cache": cache}
    (source,) = vf.paired_sources(*paired_images(tmp_path), RAW, LABELS, **options)
    roi = vf.Roi((2, 3), (8, 9))
    with vf.build(source) as built:
        batch = built.request_batch(vf.BatchRequest({RAW: roi, LABELS: roi}))
    image = np.moveaxis(image, -1, 0) if channels else image
    np.testing.assert_array_equal(batch[RAW].data, image[..., 2:10, 3:12])
    np.testing.assert_array_equal(batch[LABELS].data, label[2:10, 3:12])


def replace(part, data, name="b.png"):
    return lambda folder: save(folder, part, name, data)


def written(part, content, name="b.png"):
    return lambda folder: (folder / part / name).write_bytes(content)


def cut(folder):
    file = folder / "images" / "b.png"
    file.write_bytes(file.read_bytes()[:200])


def damaged(folder):
    """A TIFF file whose structure is whole, and whose compressed pixels are not."""
    (folder / "images" / "b.png").unlink()
    file = save(folder, "images", "b.tif", gray(20, 30), compression="zlib")
    with tifffile.TiffFile(file) as opened:
        place = opened.pages[0].dataoffsets[0]
    content = bytearray(file.read_bytes())
    content[place + 2 : place + 60] = bytes(58)
    file.write_bytes(content)


def emptied(folder):
    for name in ("a.png", "b.png"):
        save(folder, "labels", name, np.zeros((20, 30), np.uint8))


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda f: (f / "labels" / "b.png").unlink(), r"b\.png of images has no partner in labels"),
        (lambda f: (f / "images" / "b.png").unlink(), r"b\.png of labels has no partner in images"),
        (replace("labels", ids(20, 30), "b.tif"), r"b\.png and .*b\.tif have one name"),
        (replace("images", gray(20, 30, 3)), r"b\.png has 3 channels of uint8, but .*a\.png has 1"),
        (replace("images", gray(20, 30, dtype=np.uint16)), "1 channels of uint16, but .* uint8"),
        (replace("labels", gray(20, 30, 3)), r"b\.png has 3 channels: .*colors are no labels"),
        (replace("labels", ids(20, 31)), "has 20 x 31 pixels, and its image .* has 20 x 30 pixels"),
        (cut, r"b\.png cannot be decoded; it may be damaged"),
        (damaged, r"b\.tif"),
        (written("images", b""), r"b\.png is empty, of 0 bytes"),
        (written("images", POINTER), r"b\.png is a pointer of git-lfs .*: run git lfs pull"),
        (written("labels", POINTER), r"b\.png is a pointer of git-lfs .*: run git lfs pull"),
        (emptied, "no object in any of the labels"),
    ],
)
def test_what_is_wrong_is_told(tmp_path, spoil, text):
    for name in "ab":
        pair(tmp_path, name, gray(20, 30), ids(20, 30))
    assert len(paired_images(tmp_path)[0]) == 2
    spoil(tmp_path)
    with pytest.raises(StoreUnusable, match=text) as caught:
        paired_images(tmp_path)
    assert str(caught.value).count("\n- ") == 1


def test_labels_that_are_no_whole_numbers_and_other_pages(tmp_path):
    pair(tmp_path, "a", gray(3, 8, 9), ids(2, 8, 9), "tif")
    pair(tmp_path, "b", gray(8, 9), RNG.random((8, 9), np.float32), "tif")
    with pytest.raises(StoreUnusable, match="b.tif is of type float32: labels are whole") as caught:
        paired_images(tmp_path)
    assert "a.tif has 2 pages of 8 x 9 pixels, and its image" in str(caught.value)
    assert str(caught.value).count("\n- ") == 2


def test_one_image_without_an_object_beside_others_will_do(tmp_path):
    pair(tmp_path, "a", gray(8, 9), np.zeros((8, 9), np.uint8))
    pair(tmp_path, "b", gray(8, 9), ids(8, 9))
    assert len(paired_images(tmp_path)[0]) == 2


def test_folders_that_are_not_there(tmp_path):
    with pytest.raises(StoreNotFound, match="at least one"):
        paired_images()
    with pytest.raises(StoreNotFound, match="there is no folder .*images.*lie in two folders"):
        paired_images(tmp_path)
    (tmp_path / "images").mkdir()
    with pytest.raises(StoreNotFound, match="there are no images in .*images"):
        paired_images(tmp_path)


def test_more_mistakes_than_one_reads(tmp_path):
    for number in range(25):
        save(tmp_path, "images", f"{number}.png", gray(3, 3))
    save(tmp_path, "labels", "x.png", ids(3, 3))
    with pytest.raises(StoreUnusable, match=r"\.\.\. and 6 more"):
        paired_images(tmp_path)


DATA = os.path.join(os.environ.get("VOXFLOW_DATA", ""), "nuclei", "val")


@pytest.mark.skipif(not os.path.isdir(DATA), reason="the real data are not here")
def test_real_nuclei():
    images, labels = paired_images(DATA)
    assert len(images) == len(labels) == 10
    assert {plane.shape for plane, _ in images} == {plane.shape for plane, _ in labels}
    assert labels[0][0].dtype == np.uint16
