from fractions import Fraction
from pathlib import Path

import h5py
import numpy as np
import pytest
import zarr

import voxflow as gp
from voxflow.nodes.sinks.attributes import storable_attrs
from voxflow.stores import create_dataset

ATTRS = {
    "affinity_neighborhood": [[-1, 0], [0, -1]],
    "array": np.array([[1.5, 2], [3, 4]], np.float32),
    "number": np.float32(0.5),
    "ids": [2**63, 2**64 - 1],
    "flag": np.bool_(True),
    "text": "a µm",
    "bytes": b"abc",
    "names": ["z", "y"],
    "ragged": [[1], [2, 3]],
    "nested": {"mean": np.float64(1.5), "shape": (1, 2), "note": None, "deep": [{"a": 1}]},
    "coordinate": gp.Coordinate(40, 9.8),
    "path": Path("a/b"),
    "dtype": np.dtype("uint8"),
    "set": {1},
    "empty": [],
}


@pytest.mark.parametrize("suffix", ["hdf", "zarr"])
def test_files_hold_them(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    create_dataset(path, "raw", (2,), "u1", attrs=storable_attrs(ATTRS, "RAW"))
    if suffix == "zarr":
        found = dict(zarr.open_group(str(path), mode="r")["raw"].attrs)
        assert found["nested"] == {"mean": 1.5, "shape": [1, 2], "note": None, "deep": [{"a": 1}]}
        assert found["ragged"] == [[1], [2, 3]]
        assert found["affinity_neighborhood"] == [[-1, 0], [0, -1]]
    else:
        with h5py.File(path) as file:
            found = dict(file["raw"].attrs)
        # Numbers are numbers, as h5py would have written them.
        np.testing.assert_array_equal(found["affinity_neighborhood"], [[-1, 0], [0, -1]])
    assert np.array_equal(found["array"], ATTRS["array"])
    assert found["number"] == 0.5
    assert list(found["ids"]) == ATTRS["ids"]
    assert found["flag"]
    assert (found["text"], found["bytes"], found["path"]) == ("a µm", "abc", "a/b")
    assert list(found["names"]) == ["z", "y"]
    assert list(found["coordinate"]) == [40, 9.8]
    assert found["dtype"] == "uint8"


def test_whole_fractions_are_whole():
    found = storable_attrs({"a": Fraction(4, 2), "b": Fraction(1, 4)}, "RAW")
    assert found == {"a": 2, "b": 0.25}
    assert type(found["a"]) is int


def test_none_and_the_geometry_are_left_out():
    attrs = {"offset": 1, "resolution": 2, "voxel_size": 3, "nothing": None, "kept": 4}
    assert storable_attrs(attrs, "RAW") == {"kept": 4}


def test_what_no_file_holds_is_named():
    with pytest.raises(TypeError, match="attribute 'bad' of RAW is .* cannot hold .a function."):
        storable_attrs({"bad": [lambda: 1]}, "RAW")
