"""What is in files, also in those that are damaged or odd."""

import json

import h5py
import numpy as np
import pytest

from tests.stores.servers import http_server
from voxflow.inspect import FileReport, describe
from voxflow.inspect.describe import told
from voxflow.stores import Geometry, create_dataset, open_attrs
from voxflow.stores.ngff import make_multiscales

SUFFIXES = ["hdf", "zarr", "n5", "tif"]


def only(path, **options):
    (report,) = describe(path, **options)
    assert isinstance(report, FileReport)
    json.dumps(report.as_dict())
    return report


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_format_tells_the_same(tmp_path, suffix):
    data = np.arange(4 * 5 * 6, dtype=np.uint16).reshape(4, 5, 6)
    where = Geometry((40, 4.6, 4.6), (80, 9.2, 0), units=("nm",) * 3)
    name = "" if suffix == "tif" else "volumes/raw"
    path = tmp_path / f"a.{suffix}"
    create_dataset(path, name, data.shape, data.dtype, geometry=where).write((), data)
    report = only(path)
    (array,) = report.arrays
    assert array.name == name
    assert array.error is None
    assert array.shape == (4, 5, 6)
    assert array.dtype == "uint16"
    assert "".join(array.axes) == "zyx"
    assert array.voxel_size == [40, 4.6, 4.6]
    assert array.units == ("nm", "nm", "nm")
    assert array.offset == [80, 9.2, 0]
    assert array.extent == [160, 23, 27.6]
    assert (array.values.low, array.values.high) == (0, 119)
    assert array.warnings == []
    assert report.warnings == []


def test_a_snapshot(tmp_path):
    path = tmp_path / "7.zarr"
    create_dataset(path, "raw", (4, 4), "uint8", geometry=Geometry((2, 2), (0, 0)))
    for part, shape in (("ids", (3,)), ("locations", (3, 2)), ("edges", (2, 2))):
        create_dataset(path, f"points-{part}", shape, "int64").write((), np.zeros(shape, np.int64))
    root = {"loss": 0.25, "iteration": 7, "replay_token": "{}", "note": "x"}
    open_attrs(path, mode="r+").update(root)
    report = only(path)
    assert (report.loss, report.iteration) == (0.25, 7)
    assert report.attrs == {"replay_token": "{}", "note": "x"}
    (graph,) = report.graphs
    assert (graph.name, graph.nodes, graph.edges) == ("points", 3, 2)
    assert {a.name for a in report.arrays if a.guess == "table"} == {
        "points-ids",
        "points-locations",
        "points-edges",
    }


def damaged(folder):
    """Files that cannot be read as a whole."""
    path = folder / "cut.hdf"
    with h5py.File(path, "w") as file:
        file["raw"] = np.zeros((50, 50))
    path.write_bytes(path.read_bytes()[:3000])
    (folder / "junk.hdf").write_bytes(b"hello" * 100)
    (folder / "empty.hdf").write_bytes(b"")
    (folder / "cut.tif").write_bytes(b"II*\0junk")
    (folder / "junk.zip").write_bytes(b"PK\x05\x06")
    return ["cut.hdf", "junk.hdf", "empty.hdf", "cut.tif", "junk.zip"]


def test_a_damaged_file_is_a_report_with_an_error(tmp_path):
    names = damaged(tmp_path)
    reports = describe([tmp_path / name for name in names])
    assert len(reports) == len(names)
    for report in reports:
        assert told(report) if report.arrays else report.error
        assert all(array.shape is None for array in report.arrays)


def test_a_damaged_array_does_not_hide_the_others(tmp_path):
    for name in ("bad", "good"):
        create_dataset(tmp_path / "a.zarr", name, (4, 4), "uint8").write((), np.ones((4, 4), "u1"))
    (tmp_path / "a.zarr" / "bad" / "zarr.json").write_text("{nope")
    report = only(tmp_path / "a.zarr")
    told = {array.name: array.error for array in report.arrays}
    assert told.get("good", "") is None or report.error


ODD = {
    "zero": np.zeros((0, 5, 5), np.uint8),
    "empty": h5py.Empty("f4"),
    "scalar": 3,
    "text": "hello",
    "five": np.random.default_rng(0).random((2, 3, 4, 5, 6)),
    "grüße/日本/a b": np.zeros((3, 4, 5), np.uint8),
    "compound": np.zeros(3, [("a", "i4"), ("b", "f4")]),
    "complex": np.zeros((4, 4), complex),
    "objects": np.array([b"a", b"bb"], object),
    "nan": np.full((4, 4), np.nan, np.float32),
}


def test_odd_arrays_are_rows(tmp_path):
    with h5py.File(tmp_path / "odd.hdf", "w") as file:
        for name, value in ODD.items():
            kind = h5py.string_dtype() if name == "objects" else None
            file.create_dataset(name, data=value, dtype=kind)
        file["five"].attrs["resolution"] = "hello"
        file["nan"].attrs["resolution"] = [1 / 3, -1]
        file["zero"].attrs["odd"] = np.array([file["five"].ref], h5py.ref_dtype)
        file["soft"] = h5py.SoftLink("/nowhere")
    report = only(tmp_path / "odd.hdf")
    arrays = {array.name: array for array in report.arrays}
    assert arrays.keys() == ODD.keys()
    assert [name for name, array in arrays.items() if array.error] == ["empty"]
    assert "no shape and no values" in arrays["empty"].error
    assert arrays["five"].shape == (2, 3, 4, 5, 6)
    assert "where it lies is not clear" in arrays["five"].warnings[0]
    assert "where it lies is not clear" in arrays["nan"].warnings[0]


def test_of_many_arrays_some_are_looked_at(tmp_path):
    with h5py.File(tmp_path / "a.hdf", "w") as file:
        for number in range(30):
            file[f"d{number}"] = np.uint8(1)
    report = only(tmp_path / "a.hdf", max_arrays=10)
    assert (len(report.arrays), report.left_out) == (10, 20)


def test_nothing_is_read_where_nothing_may_be(tmp_path):
    create_dataset(tmp_path / "a.hdf", "raw", (4, 4), "uint8", chunks=(2, 2))
    (array,) = only(tmp_path / "a.hdf", max_bytes=0).arrays
    assert array.values is None
    assert (array.total_chunks, array.missing_chunks) == (4, 4)
    assert array.warnings[-1] == "4 of its 4 chunks are not stored"


def test_what_is_not_there_is_a_report_too():
    reports = describe(["/nowhere/a.zarr", "/nowhere/b"])
    assert [report.error for report in reports] == [
        "there is no file or folder /nowhere/a.zarr",
        "there is no file or folder /nowhere/b",
    ]


def test_at_a_url(tmp_path):
    data = np.arange(4 * 8 * 8, dtype=np.uint8).reshape(4, 8, 8)
    where = Geometry((40, 4, 4), (0, 0, 0))
    for name in ("a.zarr", "b.n5"):
        for level in ("raw/s0", "raw/s1"):
            stored = create_dataset(tmp_path / name, level, data.shape, "uint8", geometry=where)
            stored.write((), data)
    scales = [(f"s{i}", [40, 4 * 2**i, 4 * 2**i], [0, 0, 0]) for i in range(2)]
    axes = [(axis, "space", "nanometer") for axis in "zyx"]
    image = make_multiscales(scales, axes, "0.5")
    for level in range(2):  # the size of a level is stated by the group alone
        attrs = open_attrs(tmp_path / "a.zarr", f"raw/s{level}", mode="r+")
        del attrs["resolution"], attrs["voxel_size"], attrs["offset"]
    open_attrs(tmp_path / "a.zarr", "raw", mode="r+").update(image)
    with http_server(tmp_path) as url:
        for path, names in (
            ("a.zarr/raw", ["s0", "s1"]),
            ("a.zarr/raw/s1", [""]),
            ("b.n5/raw", ["s0", "s1"]),
        ):
            arrays = only(f"{url}/{path}").arrays
            assert [array.name for array in arrays] == names
            assert all(array.values.high == 255 for array in arrays)
        assert "name a dataset, as in" in only(f"{url}/a.zarr").error
        assert "there is no dataset" in only(f"{url}/none.zarr").error
