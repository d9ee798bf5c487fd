import os

import numpy as np
import pytest

from voxflow.pipeline.geometry import Coordinate
from voxflow.stores import (
    DatasetNotFound,
    Geometry,
    OutputMismatch,
    ReadOnly,
    StoreError,
    StoreNotFound,
    StoreUnusable,
    create_dataset,
    list_datasets,
    list_levels,
    open_dataset,
    read_geometry,
)
from voxflow.stores.cache import with_cache
from voxflow.testing.stores import StoreTests, ramp, random_region

tifffile = pytest.importorskip("tifffile")

WHERE = Geometry((50, 4.6, 9.8), (-25, 2.3, 0.1), ("nm",) * 3, ("z", "y", "x"))
DATA = ramp((7, 40, 33), "u2")


class TestTiff(StoreTests):
    has_attrs = False
    lacks = ("bool",)
    holds_nothing = False
    dimensions = 3

    def make(self, folder, shape, dtype, chunks):
        return create_dataset(folder / "a.tif", "", shape, dtype)

    def reopen(self, dataset, mode="r", missing_chunks="error"):
        return open_dataset(dataset.uri.rstrip(":"), mode=mode)


@pytest.mark.parametrize("shape", [(5, 6), (7, 8, 9), (3, 5, 6, 7)])
@pytest.mark.parametrize("dtype", ["u1", "u8", "f4"])
def test_geometry_is_kept_exactly(tmp_path, shape, dtype):
    dims = min(3, len(shape))
    where = Geometry(WHERE.voxel_size[:dims], WHERE.offset[:dims], ("nm",) * dims)
    raw = create_dataset(tmp_path / "a.tif", "", shape, dtype, geometry=where, attrs={"note": "µ"})
    raw.write((), ramp(shape, dtype))
    again = open_dataset(tmp_path / "a.tif")
    found = read_geometry(again)
    assert (found.voxel_size, found.offset) == (where.voxel_size, where.offset)
    assert found.units == where.units
    assert again.attrs["note"] == "µ"
    np.testing.assert_array_equal(again.read(()), ramp(shape, dtype))
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tif"), ramp(shape, dtype))


@pytest.mark.parametrize("options", [{"tile": (16, 16)}, {"rowsperstrip": 7}, {}])
def test_compressed_pages_are_read_in_part(tmp_path, options):
    tifffile.imwrite(tmp_path / "a.tif", DATA, compression="zlib", **options)
    raw = open_dataset(tmp_path / "a.tif")
    assert raw.read_grid == (1, *options.get("tile", (options.get("rowsperstrip", 40), 33)))
    rng, cached = np.random.default_rng(1), with_cache(raw, None)
    assert cached is not raw
    for _ in range(20):
        region = random_region(DATA.shape, rng)
        np.testing.assert_array_equal(raw.read(region), DATA[region])
        np.testing.assert_array_equal(cached.read(region), DATA[region])
    with pytest.raises(StoreUnusable, match="write to a new file"):
        open_dataset(tmp_path / "a.tif", mode="r+")


@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_uncompressed_pages_are_mapped(tmp_path, byteorder):
    tifffile.imwrite(tmp_path / "a.tif", DATA, byteorder=byteorder)
    raw = open_dataset(tmp_path / "a.tif")
    seen = raw.look((slice(1, 3),))
    assert (seen is not None) == (np.dtype("u2").newbyteorder(byteorder).isnative)
    np.testing.assert_array_equal(raw.read((slice(1, 3),)), DATA[1:3])


def test_imagej(tmp_path):
    metadata = {"axes": "ZYX", "spacing": 50, "unit": "nm"}
    tifffile.imwrite(
        tmp_path / "a.tif", DATA, imagej=True, resolution=(5 / 49, 5 / 23), metadata=metadata
    )
    found = read_geometry(open_dataset(tmp_path / "a.tif"))
    assert found.voxel_size == Coordinate(50, 4.6, 9.8)
    assert found.units == ("nm",) * 3


def test_ome(tmp_path):
    metadata = {"axes": "CZYX", "PhysicalSizeZ": 0.05, "PhysicalSizeZUnit": "µm"}
    for axis, size in (("Y", 4.6), ("X", 9.8)):
        metadata |= {f"PhysicalSize{axis}": size, f"PhysicalSize{axis}Unit": "nm"}
    data = np.stack([DATA, DATA + 1])
    tifffile.imwrite(tmp_path / "a.ome.tif", data, metadata=metadata)
    raw = open_dataset(tmp_path / "a.ome.tif")
    found = read_geometry(raw)
    assert found.voxel_size == Coordinate(50, 4.6, 9.8)  # of one unit
    assert found.units == ("nm",) * 3
    assert found.spatial == (1, 2, 3)
    np.testing.assert_array_equal(raw.read((slice(1, 2),)), data[1:])


def test_pixels_per_centimetre(tmp_path):
    tifffile.imwrite(
        tmp_path / "a.tif", DATA[0], resolution=(2000, 2500), resolutionunit="CENTIMETER"
    )
    found = read_geometry(open_dataset(tmp_path / "a.tif"))
    assert found.voxel_size == Coordinate(4, 5)
    assert found.units == ("um",) * 2


def _without_imagecodecs(monkeypatch, name, key):
    """As if imagecodecs were not installed, where it is."""
    table = type("Lacking", (dict,), {"__missing__": lambda self, key: _lacks(key)})
    monkeypatch.setattr(type(tifffile.TIFF), name, table({key: lambda data, **_: data}))


def _lacks(key):
    raise KeyError(f"{key} requires the 'imagecodecs' package")


@pytest.mark.parametrize("compression", ["tiff_lzw", "jpeg"])
def test_codecs_that_are_not_there(tmp_path, monkeypatch, compression):
    image = pytest.importorskip("PIL.Image")
    image.fromarray(DATA[0].astype("u1")).save(tmp_path / "a.tif", compression=compression)
    _without_imagecodecs(monkeypatch, "DECOMPRESSORS", 1)
    with pytest.raises(ImportError, match=r'a.tif.*pip install "voxflow\[codecs\]"'):
        open_dataset(tmp_path / "a.tif")


@pytest.mark.parametrize("compression", ["tiff_adobe_deflate", "packbits"])
def test_codecs_that_are_always_there(tmp_path, compression):
    image = pytest.importorskip("PIL.Image")
    data = DATA[0].astype("u1")
    image.fromarray(data).save(tmp_path / "a.tif", compression=compression)
    np.testing.assert_array_equal(open_dataset(tmp_path / "a.tif").read(()), data)


def test_files_may_be_larger_than_four_gib(tmp_path):
    create_dataset(tmp_path / "a.tif", "", (3, 4), "u1")
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.is_bigtiff


@pytest.mark.parametrize(
    ("said", "unit"),
    [("um", "um"), ("micron", "um"), ("\\u00B5m", "um"), ("nm", "nm"), ("pixel", None)],
)
def test_units_are_told_and_sizes_stay_in_them(tmp_path, said, unit):
    metadata = {"axes": "ZYX", "spacing": 0.05, "unit": said}
    tifffile.imwrite(
        tmp_path / "a.tif", DATA, imagej=True, resolution=(250, 125), metadata=metadata
    )
    found = read_geometry(open_dataset(tmp_path / "a.tif"))
    assert found.voxel_size == Coordinate(0.05, 0.008, 0.004)
    assert found.units == (unit and (unit,) * 3)


def test_levels_of_a_pyramid(tmp_path):
    metadata = {"axes": "YX", "PhysicalSizeX": 4, "PhysicalSizeY": 4}
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as file:
        file.write(DATA[0, :32, :32], subifds=1, tile=(16, 16), metadata=metadata)
        file.write(DATA[0, :32:2, :32:2], subfiletype=1, tile=(16, 16))
    assert [level.voxel_size for level in list_levels(tmp_path / "a.ome.tif")] == [(4, 4), (8, 8)]
    coarse = open_dataset(tmp_path / "a.ome.tif", voxel_size=(8, 8))
    np.testing.assert_array_equal(coarse.read(()), DATA[0, :32:2, :32:2])
    assert list_levels(create_dataset(tmp_path / "b.tif", "", (5, 6), "u1").uri[:-1]) == []


def test_several_series(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(DATA)
        file.write(DATA[:2, :9])
    assert list_datasets(tmp_path / "a.tif") == ["0", "1"]
    np.testing.assert_array_equal(open_dataset(tmp_path / "a.tif", "1").read(()), DATA[:2, :9])
    for path in ("", "2", "raw"):
        with pytest.raises(DatasetNotFound, match="which has: 0, 1|which has: 1, 0"):
            open_dataset(tmp_path / "a.tif", path)


@pytest.mark.parametrize("data", [DATA, DATA[0]])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_file_that_is_cut_off(tmp_path, compression, data):
    tifffile.imwrite(tmp_path / "a.tif", data, compression=compression, rowsperstrip=8)
    whole = (tmp_path / "a.tif").read_bytes()
    for part in (0.3, 0.7, 0.9):
        (tmp_path / "b.tif").write_bytes(whole[: int(len(whole) * part)])
        with pytest.raises(StoreUnusable, match="b.tif.*(cut off|damaged)"):
            open_dataset(tmp_path / "b.tif").read(())


def test_frames_that_ome_promises(tmp_path):
    tifffile.imwrite(tmp_path / "a.ome.tif", DATA, metadata={"axes": "ZYX"})
    with tifffile.TiffFile(tmp_path / "a.ome.tif") as file:
        text = file.ome_metadata
    fewer = text.replace('SizeZ="7"', 'SizeZ="9"').replace('PlaneCount="7"', 'PlaneCount="9"')
    tifffile.imwrite(tmp_path / "b.ome.tif", DATA, description=fewer, metadata=None)
    with pytest.raises(StoreUnusable, match="b.ome.tif is cut off or damaged"):
        open_dataset(tmp_path / "b.ome.tif").read(())


def test_what_is_not_there_or_not_tiff(tmp_path):
    with pytest.raises(StoreNotFound, match="b.tif"):
        open_dataset(tmp_path / "b.tif")
    (tmp_path / "c.tif").write_bytes(b"nothing of this kind")
    with pytest.raises(StoreUnusable, match="c.tif is not a TIFF file"):
        open_dataset(tmp_path / "c.tif")


def test_what_it_cannot_hold(tmp_path):
    for shape, dtype in (((4, 4), "bool"), ((4,), "u1"), ((4, 4), "c8")):
        with pytest.raises(StoreError, match="TIFF holds numbers"):
            create_dataset(tmp_path / "a.tif", "", shape, dtype)
    with pytest.raises(StoreError, match="without compression"):
        create_dataset(tmp_path / "a.tif", "", (4, 4), "u1", compression="gzip")
    with pytest.raises(StoreError, match="with the name ''"):
        create_dataset(tmp_path / "a.tif", "raw", (4, 4), "u1")
    assert os.listdir(tmp_path) == []


def test_another_output_is_not_touched(tmp_path):
    create_dataset(tmp_path / "a.tif", "", (4, 4), "u1", fill_value=3)
    with pytest.raises(OutputMismatch, match="dtype: is uint8, wanted uint16"):
        create_dataset(tmp_path / "a.tif", "", (4, 4), "u2")
    assert open_dataset(tmp_path / "a.tif").read(()).min() == 3
    create_dataset(tmp_path / "a.tif", "", (4, 4), "u2", exist="overwrite")
    assert open_dataset(tmp_path / "a.tif").dtype == "u2"


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_file_that_may_not_be_written(tmp_path):
    create_dataset(tmp_path / "a.tif", "", (4, 4), "u1")
    os.chmod(tmp_path / "a.tif", 0o444)
    with pytest.raises(ReadOnly, match="permissions"):
        open_dataset(tmp_path / "a.tif", mode="r+")
