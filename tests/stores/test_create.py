import h5py
import numpy as np
import pytest
import zarr

from voxflow.pipeline.geometry import Coordinate
from voxflow.stores import (
    Geometry,
    MissingChunk,
    OutputMismatch,
    StoreError,
    create_dataset,
    open_dataset,
    read_geometry,
)

GEOMETRY = Geometry(Coordinate(40, 4, 4), Coordinate(0, 8, 8))


@pytest.fixture(params=["a.hdf", "a.zarr"])
def file(tmp_path, request):
    return tmp_path / "folder" / request.param


def make(file, **changes):
    options = {"shape": (4, 8, 8), "dtype": np.float32, "geometry": GEOMETRY} | changes
    return create_dataset(file, "volumes/pred", **options)


def test_the_same_again_is_opened(file):
    make(file).write((), np.ones((4, 8, 8), np.float32))
    again = make(file)
    assert again.mode == "r+"
    assert again.read().all()


def test_every_difference_is_listed(file):
    make(file).write((), np.ones((4, 8, 8), np.float32))
    wanted = Geometry(Coordinate(40, 4, 9.8), Coordinate(40, 8, 8))
    with pytest.raises(OutputMismatch) as caught:
        make(file, shape=(4, 8, 9), dtype=np.uint8, geometry=wanted)
    for part in (
        f"{file}:volumes/pred exists",
        "shape: is (4, 8, 8), wanted (4, 8, 9)",
        "dtype: is float32, wanted uint8",
        "voxel size: is (40, 4, 4), wanted (40, 4, 9.8)",
        "offset: is (0, 8, 8), wanted (40, 8, 8)",
        "exist='overwrite'",
    ):
        assert part in str(caught.value)
    assert open_dataset(file, "volumes/pred").read().all()


def test_no_stated_voxel_size_differs(file):
    make(file, geometry=None)
    with pytest.raises(OutputMismatch, match=r"voxel size: is not stated, wanted \(40, 4, 4\)"):
        make(file)


def test_exist_error_and_overwrite(file):
    make(file).write((), np.ones((4, 8, 8), np.float32))
    with pytest.raises(OutputMismatch, match="exists: write to another"):
        make(file, exist="error")
    new = make(file, exist="overwrite", dtype=np.uint8)
    assert new.dtype == np.uint8
    with pytest.raises(MissingChunk):
        new.read()
    assert not make(file, dtype=np.uint8, missing_chunks="fill").read().any()
    with pytest.raises(ValueError, match="exist is one of"):
        make(file, exist="w")


def test_overwrite_leaves_its_neighbours(file):
    make(file)
    create_dataset(file, "volumes/prediction", (2,), "u1").write((), np.ones(2, "u1"))
    make(file, exist="overwrite")
    assert open_dataset(file, "volumes/prediction").read().all()


def test_a_group_is_not_replaced(file):
    make(file)
    with pytest.raises(OutputMismatch, match="'volumes' is a group"):
        create_dataset(file, "volumes", (2,), "u1", exist="overwrite")


def test_geometry_and_attributes_are_there_from_the_start(file):
    make(file, attrs={"note": "x", "value_range": (np.float32(0), np.float32(1))})
    dataset = open_dataset(file, "volumes/pred")
    found = read_geometry(dataset)
    assert (found.voxel_size, found.offset) == (GEOMETRY.voxel_size, GEOMETRY.offset)
    assert dataset.attrs["note"] == "x"
    assert list(dataset.attrs["value_range"]) == [0, 1]


def test_what_cannot_be_written_exactly_makes_nothing(file):
    with pytest.raises(StoreError, match="cannot be written exactly"):
        make(file, geometry=Geometry(Coordinate(1, 1, 1) / 3, Coordinate(0, 0, 0)))
    assert not file.exists()


def test_blocks_never_share_a_chunk(file):
    block = (2, 8, 300, 300)
    dataset = create_dataset(file, "x", (2, 64, 1000, 1000), "f4", block=block)
    assert all(size % chunk == 0 for size, chunk in zip(block, dataset.chunks, strict=True))
    assert np.prod(dataset.chunks) * 4 <= 2**20


def test_refuses_sizes_that_do_not_fit(tmp_path):
    with pytest.raises(ValueError, match=r"chunks .* do not fit shape"):
        create_dataset(tmp_path / "a.zarr", "x", (4, 4), "u1", chunks=(2,))
    with pytest.raises(ValueError, match=r"block .* do not fit shape"):
        create_dataset(tmp_path / "a.zarr", "x", (4, 4), "u1", block=(0, 2))
    with pytest.raises(ValueError, match="not multiples of the chunks"):
        create_dataset(tmp_path / "a.zarr", "x", (4, 4), "u1", chunks=(2, 2), shards=(3, 4))
    with pytest.raises(ValueError, match="gzip level"):
        create_dataset(tmp_path / "a.zarr", "x", (4, 4), "u1", compression=10)
    with pytest.raises(ValueError, match="needs a path"):
        create_dataset(tmp_path / "a.hdf", "", (4, 4), "u1")
    with pytest.raises(TypeError, match="in a file or store, not in ndarray"):
        create_dataset(np.zeros(4), "x", (4, 4), "u1")


def test_format_of_a_new_file(tmp_path):
    create_dataset(tmp_path / "output.hdf", "x", (4,), "u1", format="zarr")
    assert zarr.open(tmp_path / "output.hdf", mode="r")["x"].metadata.zarr_format == 2
    assert open_dataset(tmp_path / "output.hdf", "x").shape == (4,)
    create_dataset(tmp_path / "output", "x", (4,), "u1")
    assert h5py.is_hdf5(tmp_path / "output")
    create_dataset(tmp_path / "b.zarr", "x", (4,), "u1", shards=(4,), chunks=(2,))
    assert zarr.open(tmp_path / "b.zarr", mode="r")["x"].metadata.zarr_format == 3


def test_fill_value(file):
    dataset = make(file, fill_value=0.5, missing_chunks="fill")
    assert (dataset.read() == 0.5).all()
