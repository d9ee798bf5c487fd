import numpy as np
import pytest

from voxflow.pipeline.geometry import Coordinate
from voxflow.stores import (
    DatasetNotFound,
    Geometry,
    MetadataMissing,
    MissingChunk,
    ReadOnly,
    StoreError,
    StoreNotFound,
    StoreUnusable,
    create_dataset,
    list_datasets,
    open_dataset,
    read_geometry,
    store_format,
)
from voxflow.stores.images import with_gaps
from voxflow.testing.stores import StoreTests, ramp

pytest.importorskip("tifffile")
images = pytest.importorskip("imageio.v3")

DATA = ramp((12, 9, 11), "u2")


class TestImages(StoreTests):
    has_attrs = False
    lacks = ("bool",)
    reads_missing = False  # all sections are made at once
    holds_nothing = False
    dimensions = 3
    chunks = (1, 20, 33)

    def make(self, folder, shape, dtype, chunks):
        return create_dataset(f"images://{folder}/stack", "", shape, dtype)

    def reopen(self, dataset, mode="r", missing_chunks="error"):
        return open_dataset(dataset.uri, mode=mode)


@pytest.fixture
def folder(tmp_path):
    for number, section in enumerate(DATA):
        images.imwrite(tmp_path / f"s{number}.png", section)
    (tmp_path / "notes.txt").write_text("not a section")
    (tmp_path / ".hidden.png").write_text("nor this")
    return tmp_path


def test_sections_are_in_natural_order(folder):
    raw = open_dataset(folder)
    assert (raw.shape, raw.dtype, raw.chunks) == (DATA.shape, DATA.dtype, (1, 9, 11))
    np.testing.assert_array_equal(raw.read(()), DATA)
    region = (slice(1, 11), slice(2, 9), slice(3, 4))
    np.testing.assert_array_equal(raw.read(region), DATA[region])
    assert raw.attrs["axis_names"] == ["z", "y", "x"]
    with pytest.raises(MetadataMissing):
        read_geometry(raw)
    with pytest.raises(ReadOnly, match="only TIFF"):
        open_dataset(folder, mode="r+").write((), DATA)


def test_patterns_and_single_images(folder):
    np.testing.assert_array_equal(open_dataset(f"{folder}/s1?.png").read(()), DATA[10:])
    for single in (open_dataset(folder, "s3.png"), open_dataset(folder / "s3.png")):
        np.testing.assert_array_equal(single.read((slice(2, 4),)), DATA[3, 2:4])
    assert list_datasets(folder) == sorted(["", *(f"s{i}.png" for i in range(12))])
    with pytest.raises(StoreNotFound, match="no images"):
        open_dataset(f"{folder}/t*.png")
    with pytest.raises(DatasetNotFound, match="which has: s1.png"):
        open_dataset(folder, "s13.png")


def test_brackets_are_no_pattern(tmp_path):
    for name, kind in (("run[1].hdf", "hdf5"), ("a[1].tif", "tiff"), ("a?.tif", "images")):
        assert store_format(tmp_path / name) == kind


def test_colours_are_channels(tmp_path):
    data = ramp((2, 4, 5, 3), "u1")
    for number, section in enumerate(data):
        images.imwrite(tmp_path / f"{number}.png", section)
    raw = open_dataset(tmp_path)
    np.testing.assert_array_equal(raw.read(()), data)
    assert read_geometry(raw, voxel_size=(1, 1, 1)).spatial == (0, 1, 2)


@pytest.mark.parametrize("other", [DATA[0, 1:], DATA[0].astype("u1")])
def test_images_of_another_kind_are_named(folder, other):
    images.imwrite(folder / "s7.png", other)
    with pytest.raises(StoreUnusable, match=r"s7.png is of shape .*s0.png is of shape \(9, 11\)"):
        open_dataset(folder)


def test_a_section_that_is_missing(folder):
    raw = open_dataset(folder)
    (folder / "s7.png").unlink()
    with pytest.raises(MissingChunk, match=r"section \(7, 0, 0\).*s7.png.*'fill'"):
        raw.read(())
    with pytest.raises(MissingChunk, match="1 sections are missing.*behind .*s6.png"):
        open_dataset(folder)
    filled = open_dataset(folder, missing_chunks="fill").read(())
    expected = DATA.copy()
    expected[7] = 0
    np.testing.assert_array_equal(filled, expected)


def test_names_without_a_sequence_have_no_gaps():
    for names in (["a.png", "b.png"], ["a1.png", "b3.png"], ["1.png", "40.png", "900.png"]):
        assert with_gaps(names) == names


def test_an_image_that_is_cut_off(folder):
    raw = open_dataset(folder)
    whole = (folder / "s7.png").read_bytes()
    (folder / "s7.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StoreUnusable, match="s7.png cannot be decoded"):
        raw.read(())
    assert raw.read((slice(0, 7),)).shape == (7, 9, 11)
    (folder / "s7.png").write_bytes(b"")
    with pytest.raises(StoreUnusable, match="s7.png"):
        open_dataset(folder)


def test_written_stacks_know_where_they_lie(tmp_path):
    where = Geometry((50, 4.6, 9.8), (-25, 2.3, 0.1), ("nm",) * 3, ("z", "y", "x"))
    raw = create_dataset(
        f"images://{tmp_path}", "raw", DATA.shape, "u2", geometry=where, attrs={"note": 1}
    )
    raw.write((), DATA)
    again = open_dataset(tmp_path / "raw")
    found = read_geometry(again)
    assert (found.voxel_size, found.offset) == (where.voxel_size, where.offset)
    assert again.attrs["note"] == 1
    section = open_dataset(tmp_path / "raw" / "00003.tif")
    np.testing.assert_array_equal(section.read(()), DATA[3])
    assert read_geometry(section).voxel_size == Coordinate(4.6, 9.8)
    assert list_datasets(f"images://{tmp_path}") == ["raw"]
    with pytest.raises(StoreError, match="three spatial axes"):
        create_dataset(f"images://{tmp_path}", "b", (4, 4), "u1")
