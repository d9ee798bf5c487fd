import funlib.geometry
import h5py
import numpy as np
import pytest
import zarr

import voxflow as gp
from tests.helpers import asking, ids, ramp, served
from voxflow.stores import MissingChunk

RAW = gp.ArrayKey("RAW")


def make_array(roi, voxel_size, dtype=np.float64):
    return gp.Array(ramp(roi, voxel_size, dtype), gp.ArraySpec(roi, voxel_size))


@pytest.mark.parametrize(
    ("roi", "voxel_size", "asked"),
    [
        (gp.Roi((3,), (30,)), (3,), ((9,), (12,))),
        (gp.Roi((-8, 0), (40, 49)), (8, 9.8), ((0, 9.8), (16, 9.8))),
        (gp.Roi((40, 4.6, 4.6), (120, 23, 46)), (40, 4.6, 4.6), ((80, 9.2, 4.6), (40, 4.6, 13.8))),
        (gp.Roi((0, 0, 0, 0), (3, 4, 5, 6)), (1, 1, 1, 1), ((1, 1, 1, 1), (2, 2, 2, 2))),
    ],
)
def test_a_region_has_the_voxels_of_that_region(roi, voxel_size, asked):
    batch = served(gp.ArraySource(RAW, make_array(roi, voxel_size)), asking(RAW=asked))
    assert batch[RAW].spec.roi == gp.Roi(*asked)
    assert batch[RAW].spec.voxel_size == gp.Coordinate(voxel_size)
    np.testing.assert_allclose(batch[RAW].data, ramp(gp.Roi(*asked), voxel_size), rtol=1e-12)


def test_what_is_handed_out_is_a_copy():
    array = make_array(gp.Roi((0, 0), (4, 4)), (1, 1))
    array.attrs["list"] = [1]
    before = array.data.copy()
    with gp.build(gp.ArraySource(RAW, array)) as source:
        for shape in ((4, 4), (2, 2)):
            batch = source.request_batch(asking(RAW=((0, 0), shape)))
            batch[RAW].data[:] = -1
            batch[RAW].attrs["list"].append(2)
    np.testing.assert_array_equal(array.data, before)
    assert array.attrs == {"list": [1]}


def test_a_nonspatial_array_comes_whole():
    array = gp.Array(np.arange(5), gp.ArraySpec(nonspatial=True))
    request = gp.BatchRequest()
    request[RAW] = gp.ArraySpec(nonspatial=True)
    np.testing.assert_array_equal(served(gp.ArraySource(RAW, array), request)[RAW].data, range(5))
    bare = gp.ArraySource(RAW, np.arange(5), spec=gp.ArraySpec(nonspatial=True))
    np.testing.assert_array_equal(served(bare, request)[RAW].data, range(5))


def test_a_region_without_extent_has_no_voxels():
    # Pad asks for one where nothing of a region is there.
    source = gp.ArraySource(RAW, make_array(gp.Roi((4, 4), (8, 8)), (2, 2)))
    batch = served(source, asking(RAW=((4, 4), (0, 0))))
    assert batch[RAW].data.shape == (2, 0, 0)
    source = gp.ArraySource(RAW, np.zeros((3, 4, 4)), spec=gp.ArraySpec(voxel_size=(2, 2)))
    assert served(source, asking(RAW=((0, 0), (0, 0))))[RAW].data.shape == (3, 0, 0)
    padded = served(source + gp.Pad(RAW, None, value=7), asking(RAW=((100, 100), (4, 4))))
    np.testing.assert_array_equal(padded[RAW].data, np.full((3, 2, 2), 7))


@pytest.mark.parametrize(
    ("dtype", "given", "known"),
    [
        (np.float32, None, True),
        (np.uint64, None, False),
        (np.uint64, True, True),
        (np.float32, False, False),
    ],
)
def test_the_kind_is_guessed_unless_given(dtype, given, known):
    array = make_array(gp.Roi((0,), (4,)), (1,), dtype)
    assert gp.ArraySource(RAW, array, given).array_spec.interpolatable is known
    array.spec.interpolatable = not known
    assert gp.ArraySource(RAW, array).array_spec.interpolatable is not known


class Persistent:
    """As the arrays of funlib.persistence: reads itself by regions of funlib's kind."""

    def __init__(self, data, offset, voxel_size):
        self.data, self.dtype, self.shape = data, data.dtype, data.shape
        self.voxel_size = funlib.geometry.Coordinate(voxel_size)
        size = funlib.geometry.Coordinate(data.shape[-len(voxel_size) :]) * self.voxel_size
        self.roi = funlib.geometry.Roi(offset, size)

    def __getitem__(self, key):
        assert isinstance(key, funlib.geometry.Roi)
        assert self.roi.contains(key)
        voxels = (key - self.roi.offset) / self.voxel_size
        return self.data[(..., *voxels.to_slices())]


def test_an_array_of_funlib_reads_itself():
    whole = gp.Roi((20, -4), (60, 40))
    array = Persistent(ramp(whole, (10, 4)), (20, -4), (10, 4))
    source = gp.ArraySource(RAW, array)
    assert source.array is array
    assert source.key == RAW
    assert type(source.array_spec.roi) is gp.Roi
    assert source.array_spec.roi == whole
    asked = gp.Roi((30, 0), (20, 8))
    data = served(source, asking(RAW=(asked.offset, asked.shape)))[RAW].data
    np.testing.assert_array_equal(data, ramp(asked, (10, 4)))


def test_what_a_reader_returns_may_be_an_object():
    class Part:
        def to_ndarray(self):
            return np.ones((2, 2))

    class Reader(Persistent):
        def __getitem__(self, key):
            return Part()

    source = gp.ArraySource(RAW, Reader(np.zeros((4, 4)), (0, 0), (1, 1)))
    np.testing.assert_array_equal(served(source, asking(RAW=((1, 1), (2, 2))))[RAW].data, 1)


@pytest.mark.parametrize("kind", ["numpy", "h5py", "zarr", "memmap"])
def test_anything_that_is_indexed_with_a_spec(tmp_path, kind):
    roi = gp.Roi((9.8, 4), (49, 24))
    data = ramp(roi, (9.8, 4))
    if kind == "numpy":
        array = data
    elif kind == "h5py":
        array = h5py.File(tmp_path / "a.hdf", "w").create_dataset("raw", data=data)
        array.file.flush()
    elif kind == "zarr":
        array = zarr.create_array(str(tmp_path / "a.zarr"), data=data, chunks=(1, 2, 3))
    else:
        array = np.memmap(tmp_path / "raw", data.dtype, "w+", shape=data.shape)
        array[:] = data
    source = gp.ArraySource(RAW, array, spec=gp.ArraySpec(roi, (9.8, 4)))
    asked = gp.Roi((19.6, 8), (19.6, 12))
    batch = served(source, asking(RAW=(asked.offset, asked.shape)))
    assert type(batch[RAW].data) is np.ndarray
    np.testing.assert_allclose(batch[RAW].data, ramp(asked, (9.8, 4)), rtol=1e-12)
    if kind == "h5py":
        array.file.close()


def test_a_chunk_that_is_missing_in_a_zarr_array(tmp_path):
    array = zarr.create_array(str(tmp_path / "a.zarr"), shape=(8,), chunks=(4,), dtype="u1")
    array[:4] = 1
    spec = gp.ArraySpec(voxel_size=(1,))
    with pytest.raises(MissingChunk):
        served(gp.ArraySource(RAW, array, spec=spec), asking(RAW=((0,), (8,))))
    filled = gp.ArraySource(RAW, array, spec=spec, missing_chunks="fill")
    data = served(filled, asking(RAW=((0,), (8,))))[RAW].data
    np.testing.assert_array_equal(data, [1] * 4 + [0] * 4)


def test_a_spec_wins_over_what_the_array_says():
    data = ids(gp.Roi((0, 0), (4, 6)), (1, 1))
    spec = gp.ArraySpec(gp.Roi((10, 9), (8, 18)), (2, 3))
    for array in (gp.Array(data, gp.ArraySpec(voxel_size=(1, 1))), data):
        source = gp.ArraySource(RAW, array, spec=spec)
        batch = served(source, asking(RAW=((12, 12), (4, 6))))
        np.testing.assert_array_equal(batch[RAW].data, data[1:3, 1:3])


@pytest.mark.parametrize(
    ("array", "spec", "kind", "text"),
    [
        (np.zeros((4, 4)), None, TypeError, "does not say where it lies; give spec=ArraySpec"),
        (np.zeros((4, 4)), gp.ArraySpec(), ValueError, "needs a voxel_size"),
        (
            np.zeros((4, 4)),
            gp.ArraySpec(gp.Roi((0, 0), (8, 9)), (2, 2)),
            ValueError,
            r"an array of shape \(4, 4\) does not fill .* it covers \(8, 8\) \(world units\)",
        ),
        (
            np.zeros((4, 4)),
            gp.ArraySpec(gp.Roi((1, 0), (8, 8)), (2, 2)),
            ValueError,
            "not on the voxel grid",
        ),
        (np.zeros(4), gp.ArraySpec(voxel_size=(1, 1)), ValueError, "fewer axes"),
        (
            np.zeros((4, 4)),
            gp.ArraySpec(gp.Roi((None,) * 2, (None,) * 2), (2, 2)),
            ValueError,
            "does not fill",
        ),
        (
            np.zeros((4, 4)),
            gp.ArraySpec(voxel_size=(1, 1), dtype="uint8"),
            ValueError,
            "the spec says uint8, the array is float64",
        ),
        (Persistent(np.zeros((4, 4)), (1, 1), (2, 2)), None, ValueError, "not on the voxel grid"),
    ],
)
def test_what_does_not_fit_is_refused_at_once(array, spec, kind, text):
    with pytest.raises(kind, match=text):
        gp.ArraySource(RAW, array, spec=spec)


def test_only_under_an_array_key():
    with pytest.raises(TypeError, match="under an ArrayKey, got 'raw'"):
        gp.ArraySource("raw", make_array(gp.Roi((0,), (4,)), (1,)))


@pytest.mark.parametrize("kind", ["Array", "numpy", "h5py"])
def test_workers_serve_the_same(tmp_path, kind):
    roi = gp.Roi((0, 0), (400, 400))
    data = ramp(roi, (2, 2))
    spec = gp.ArraySpec(roi, (2, 2))
    array = data
    if kind == "h5py":
        with h5py.File(tmp_path / "a.hdf", "w") as file:
            file["raw"] = data
        array = h5py.File(tmp_path / "a.hdf", "r")["raw"]
    source = gp.ArraySource(RAW, gp.Array(data, spec) if kind == "Array" else array, spec=spec)
    asked = gp.Roi((100, 40), (60, 80))
    with gp.build(source + gp.PreCache(2, 1), seed=1) as pipeline:
        for _ in range(3):
            batch = pipeline.request_batch(asking(RAW=(asked.offset, asked.shape)))
            np.testing.assert_array_equal(batch[RAW].data, ramp(asked, (2, 2)))
    if kind == "h5py":
        array.file.close()


def test_can_be_built_again():
    source = gp.ArraySource(RAW, make_array(gp.Roi((0,), (4,)), (1,)))
    for _ in range(2):
        assert served(source, asking(RAW=((1,), (2,))))[RAW].data.tolist() == [[1.5, 2.5]]
