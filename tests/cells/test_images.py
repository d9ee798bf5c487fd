"""Images have the channels that a network takes, whatever their file has."""

import imageio.v3 as imageio
import numpy as np
import pytest
import tifffile

from tests.cells.drawn import folder, tiffs
from voxflow.cells.images import CellImage, cell_images, cell_pairs
from voxflow.stores import ImagePlane, StoreUnusable, paired_images

RNG = np.random.default_rng(0)
ALL = (slice(None),) * 3


@pytest.mark.parametrize(("has", "colors"), [(None, 1), (2, 1), (3, 3), (4, 3)])
def test_one_channel_is_the_largest_without_opacity(tmp_path, has, colors):
    pixels = RNG.integers(0, 200, (5, 7) if has is None else (5, 7, has)).astype(np.uint8)
    if has in (2, 4):
        pixels[..., -1] = 255
    imageio.imwrite(tmp_path / "a.png", pixels)
    image = CellImage(ImagePlane(str(tmp_path / "a.png")))
    expected = pixels if has is None else pixels[..., :colors].max(-1)
    np.testing.assert_array_equal(image[ALL], expected[None])
    assert image.shape == (1, 5, 7)


@pytest.mark.parametrize(
    ("has", "how", "colors"),
    [
        (4, {"photometric": "rgb"}, 3),
        (4, {"photometric": "rgb", "extrasamples": ["assocalpha"]}, 3),
        (4, {"photometric": "rgb", "extrasamples": ["unspecified"]}, 4),
        (2, {"photometric": "minisblack", "extrasamples": ["unassalpha"]}, 1),
        (4, {"photometric": "minisblack", "planarconfig": "contig"}, 4),
        (3, {"photometric": "rgb"}, 3),
    ],
)
def test_opacity_of_tiff_is_what_the_file_says(tmp_path, has, how, colors):
    pixels = RNG.integers(0, 200, (5, 7, has)).astype(np.uint8)
    if colors < has:
        pixels[..., -1] = 255
    tifffile.imwrite(tmp_path / "a.tif", pixels, **how)
    plane = ImagePlane(str(tmp_path / "a.tif"))
    assert plane.opacity == (colors < has)
    np.testing.assert_array_equal(CellImage(plane)[ALL], pixels[None, ..., :colors].max(-1))


def test_channels_of_the_image(tmp_path):
    pixels = RNG.integers(0, 200, (5, 7, 3)).astype(np.uint8)
    imageio.imwrite(tmp_path / "a.png", pixels)
    image = CellImage(ImagePlane(str(tmp_path / "a.png")), 3)
    np.testing.assert_array_equal(image[ALL], np.moveaxis(pixels, -1, 0))


@pytest.mark.parametrize("channels", [3, 5])
def test_channels_are_the_pages_around(tmp_path, channels):
    stack = RNG.integers(0, 200, (4, 5, 7)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="minisblack")
    half = channels // 2
    padded = np.pad(stack, ((half, half), (0, 0), (0, 0)), mode="edge")
    for page in range(4):
        image = CellImage(ImagePlane(str(tmp_path / "a.tif"), page=page), channels)
        np.testing.assert_array_equal(image[ALL], padded[page : page + channels])


def test_what_has_not_so_many_channels_is_told_once_for_all(tmp_path):
    for name in "ab":
        imageio.imwrite(tmp_path / f"{name}.png", np.zeros((4, 4, 3), np.uint8))
    planes = [ImagePlane(str(tmp_path / f"{name}.png")) for name in "ab"]
    with pytest.raises(StoreUnusable, match=r"a.png has 3 channels .*\n.*b.png has 3 channels"):
        cell_images(planes, 2)


def test_labels_stay_as_they_are(tmp_path):
    for part, dtype in (("images", np.uint8), ("labels", np.uint16)):
        (tmp_path / part).mkdir()
        imageio.imwrite(tmp_path / part / "a.png", np.full((4, 6), 7, dtype))
    ((image, labels),) = cell_pairs([str(tmp_path)], 1, size=12)
    assert labels.shape == (4, 6)
    assert labels[ALL[:2]].dtype == np.uint16
    assert [image.attrs["resolution"], labels.attrs["resolution"]] == [[3, 2]] * 2


def test_folders_are_joined_and_pages_are_images(tmp_path):
    where = [tiffs(tmp_path / "a"), tiffs(tmp_path / "b")]
    pairs = cell_pairs(where, 1)
    assert len(pairs) == 2 * 7
    for image, labels in pairs:
        assert image.shape == (1, *labels.shape) == (1, 200, 200)
    found = np.unique([labels.pixels for _, labels in pairs])
    assert found.tolist() == [0, 1, 2, 3, 4]


def test_what_is_held_is_not_read_again(tmp_path, monkeypatch):
    """Until a file is another one."""
    where, read = folder(tmp_path, 2), []
    monkeypatch.setattr(
        "voxflow.cells.images.paired_images", lambda *f: read.append(f) or paired_images(*f)
    )
    held = cell_pairs([where], 1)
    assert cell_pairs([where], 1) is held
    assert len(read) == 1
    assert cell_pairs([where], 1, 64)[0][0].attrs != held[0][0].attrs
    (tmp_path / "labels" / "cell_1.png").unlink()
    with pytest.raises(StoreUnusable, match="has no partner"):
        cell_pairs([where], 1)
    assert len(read) == 3
