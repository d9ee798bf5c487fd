"""Sources for files that a subclass knows how to open."""

import h5py
import numpy as np
import pytest

import voxflow as gp
from tests.helpers import asking, served
from voxflow.nodes.sources.hdf5like_source import Hdf5LikeSource

RAW, LABELS = gp.ArrayKey("RAW"), gp.ArrayKey("LABELS")
DATA = np.arange(2 * 4 * 6, dtype=np.uint8).reshape(2, 4, 6)


class H5(Hdf5LikeSource):
    """As a source for gunpowder is written."""

    def _open_file(self, filename):
        return h5py.File(filename, "r")


class Told(H5):
    """Knows better than the file where datasets lie."""

    def _get_voxel_size(self, dataset):
        return gp.Coordinate(dataset.attrs["spacing"][::-1])

    def _get_offset(self, dataset):
        return gp.Coordinate((3, 0))


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "a.mine"
    with h5py.File(path, "w") as made:
        made["raw"] = DATA
        made["raw"].attrs.update({"resolution": (2, 3), "offset": (4, 6), "spacing": (5, 3)})
        made["last"] = np.moveaxis(DATA, 0, -1)
        made["last"].attrs["resolution"] = (2, 3)
    return path


def test_it_reads_by_regions_of_the_world(file):
    node = H5(file, {RAW: "raw"}, {RAW: gp.ArraySpec(interpolatable=False)})
    with gp.build(node):
        spec = node.spec[RAW]
        assert (spec.roi, spec.voxel_size) == (gp.Roi((4, 6), (8, 18)), (2, 3))
        assert (spec.dtype, spec.interpolatable) == (np.uint8, False)
        batch = node.request_batch(asking(RAW=((6, 9), (4, 6))))
    np.testing.assert_array_equal(batch[RAW].data, DATA[:, 1:3, 1:3])
    assert node.name() == f"H5[{file}]"


def test_a_subclass_may_know_where_datasets_lie(file):
    node = Told(file, {RAW: "raw"})
    with gp.build(node):
        assert node.spec[RAW].roi == gp.Roi((3, 0), (12, 30))
        assert node.spec[RAW].voxel_size == (3, 5)


def test_channels_may_come_last(file):
    batch = served(H5(file, {RAW: "last"}, channels_first=False), asking(RAW=((2, 3), (4, 6))))
    np.testing.assert_array_equal(batch[RAW].data, DATA[:, 1:3, 1:3])


def test_workers_open_it_themselves(file):
    reference = asking(RAW=((0, 0), (4, 6)))
    pipeline = H5(file, {RAW: "raw"}) + gp.Scan(reference, num_workers=2)
    batch = served(pipeline, asking(RAW=((4, 6), (8, 18))))
    np.testing.assert_array_equal(batch[RAW].data, DATA)


def test_what_is_not_there_is_told(file):
    with pytest.raises(gp.stores.DatasetNotFound, match="no 'labels' in .*; there is: last, raw"):
        served(H5(file, {LABELS: "labels"}), asking(LABELS=((0, 0), (2, 3))))
    with pytest.raises(NotImplementedError, match="_open_file"):
        served(Hdf5LikeSource(file, {RAW: "raw"}), asking(RAW=((4, 6), (4, 6))))
