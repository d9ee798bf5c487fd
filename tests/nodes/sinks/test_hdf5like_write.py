"""Writers for files that a subclass knows how to open."""

import h5py
import numpy as np
import pytest

import voxflow as gp
from tests.helpers import asking, served, source
from voxflow.nodes.sinks.hdf5like_write import Hdf5LikeWrite

RAW, COPY = gp.ArrayKey("RAW"), gp.ArrayKey("COPY")
DATA = np.arange(2 * 5 * 6, dtype=np.float32).reshape(2, 5, 6)
WHOLE = gp.Roi((4, 6), (10, 18))


class H5(Hdf5LikeWrite):
    """As a writer for gunpowder is written."""

    def _open_file(self, filename):
        return h5py.File(filename, "a")


class Reversed(H5):
    """Keeps voxel size and offset in an order of its own."""

    def _get_voxel_size(self, dataset):
        return gp.Coordinate(dataset.attrs["pixels"][::-1])

    def _set_voxel_size(self, dataset, voxel_size):
        dataset.attrs["pixels"] = voxel_size[::-1]

    def _get_offset(self, dataset):
        return gp.Coordinate(dataset.attrs["start"][::-1])

    def _set_offset(self, dataset, offset):
        dataset.attrs["start"] = offset[::-1]


def raw():
    return source(RAW, DATA, (2, 3), WHOLE.begin)


@pytest.mark.parametrize("num_workers", [1, 2])
def test_blocks_find_their_place(tmp_path, num_workers):
    write = H5({RAW: "volumes/raw"}, tmp_path / "new", "a.mine", compression_type="gzip")
    scan = gp.Scan(asking(RAW=((0, 0), (4, 6))), num_workers=num_workers)
    served(raw() + write + scan, gp.BatchRequest())
    with h5py.File(tmp_path / "new" / "a.mine") as file:
        made = file["volumes/raw"]
        np.testing.assert_array_equal(made[:], DATA)
        assert tuple(made.attrs["offset"]) == (4, 6)
        assert tuple(made.attrs["resolution"]) == (2, 3)
        assert made.compression == "gzip"


def test_one_that_is_there_is_filled_further(tmp_path):
    for roi in (gp.Roi((4, 6), (4, 18)), gp.Roi((8, 6), (6, 18))):
        served(raw() + Reversed({RAW: "raw"}, tmp_path, "a.mine"), asking(RAW=roi))
    with h5py.File(tmp_path / "a.mine") as file:
        np.testing.assert_array_equal(file["raw"][:], DATA)
        assert dict(file["raw"].attrs).keys() == {"pixels", "start"}
        assert tuple(file["raw"].attrs["pixels"]) == (3, 2)


def test_one_that_differs_is_refused(tmp_path):
    served(raw() + H5({RAW: "raw"}, tmp_path, "a.mine"), asking(RAW=WHOLE))
    other = source(RAW, DATA, (2, 2), (4, 6))
    with pytest.raises(gp.stores.OutputMismatch, match="voxel size"):
        served(other + H5({RAW: "raw"}, tmp_path, "a.mine"), asking(RAW=((4, 6), (4, 4))))


def test_values_that_do_not_fit_are_refused(tmp_path):
    write = H5({RAW: "raw"}, tmp_path, "a.mine", dataset_dtypes={RAW: np.uint8})
    served(raw() + write, asking(RAW=WHOLE))
    with h5py.File(tmp_path / "a.mine") as file:
        assert file["raw"].dtype == np.uint8
    large = source(RAW, DATA + 300, (2, 3), WHOLE.begin)
    write = H5({RAW: "raw"}, tmp_path, "b.mine", dataset_dtypes={RAW: np.uint8})
    with pytest.raises(ValueError, match="uint8"):
        served(large + write, asking(RAW=WHOLE))


def test_two_writers_on_one_dataset_are_refused(tmp_path):
    both = raw() + H5({RAW: "raw"}, tmp_path, "a.mine") + H5({RAW: "/raw"}, tmp_path, "a.mine")
    with pytest.raises(ValueError, match="would both write '/raw'"):
        served(both, asking(RAW=WHOLE))


def test_removing_what_is_written(tmp_path):
    write = H5({RAW: "volumes/raw"}, tmp_path, "a.mine")
    write.remove()  # nothing is there
    served(raw() + write, asking(RAW=WHOLE))
    assert not write.parallel
    write.remove()
    with h5py.File(tmp_path / "a.mine") as file:
        assert list(file["volumes"]) == []
