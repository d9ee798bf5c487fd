from fractions import Fraction

import h5py
import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st

from voxflow.pipeline.geometry import Coordinate
from voxflow.stores import (
    ArrayDataset,
    Geometry,
    MetadataConflict,
    MetadataMissing,
    StoreError,
    create_dataset,
    open_dataset,
    read_geometry,
    write_geometry,
)


def dataset(**attrs):
    return ArrayDataset(np.zeros((4, 6, 8), "u1"), attrs=attrs)


@pytest.mark.parametrize("name", ["resolution", "voxel_size"])
@pytest.mark.parametrize(
    "value",
    [
        [50, 4.6, 4.6],
        (50.0, 4.6, 4.6),
        np.array([50, 4.6, 4.6]),
        np.array([50, 4.6, 4.6], np.float32),
        "[50, 4.6, 4.6]",
        b"[50, 4.6, 4.6]",
    ],
)
def test_reads_all_spellings_exactly(name, value):
    found = read_geometry(dataset(**{name: value}))
    assert found.voxel_size == (50, Fraction(23, 5), Fraction(23, 5))
    assert found.offset == (0, 0, 0)


def test_offset_need_not_be_on_a_grid():
    found = read_geometry(dataset(resolution=[4, 4, 4], offset=[1, 0.1, -2.5]))
    assert found.offset == (1, Fraction(1, 10), Fraction(-5, 2))


def test_voxel_size_of_the_last_axes():
    assert read_geometry(dataset(resolution=[4, 4])).voxel_size == (4, 4)


def test_single_numbers_stand_for_all_axes():
    assert read_geometry(dataset(resolution=np.float64(4))).voxel_size == (4, 4, 4)
    assert read_geometry(dataset(resolution=4), ndim=2).voxel_size == (4, 4)
    assert read_geometry(dataset(resolution=4, offset=[0, 8])).voxel_size == (4, 4)


def test_axes_and_units():
    found = read_geometry(
        dataset(resolution=[4, 4], axis_names=["c^", "y", "x"], units=np.array([b"nm", b"nm"]))
    )
    assert found.axes == ("c^", "y", "x")
    assert found.units == ("nm", "nm")
    assert found.spatial == (1, 2)


def test_both_conventions_may_agree():
    assert read_geometry(dataset(resolution=[4, 4, 4], voxel_size=[4.0, 4, 4])).voxel_size[0] == 4


def test_contradictions():
    with pytest.raises(MetadataConflict) as caught:
        read_geometry(dataset(resolution=[4, 4, 4], voxel_size=[8, 4, 4]))
    for part in ("'resolution' says (4, 4, 4)", "'voxel_size' says (8, 4, 4)", "voxel_size="):
        assert part in str(caught.value)
    both = dataset(resolution=[4, 4, 4], voxel_size=[8, 4, 4])
    assert read_geometry(both, voxel_size=(2, 2, 2)).voxel_size == (2, 2, 2)
    with pytest.raises(MetadataConflict, match=r"offset .* has 2 axes, voxel size .* has 3"):
        read_geometry(dataset(resolution=[4, 4, 4], offset=[0, 0]))
    with pytest.raises(MetadataConflict, match=r"3 axes, but its voxel size .* has 4"):
        read_geometry(dataset(resolution=[4, 4, 4, 4]))
    with pytest.raises(MetadataConflict, match="no list of numbers"):
        read_geometry(dataset(resolution=["a", "b"]))
    with pytest.raises(MetadataConflict, match="no list of numbers"):
        read_geometry(dataset(resolution="unknown"))


def test_nothing_found():
    with pytest.raises(MetadataMissing) as caught:
        read_geometry(dataset(comment="x"))
    for part in ("'resolution' and 'voxel_size'", "there are: comment", "Pass voxel_size="):
        assert part in str(caught.value)
    assert read_geometry(dataset(), voxel_size=(4, 9.8), offset=(1, 1)).offset == (1, 1)
    assert read_geometry(dataset(), default="ones").voxel_size == (1, 1, 1)
    assert read_geometry(dataset(), default="ones", ndim=2).voxel_size == (1, 1)


def test_impossible_geometry():
    with pytest.raises(ValueError, match="is positive"):
        Geometry(Coordinate(0, 4), Coordinate(0, 0))
    with pytest.raises(ValueError, match="differ in their axes"):
        Geometry(Coordinate(4, 4), Coordinate(0))


DECIMALS = st.decimals("-100000", "100000", places=4)


@given(st.lists(st.tuples(DECIMALS.filter(lambda v: v > 0), DECIMALS), min_size=1, max_size=3))
def test_any_decimal_survives(pairs):
    geometry = Geometry(Coordinate(p[0] for p in pairs), Coordinate(p[1] for p in pairs))
    written = ArrayDataset(np.zeros((1,) * len(pairs), "u1"))
    write_geometry(written, geometry)
    assert read_geometry(written) == geometry


def test_whole_values_are_written_as_ints():
    written = dataset()
    write_geometry(written, Geometry(Coordinate(4, 4.0, 9.8), Coordinate(0, 0, 0)))
    assert written.attrs["resolution"] == written.attrs["voxel_size"] == [4, 4, 9.8]
    assert [type(v) for v in written.attrs["resolution"]] == [int, int, float]


def test_thirds_are_refused():
    with pytest.raises(StoreError, match=r"1/3 in .* cannot be written exactly"):
        write_geometry(dataset(), Geometry(Coordinate(1, 1) / Coordinate(3, 1), Coordinate(0, 0)))


@pytest.mark.parametrize("name", ["a.hdf", "a2.zarr", "a3.zarr"])
@pytest.mark.parametrize("ngff", [None, "0.4", "0.5"])
def test_every_writer_every_reader(tmp_path, name, ngff):
    geometry = Geometry(
        Coordinate(50, 4.6, 9.8), Coordinate(-25, 2.3, 0.1), ("nanometer",) * 3, ("z", "y", "x")
    )
    written = create_dataset(
        tmp_path / name, "img/s0", (4, 6, 8), "u1", zarr_format=3 if "3" in name else None
    )
    write_geometry(written, geometry, ngff=ngff)
    found = read_geometry(open_dataset(tmp_path / name, "img/s0"))
    assert (found.voxel_size, found.offset) == (geometry.voxel_size, geometry.offset)
    assert (found.units, found.axes) == (geometry.units, geometry.axes)
    if ngff:
        for attr in ("resolution", "voxel_size", "offset", "units", "axis_names"):
            del written.attrs[attr]
        alone = read_geometry(open_dataset(tmp_path / name, "img/s0"))
        assert (alone.voxel_size, alone.offset) == (geometry.voxel_size, geometry.offset)
        assert (alone.units, alone.axes) == (geometry.units, geometry.axes)


def test_ngff_with_channels(tmp_path):
    written = create_dataset(tmp_path / "a.zarr", "s0", (2, 4, 6, 8), "u1")
    geometry = Geometry(Coordinate(50, 4, 4), Coordinate(0, 8, 8), ("nanometer",) * 3)
    write_geometry(written, geometry, ngff="0.4")
    image = zarr.open(tmp_path / "a.zarr", mode="r").attrs["multiscales"][0]
    assert [axis["type"] for axis in image["axes"]] == ["channel", "space", "space", "space"]
    steps = image["datasets"][0]["coordinateTransformations"]
    assert steps[0] == {"type": "scale", "scale": [1, 50, 4, 4]}
    assert steps[1] == {"type": "translation", "translation": [0, 0, 8, 8]}
    found = read_geometry(open_dataset(tmp_path / "a.zarr", "s0"))
    assert found.spatial == (1, 2, 3)
    assert found.units == ("nanometer",) * 3


OME = {
    "axes": [
        {"name": "t", "type": "time", "unit": "second"},
        {"name": "y", "type": "space", "unit": "micrometer"},
        {"name": "x", "type": "space", "unit": "micrometer"},
    ],
    "datasets": [
        {
            "path": f"s{level}",
            "coordinateTransformations": [
                {"type": "scale", "scale": [1, 0.5 * 2**level, 0.5 * 2**level]},
                {"type": "translation", "translation": [0, 0.25 * (2**level - 1), 0]},
            ],
        }
        for level in range(2)
    ],
    "coordinateTransformations": [{"type": "scale", "scale": [0.1, 2, 2]}],
}


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_ngff_of_others(tmp_path, zarr_format):
    group = zarr.create_group(tmp_path / "a.zarr", zarr_format=zarr_format)
    image = group.create_group("img")
    image.attrs.update(
        {"multiscales": [OME]} if zarr_format == 2 else {"ome": {"multiscales": [OME]}}
    )
    for level in range(2):
        image.create_array(f"s{level}", shape=(3, 8, 8), dtype="u1")
    for place in ((tmp_path / "a.zarr", "img/s1"), (tmp_path / "a.zarr" / "img" / "s1", "")):
        found = read_geometry(open_dataset(*place))
        assert found.voxel_size == (2, 2)
        assert found.offset == (Fraction(1, 2), 0)
        assert found.units == ("micrometer", "micrometer")
        assert found.axes == ("t", "y", "x")
        assert found.spatial == (1, 2)
    image["s0"].attrs["resolution"] = [4, 4]
    with pytest.raises(MetadataConflict, match=r"multiscales .* says \(1, 1\)"):
        read_geometry(open_dataset(tmp_path / "a.zarr", "img/s0"))


def test_ngff_that_is_not_understood(tmp_path):
    group = zarr.create_group(tmp_path / "a.zarr", zarr_format=2)
    group.create_array("s0", shape=(8, 8), dtype="u1")
    turned = [{"type": "affine", "affine": [[1, 0, 0], [0, 1, 0]]}]
    level = {"path": "s0", "coordinateTransformations": turned}
    group.attrs["multiscales"] = [{"axes": ["y", "x"], "datasets": [level]}]
    with pytest.raises(StoreError, match=r"not read here .*affine"):
        read_geometry(open_dataset(tmp_path / "a.zarr", "s0"))
    level["coordinateTransformations"] = [{"type": "scale", "scale": [1, 2, 3]}]
    group.attrs["multiscales"] = [{"axes": ["y", "x"], "datasets": [level]}]
    with pytest.raises(MetadataConflict, match="has 2 axes"):
        read_geometry(open_dataset(tmp_path / "a.zarr", "s0"))
    group.attrs["multiscales"] = [{"axes": ["z", "y", "x"], "datasets": [level]}]
    with pytest.raises(MetadataConflict, match="metadata name 3"):
        read_geometry(open_dataset(tmp_path / "a.zarr", "s0"))
    group.attrs["multiscales"] = [{"datasets": [{"path": "s0"}]}]
    assert read_geometry(open_dataset(tmp_path / "a.zarr", "s0")).axes == ("y", "x")


def test_ngff_needs_a_group():
    with pytest.raises(StoreError, match="is in no group"):
        write_geometry(dataset(), Geometry(Coordinate(4, 4), Coordinate(0, 0)), ngff="0.4")


def test_a_snapshot_of_gunpowder(tmp_path):
    with h5py.File(tmp_path / "batch.hdf", "w") as file:
        raw = file.create_dataset("volumes/raw", (3, 6, 8), "f4")
        raw.attrs["offset"] = (80, 4, 4)
        raw.attrs["voxel_size"] = (40, 4, 4)
    found = read_geometry(open_dataset(tmp_path / "batch.hdf", "volumes/raw"))
    assert (found.voxel_size, found.offset) == ((40, 4, 4), (80, 4, 4))
