"""Open arrays, where they lie, and what they seem to be."""

import numpy as np
import pytest

from voxflow.inspect.arrays import guess, names_in, open_array
from voxflow.inspect.find import Container
from voxflow.pipeline.geometry import Coordinate
from voxflow.stores import Geometry, create_dataset


@pytest.mark.parametrize(
    ("name", "dtype", "shape", "expected"),
    [
        ("volumes/raw", "u1", (5, 5, 5), "image"),
        ("raw", "u2", (5, 5), "image"),
        ("volumes/labels/neuron_ids", "u8", (5, 5, 5), "labels"),
        ("volumes/labels/mitochondria", "u1", (5, 5, 5), "labels"),
        ("labels", "f4", (5, 5, 5), "labels"),
        ("LABELS_MASK", "u1", (5, 5), "labels"),
        ("mask", "?", (5, 5), "labels"),
        ("whatever", "i8", (5, 5), "labels"),
        ("whatever", "u1", (5, 5), "image"),
        ("pred_affs", "f4", (3, 5, 5, 5), "affinities"),
        ("staff", "f4", (3, 5, 5), "image"),
        ("labels/raw", "u1", (5, 5, 5), "image"),
        ("points-locations", "f4", (7, 3), "table"),
        ("labels/ids", "u8", (5, 5, 5), "labels"),
        ("curve", "f4", (7,), "table"),
        ("names", "O", (7, 7), "table"),
    ],
)
def test_guess(name, dtype, shape, expected):
    assert guess(name, np.dtype(dtype), shape, {}) == expected


def test_what_attributes_state_is_not_guessed():
    neighborhood = {"affinity_neighborhood": [[-1, 0]]}
    assert guess("x", np.dtype("u1"), (1, 5, 5), neighborhood) == "affinities"


def test_a_place_in_the_world(tmp_path):
    where = Geometry((40, 4.6, 4.6), (80, 9.2, 0), units=("nm",) * 3)
    create_dataset(tmp_path / "a.zarr", "raw", (2, 5, 6, 7), "uint8", geometry=where)
    array = open_array(Container(str(tmp_path / "a.zarr")), "raw")
    assert array.stated
    assert array.axes == ("c", "z", "y", "x")
    assert array.extent == (5, 6, 7)
    assert array.region.begin == Coordinate(80, 9.2, 0)
    assert array.region.end == Coordinate(280, 36.8, 32.2)
    assert array.notes == []


@pytest.mark.parametrize("suffix", ["hdf", "zarr"])
def test_without_a_voxel_size_the_last_three_axes_lie_in_space(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    create_dataset(path, "raw", (2, 3, 5, 6, 7), "float32")
    array = open_array(Container(str(path)), "raw")
    assert not array.stated
    assert array.extent == (5, 6, 7)
    assert array.notes == ["its voxel size is not stated: taken as 1 of no unit"]


def test_names_below_a_group(tmp_path):
    path = tmp_path / "a.hdf"
    for name in ("volumes/raw", "volumes/labels/ids", "other"):
        create_dataset(path, name, (2, 2), "uint8")
    assert names_in(Container(str(path), "volumes")) == ["volumes/labels/ids", "volumes/raw"]
    assert names_in(Container(str(path), "volumes/raw")) == ["volumes/raw"]
    assert names_in(Container(str(path))) == ["other", "volumes/labels/ids", "volumes/raw"]


def test_images_of_one_size_are_a_stack_and_others_are_not(tmp_path):
    imageio = pytest.importorskip("imageio.v3")
    for number, size in enumerate((4, 4, 5)):
        imageio.imwrite(tmp_path / f"{number}.png", np.zeros((size, size), np.uint8))
    assert names_in(Container(str(tmp_path))) == ["0.png", "1.png", "2.png"]
    (tmp_path / "2.png").unlink()
    assert names_in(Container(str(tmp_path))) == [""]
    assert names_in(Container(str(tmp_path / "0.png"))) == [""]
