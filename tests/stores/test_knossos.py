import numpy as np
import pytest

from voxflow.pipeline.geometry import Coordinate
from voxflow.stores import (
    DatasetNotFound,
    MissingChunk,
    ReadOnly,
    StoreNotFound,
    StoreUnusable,
    list_datasets,
    list_levels,
    open_dataset,
    read_geometry,
)
from voxflow.stores.cache import with_cache
from voxflow.testing.stores import random_region

SHAPE = (150, 200, 256)
CONF = """experiment name "cells_mag1";
boundary x 256;
boundary  y 200;
boundary z 150;
scale x 9.8;
scale y 9.8;
scale z 22.5;
magnification 1;
"""


def write_knossos(folder, data, mag=1):
    """Write data (z, y, x) as cubes of 128³, those at the end filled up with 0."""
    padded = np.zeros([-(-n // 128) * 128 for n in data.shape], np.uint8)
    padded[tuple(slice(0, n) for n in data.shape)] = data
    for z, y, x in np.ndindex(*(n // 128 for n in padded.shape)):
        cube = padded[tuple(slice(i * 128, i * 128 + 128) for i in (z, y, x))]
        where = folder / f"mag{mag}/x{x:04d}/y{y:04d}/z{z:04d}"
        where.mkdir(parents=True)
        (where / f"cells_mag{mag}_x{x:04d}_y{y:04d}_z{z:04d}.raw").write_bytes(cube.tobytes())


@pytest.fixture(scope="module")
def data():
    return np.random.default_rng(1).integers(0, 256, SHAPE, np.uint8)


@pytest.fixture
def folder(tmp_path, data):
    (tmp_path / "knossos.conf").write_text(CONF)
    write_knossos(tmp_path, data)
    write_knossos(tmp_path, data[::2, ::2, ::2], 2)
    return tmp_path


def test_reads_across_cubes(folder, data):
    for raw in (open_dataset(folder), open_dataset(folder / "knossos.conf", "mag1")):
        assert (raw.shape, raw.dtype, raw.read_grid) == (SHAPE, np.uint8, (128,) * 3)
        np.testing.assert_array_equal(raw.read(()), data)
        rng, cached = np.random.default_rng(2), with_cache(raw, 4 * 128**3)
        for _ in range(20):
            region = random_region(SHAPE, rng)
            np.testing.assert_array_equal(raw.read(region), data[region])
            np.testing.assert_array_equal(cached.read(region), data[region])
    with pytest.raises(ReadOnly):
        open_dataset(folder, mode="r+")


def test_voxel_size_and_magnifications(folder, data):
    found = read_geometry(open_dataset(folder))
    assert found.voxel_size == Coordinate(22.5, 9.8, 9.8)
    assert (found.offset, found.units) == (Coordinate(0, 0, 0), ("nm",) * 3)
    assert list_datasets(folder) == ["mag1", "mag2"]
    sizes = [level.voxel_size for level in list_levels(folder)]
    assert sizes == [Coordinate(22.5, 9.8, 9.8), Coordinate(45, 19.6, 19.6)]
    coarse = open_dataset(folder, level=1)
    np.testing.assert_array_equal(coarse.read(()), data[::2, ::2, ::2])
    with pytest.raises(DatasetNotFound, match="mag4.*which has: mag1, mag2"):
        open_dataset(folder, "mag4")


def test_a_magnification_with_a_file_of_its_own(folder):
    own = CONF.replace("mag1", "mag2").replace("scale z 22.5", "scale z 25")
    own = own.replace("256", "128").replace("200", "100").replace("150", "75")
    (folder / "mag2/knossos.conf").write_text(own)
    coarse = open_dataset(folder, "mag2")
    assert coarse.shape == (75, 100, 128)
    assert read_geometry(coarse).voxel_size == Coordinate(25, 9.8, 9.8)
    assert coarse.read((slice(0, 1),)).any()


def test_a_cube_that_is_missing(folder, data):
    (folder / "mag1/x0001/y0000/z0000/cells_mag1_x0001_y0000_z0000.raw").unlink()
    raw = open_dataset(folder)
    with pytest.raises(MissingChunk) as caught:
        raw.read(())
    for part in ("cube (0, 0, 1)", "cells_mag1_x0001", "[0:128, 0:128, 128:256]", "'fill'"):
        assert part in str(caught.value)
    np.testing.assert_array_equal(raw.read((slice(128, 150),)), data[128:])
    filled = open_dataset(folder, missing_chunks="fill").read(())
    expected = data.copy()
    expected[:128, :128, 128:] = 0
    np.testing.assert_array_equal(filled, expected)


def test_a_cube_that_is_cut_off(folder):
    cube = folder / "mag1/x0001/y0000/z0000/cells_mag1_x0001_y0000_z0000.raw"
    cube.write_bytes(cube.read_bytes()[:-5])
    with pytest.raises(StoreUnusable, match=f"{cube.name} has 2097147 bytes"):
        open_dataset(folder).read(())


def test_files_that_say_too_little(folder):
    (folder / "knossos.conf").write_text(CONF.replace("boundary z", "extent z"))
    with pytest.raises(StoreUnusable, match="does not say 'boundary z'"):
        open_dataset(folder)
    (folder / "knossos.conf").write_text(CONF.replace("experiment", "an"))
    with pytest.raises(StoreUnusable, match="experiment name"):
        open_dataset(folder)
    with pytest.raises(StoreNotFound, match="nowhere"):
        open_dataset(folder / "nowhere" / "knossos.conf")
