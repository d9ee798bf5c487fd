"""What is read of files for pictures."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxflow.inspect import read
from voxflow.inspect.find import Container
from voxflow.inspect.read import coarser, read_layers
from voxflow.stores import Geometry, create_dataset


def write(path, name, data, geometry=None, **options):
    create_dataset(path, name, data.shape, data.dtype, geometry=geometry, **options).write((), data)
    return Container(str(path))


def test_images_come_first_and_what_is_no_picture_is_left_out(tmp_path):
    path = tmp_path / "a.hdf"
    write(path, "labels", np.zeros((4, 4), np.uint64))
    write(path, "curve", np.zeros(4))
    write(path, "pred", np.zeros((4, 4), np.float32))
    write(path, "raw", np.zeros((2, 2), np.uint8))
    write(path, "affs", np.zeros((2, 4, 4), np.float32))
    container = write(path, "nothing", np.zeros((0, 4), np.uint8))
    layers, notes = read_layers(container)
    assert [layer.name for layer in layers] == ["raw", "pred", "labels", "affs"]
    assert notes == []


@settings(max_examples=25)
@given(
    st.lists(st.integers(1, 9), min_size=2, max_size=3),
    st.lists(st.sampled_from([1, 2, 4]), min_size=3, max_size=3),
    st.booleans(),
)
def test_coarser_is_the_mean_or_a_voxel_of_each_cell(shape, factors, average):
    factors = factors[: len(shape)]
    data = np.random.default_rng(0).integers(0, 1000, shape)
    found = coarser(data, factors, average)
    assert found.shape == tuple(-(-n // f) for n, f in zip(shape, factors, strict=True))
    for index in np.ndindex(found.shape):
        cell = data[tuple(slice(i * f, (i + 1) * f) for i, f in zip(index, factors, strict=True))]
        if average:  # rounded once for each axis
            assert abs(found[index] - cell.mean()) <= len(shape) / 2
        else:
            assert found[index] in cell


@pytest.mark.parametrize("name", ["raw", "labels"])
def test_large_arrays_are_made_coarser_in_slabs(tmp_path, monkeypatch, name):
    monkeypatch.setattr(read, "_HELD_VOXELS", 300)
    monkeypatch.setattr(read, "_SLAB_BYTES", 2000)
    data = np.arange(5 * 21 * 22, dtype=np.uint16).reshape(5, 21, 22)
    where = Geometry((40, 4, 4), (80, 8, 0))
    container = write(tmp_path / "a.zarr", name, data, where)
    ((layer,), _) = read_layers(container)
    assert layer.factors == (1, 4, 4)
    assert layer.voxel_size == (40.0, 16.0, 16.0)
    assert layer.offset == (80.0, 8.0, 0.0)
    np.testing.assert_array_equal(layer.data, coarser(data, (1, 4, 4), name == "raw"))


def test_of_what_is_too_large_the_middle_is_read(tmp_path):
    data = np.arange(8 * 64 * 64, dtype=np.uint16).reshape(8, 64, 64)
    container = write(tmp_path / "a.zarr", "raw", data, Geometry((1, 1, 1), (0, 10, 0)))
    write(tmp_path / "a.zarr", "labels", data, Geometry((1, 1, 1), (0, 10, 0)))
    layers, notes = read_layers(container, max_voxels=1 << 14)
    for layer in layers:
        assert layer.data.shape == (8, 32, 32)
        assert layer.offset == (0.0, 26.0, 16.0)
        np.testing.assert_array_equal(layer.data, data[:, 16:48, 16:48])
    assert notes[0].startswith(
        "The arrays are large: only the middle of them was read, [0:8, 26:58"
    )


def test_of_a_pyramid_one_level_is_read(tmp_path):
    from voxflow.stores import open_attrs
    from voxflow.stores.ngff import make_multiscales

    path = tmp_path / "a.zarr"
    for level, size in enumerate((32, 16, 8)):
        write(path, f"s{level}", np.full((size, size), level, np.uint8))
    scales = [(f"s{i}", [2**i] * 2, [0, 0]) for i in range(3)]
    axes = [("y", "space", "nm"), ("x", "space", "nm")]
    open_attrs(path, mode="r+").update(make_multiscales(scales, axes, "0.5"))
    for most, level in ((1 << 20, 0), (300, 1)):
        layers, notes = read_layers(Container(str(path)), most)
        assert [layer.name for layer in layers] == [f"s{level}"]
        assert layers[0].voxel_size == (2.0**level,) * 2
        assert layers[0].unit == "nm"
        assert len(notes) == (level > 0)


def test_what_cannot_be_read_is_a_note(tmp_path):
    path = tmp_path / "a.zarr"
    create_dataset(path, "sparse", (8, 8), "uint8", chunks=(4, 4))
    write(path, "raw", np.ones((8, 8), np.uint8), compression=None)
    for chunk in (path / "raw").rglob("0*"):
        if chunk.is_file():
            chunk.write_bytes(b"")
    layers, notes = read_layers(Container(str(path)))
    assert [layer.name for layer in layers] == ["sparse"]
    assert notes[0].startswith("raw cannot be read: ")
    assert notes[1] == "sparse: chunks that are not stored are shown as the fill value."


def test_channels_lead_wherever_they_are(tmp_path):
    data = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
    where = Geometry((2, 2), (0, 0), axes=("y", "x", "c^"))
    ((layer,), _) = read_layers(write(tmp_path / "a.zarr", "raw", data, where))
    np.testing.assert_array_equal(layer.data, np.moveaxis(data, -1, 0))
