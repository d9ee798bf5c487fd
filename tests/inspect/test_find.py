"""Which files a path names."""

import numpy as np
import pytest

from voxflow.inspect import Container, find_containers
from voxflow.stores import StoreNotFound, create_dataset


def make(path, name="raw"):
    create_dataset(path, name, (2, 2), "uint8").write((), np.ones((2, 2), "u1"))
    return str(path)


def test_a_file_and_a_container_name_themselves(tmp_path):
    for name in ("a.hdf", "a.zarr"):
        path = make(tmp_path / name)
        assert find_containers(path) == [Container(path)]


def test_a_folder_of_snapshots_is_in_natural_order(tmp_path):
    for name in ("10.zarr", "9.zarr", "100.hdf"):
        make(tmp_path / "run" / "snapshots" / name)
    (tmp_path / "run" / "snapshots" / "notes.txt").write_text("")
    for folder in (tmp_path / "run" / "snapshots", tmp_path / "run"):
        names = [found.store.rsplit("/", 1)[-1] for found in find_containers(folder)]
        assert names == ["9.zarr", "10.zarr", "100.hdf"]


@pytest.mark.parametrize("mark", [":", "/"])
def test_a_path_leads_into_a_file(tmp_path, mark):
    path = make(tmp_path / "a.hdf", "volumes/raw")
    assert find_containers(f"{path}{mark}volumes/raw") == [Container(path, "volumes/raw")]


def test_a_path_leads_into_zarr(tmp_path):
    path = make(tmp_path / "a.zarr", "volumes/raw")
    assert find_containers(f"{path}/volumes") == [Container(f"{path}/volumes")]
    assert find_containers(f"{path}:volumes/raw") == [Container(path, "volumes/raw")]


def test_images_are_one_stack(tmp_path):
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes(b"")
    assert find_containers(tmp_path) == [Container(str(tmp_path))]


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(StoreNotFound, match="no file or folder .*/none"):
        find_containers(tmp_path / "none")
    with pytest.raises(StoreNotFound, match="neither a container of arrays nor a folder of such"):
        find_containers(tmp_path)
