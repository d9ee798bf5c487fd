"""What all file sources share, shown on both formats."""

import os
import pickle
import shutil
import stat
from fractions import Fraction

import h5py
import numpy as np
import pytest
import zarr

import voxflow as gp
from tests.helpers import asking, ids, ramp, served
from voxflow.nodes.sources.dataset_source import DatasetSource
from voxflow.stores import (
    DatasetNotFound,
    Geometry,
    MetadataMissing,
    MissingChunk,
    StoreNotFound,
    create_dataset,
)

RAW, LABELS = gp.ArrayKey("RAW"), gp.ArrayKey("LABELS")

both = pytest.mark.parametrize("suffix", ["hdf", "zarr"])


def make(path, name, data, voxel_size=None, offset=None, **attrs):
    """A dataset as users have them: data, resolution, offset."""
    if voxel_size is not None:
        attrs["resolution"] = voxel_size
    if offset is not None:
        attrs["offset"] = offset
    written = create_dataset(
        path, name, data.shape, data.dtype, chunks=(2,) * data.ndim, attrs=attrs
    )
    written.write((), data)


CASES = [
    ((3,), (30,), (3,), ((9,), (12,))),
    ((9.8, -8), (49, 40), (9.8, 8), ((19.6, 0), (9.8, 16))),
    ((50, 4.6, 4.6), (250, 23, 46), (50, 4.6, 4.6), ((100, 9.2, 4.6), (50, 4.6, 13.8))),
    ((0, 0, 0, 0), (3, 4, 5, 6), (1, 1, 1, 1), ((1, 1, 1, 1), (2, 2, 2, 2))),
]


@both
@pytest.mark.parametrize(("offset", "shape", "voxel_size", "asked"), CASES)
@pytest.mark.parametrize("channels_first", [True, False])
def test_a_region_has_the_voxels_of_that_region(
    tmp_path, suffix, offset, shape, voxel_size, asked, channels_first
):
    whole = ramp(gp.Roi(offset, shape), voxel_size)
    stored = whole if channels_first else np.moveaxis(whole, 0, -1)
    make(tmp_path / f"a.{suffix}", "volumes/raw", stored, voxel_size, offset)
    source = DatasetSource(
        tmp_path / f"a.{suffix}", {RAW: "volumes/raw"}, channels_first=channels_first
    )
    with gp.build(source):
        spec = source.spec[RAW]
        assert spec.roi == gp.Roi(offset, shape)
        assert spec.voxel_size == gp.Coordinate(voxel_size)
        assert spec.dtype == np.float64
        assert spec.interpolatable
        batch = source.request_batch(asking(RAW=asked))
    assert batch[RAW].spec.roi == gp.Roi(*asked)
    np.testing.assert_allclose(batch[RAW].data, ramp(gp.Roi(*asked), voxel_size), rtol=1e-12)


@both
def test_datasets_of_different_rank_and_kind_in_one_file(tmp_path, suffix):
    make(tmp_path / f"a.{suffix}", "raw", np.ones((3, 4, 6, 8), np.uint8), (4, 2, 2), (0, 2, 2))
    make(tmp_path / f"a.{suffix}", "labels", np.full((4, 6), 2**64 - 1, np.uint64), (3, 3))
    source = DatasetSource(tmp_path / f"a.{suffix}", {RAW: "raw", LABELS: "labels"})
    with gp.build(source):
        assert source.spec[RAW].roi == gp.Roi((0, 2, 2), (16, 12, 16))
        assert source.spec[LABELS].roi == gp.Roi((0, 0), (12, 18))
        assert source.spec[RAW].interpolatable is True
        assert source.spec[LABELS].interpolatable is False
        # Rois of a request have the same rank, so each is asked for alone.
        raw = source.request_batch(asking(RAW=((4, 4, 4), (8, 4, 4))))
        labels = source.request_batch(asking(LABELS=((3, 3), (6, 6))))
    assert raw[RAW].data.shape == (3, 2, 2, 2)
    assert (labels[LABELS].data == 2**64 - 1).all()
    assert labels[LABELS].data.dtype == np.uint64


@both
def test_specs_win_over_the_file(tmp_path, suffix):
    data = np.arange(24, dtype=np.uint8).reshape(4, 6)
    make(tmp_path / f"a.{suffix}", "raw", data, (1, 1), (100, 100))
    given = gp.ArraySpec(gp.Roi((8, 8), (4, 8)), (2, 2), interpolatable=False, dtype=np.uint8)
    source = DatasetSource(tmp_path / f"a.{suffix}", {RAW: "raw"}, {RAW: given})
    with gp.build(source):
        assert source.spec[RAW] == given
        batch = source.request_batch(asking(RAW=((8, 10), (4, 6))))
    # The offset of the roi is where the first voxel lies.
    np.testing.assert_array_equal(batch[RAW].data, data[:2, 1:4])
    kept = DatasetSource(tmp_path / f"a.{suffix}", {RAW: "raw"}, {RAW: gp.ArraySpec()})
    with gp.build(kept):
        assert kept.spec[RAW].roi == gp.Roi((100, 100), (4, 6))


@both
def test_nonspatial_data_come_whole(tmp_path, suffix):
    make(tmp_path / f"a.{suffix}", "table", np.arange(6.0).reshape(2, 3))
    spec = gp.ArraySpec(nonspatial=True)
    request = gp.BatchRequest()
    request[RAW] = spec
    source = DatasetSource(tmp_path / f"a.{suffix}", {RAW: "table"}, {RAW: spec})
    batch = served(source, request)
    np.testing.assert_array_equal(batch[RAW].data, np.arange(6.0).reshape(2, 3))
    assert batch[RAW].spec.interpolatable


@both
def test_a_region_without_extent_has_no_voxels(tmp_path, suffix):
    make(tmp_path / f"a.{suffix}", "raw", np.ones((2, 4, 4)), (2, 2), (4, 4))
    source = DatasetSource(tmp_path / f"a.{suffix}", {RAW: "raw"})
    assert served(source, asking(RAW=((4, 4), (0, 0))))[RAW].data.shape == (2, 0, 0)
    padded = served(source + gp.Pad(RAW, None, value=7), asking(RAW=((100, 100), (4, 4))))
    np.testing.assert_array_equal(padded[RAW].data, np.full((2, 2, 2), 7))


@both
def test_a_missing_chunk_is_named_with_node_and_region(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    raw = create_dataset(path, "raw", (4, 4), "u1", chunks=(2, 2), attrs={"resolution": (5, 5)})
    raw.write((slice(0, 2), slice(0, 4)), np.ones((2, 4), np.uint8))
    del raw
    request = asking(RAW=((0, 0), (20, 20)))
    with pytest.raises(MissingChunk) as caught:
        served(DatasetSource(path, {RAW: "raw"}), request)
    assert isinstance(caught.value, gp.BatchRequestError)
    text = "\n".join([str(caught.value), *caught.value.__notes__])
    for part in (f"DatasetSource[{path}]", "RAW", "[0:20, 0:20]", "chunk (1, 0)", "[2:4, 0:2]"):
        assert part in text
    # What is there can be read, and the rest as the fill value.
    assert served(DatasetSource(path, {RAW: "raw"}), asking(RAW=((0, 0), (10, 20))))[RAW].data.all()
    filled = served(DatasetSource(path, {RAW: "raw"}, missing_chunks="fill"), request)
    np.testing.assert_array_equal(filled[RAW].data[:, 0], [1, 1, 0, 0])


@both
def test_a_file_without_a_voxel_size(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    make(path, "raw", np.ones((3, 4, 4)))
    with pytest.raises(MetadataMissing, match="does not say its voxel size") as caught:
        served(DatasetSource(path, {RAW: "raw"}), asking(RAW=((0, 0), (1, 1))))
    assert isinstance(caught.value, gp.PipelineSetupError)
    ones = DatasetSource(path, {RAW: "raw"}, default_voxel_size="ones")
    with gp.build(ones):
        assert ones.spec[RAW].roi == gp.Roi((0, 0, 0), (3, 4, 4))
    given = {RAW: gp.ArraySpec(voxel_size=(2, 2))}
    with gp.build(DatasetSource(path, {RAW: "raw"}, given)) as source:
        assert source.spec[RAW].roi == gp.Roi((0, 0), (8, 8))
    placed = {RAW: gp.ArraySpec(roi=gp.Roi((2, 2), (3, 2)))}
    with gp.build(DatasetSource(path, {RAW: "raw"}, placed, default_voxel_size="ones")) as source:
        assert source.spec[RAW].voxel_size == (1, 1)


@both
@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (
            gp.ArraySpec(dtype="float32"),
            "say that RAW is float32, but .* is uint8; cast it downstr",
        ),
        (gp.ArraySpec(gp.Roi((0, 0), (10, 8)), (2, 2)), "covers only .* from there"),
        (gp.ArraySpec(gp.Roi((1, 0), (8, 8)), (2, 2)), "off its voxel grid.*a.roi on the grid"),
        (gp.ArraySpec(gp.Roi((0, 0), (7, 8)), (2, 2)), "off its voxel grid"),
        (gp.ArraySpec(voxel_size=(2, 2, 2)), "2 axes, but its voxel size"),
    ],
)
def test_specs_that_do_not_fit_the_file(tmp_path, suffix, spec, text):
    make(tmp_path / f"a.{suffix}", "raw", np.ones((4, 4), np.uint8), (2, 2))
    source = DatasetSource(tmp_path / f"a.{suffix}", {RAW: "raw"}, {RAW: spec})
    with pytest.raises(ValueError, match=text) as caught, gp.build(source):
        pass
    assert isinstance(caught.value, gp.PipelineSetupError)


@both
def test_an_offset_off_the_grid_says_the_real_numbers(tmp_path, suffix):
    make(tmp_path / f"a.{suffix}", "raw", np.ones((4, 4), np.uint8), (25, 9.8), (0, 4.9))
    source = DatasetSource(tmp_path / f"a.{suffix}", {RAW: "raw"})
    with pytest.raises(ValueError, match=r"\(25, 9\.8\)") as caught, gp.build(source):
        pass
    assert "4.9" in str(caught.value)


@both
def test_what_is_not_there(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    with (
        pytest.raises(StoreNotFound, match="there is no file"),
        gp.build(DatasetSource(path, {RAW: "raw"})),
    ):
        pass
    assert not path.exists()
    make(path, "volumes/raw", np.ones((4, 4)), (1, 1))
    with (
        pytest.raises(RuntimeError, match="volumes/raw") as caught,
        gp.build(DatasetSource(path, {RAW: "raw"})),
    ):
        pass
    assert isinstance(caught.value, DatasetNotFound)
    assert isinstance(caught.value, gp.PipelineSetupError)


@both
def test_a_read_only_file_is_read_and_left_as_it_is(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    make(path, "raw", np.ones((4, 4)), (1, 1))
    for file in [path, *path.rglob("*")] if path.is_dir() else [path]:
        file.chmod(stat.S_IREAD | (stat.S_IEXEC if file.is_dir() else 0))
    before = {f: f.stat().st_mtime_ns for f in [path, *path.rglob("*")]}
    try:
        assert served(DatasetSource(path, {RAW: "raw"}), asking(RAW=((0, 0), (4, 4))))[
            RAW
        ].data.all()
        assert before == {f: f.stat().st_mtime_ns for f in [path, *path.rglob("*")]}
    finally:
        for file in before:
            file.chmod(0o700)


def test_keys_have_to_be_array_keys(tmp_path):
    with pytest.raises(TypeError, match="maps ArrayKeys to names in the file, got 'raw'"):
        DatasetSource(tmp_path, {"raw": "raw"})


@both
def test_is_shipped_to_workers(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    whole = gp.Roi((0, 0), (100, 80))
    make(path, "raw", ramp(whole, (5, 4)), (5, 4))
    asked = gp.Roi((10, 8), (20, 40))
    source = DatasetSource(path, {RAW: "raw"})
    with gp.build(source + gp.PreCache(2, 1), seed=1) as pipeline:
        for _ in range(3):
            batch = pipeline.request_batch(asking(RAW=(asked.offset, asked.shape)))
            np.testing.assert_array_equal(batch[RAW].data, ramp(asked, (5, 4)))


@both
def test_is_pickled_before_and_while_it_is_built(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    make(path, "raw", np.ones((4, 4)), (1, 1))
    source = DatasetSource(path, {RAW: "raw"})
    again = pickle.loads(pickle.dumps(source))
    assert served(again, asking(RAW=((0, 0), (2, 2))))[RAW].data.all()
    with gp.build(source):
        other = pickle.loads(pickle.dumps(source))
        assert other.request_batch(asking(RAW=((0, 0), (2, 2))))[RAW].data.all()


@both
def test_can_be_built_again_on_a_file_made_anew(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    source = DatasetSource(path, {RAW: "raw"})
    for shape in ((4, 4), (6, 6)):
        make(path, "raw", np.ones(shape), (1, 1))
        assert served(source, asking(RAW=((0, 0), shape)))[RAW].data.shape == shape
        shutil.rmtree(path) if path.is_dir() else os.remove(path)


def test_the_names_of_stores_in_memory_are_short(tmp_path):
    assert DatasetSource("a/b.hdf", {}).name() == "DatasetSource[a/b.hdf]"
    assert DatasetSource({"zarr.json": b"..."}, {}).name() == "DatasetSource[dict]"


def test_remote_and_open_objects(tmp_path):
    with h5py.File(tmp_path / "a.hdf", "w") as file:
        file["volumes/raw"] = np.full((4, 4), 3)
        file["volumes/raw"].attrs["resolution"] = (2, 2)
    group = zarr.create_group({})
    raw = group.create_array("volumes/raw", shape=(4, 4), chunks=(2, 2), dtype="i4")
    raw[:] = 3
    raw.attrs["resolution"] = [2, 2]
    request = asking(RAW=((2, 2), (4, 4)))
    with h5py.File(tmp_path / "a.hdf", "r") as file:
        stores = [(group, "volumes/raw"), (group.store, "volumes/raw"), (group["volumes"], "raw")]
        for store, name in [*stores, (file, "volumes/raw"), (file["volumes"], "raw")]:
            batch = served(DatasetSource(store, {RAW: name}), request)
            np.testing.assert_array_equal(batch[RAW].data, np.full((2, 2), 3))


@both
def test_every_convention_of_metadata(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    for name, attrs in {
        "cremi": {"resolution": [40, 9.8], "offset": [80, 19.6]},
        "snapshot": {"voxel_size": [40, 9.8], "offset": [80, 19.6]},
        "named": {"voxel_size": [40, 9.8], "offset": [80, 19.6], "axis_names": ["c^", "z", "y"]},
    }.items():
        make(path, name, np.ones((2, 3, 4)), **attrs)
        source = DatasetSource(path, {RAW: name})
        with gp.build(source):
            assert source.spec[RAW].voxel_size == (40, Fraction(49, 5))
            assert source.spec[RAW].roi == gp.Roi((80, 19.6), (120, 39.2))


@both
def test_a_copy_of_an_array_with_a_voxel_size_of_many_digits(tmp_path, suffix):
    size = gp.Coordinate(Fraction("0.1083"), Fraction("7.00001"))
    path = tmp_path / f"a.{suffix}"
    create_dataset(path, "raw", (4, 4), "u1", geometry=Geometry(size, size * 1000)).write(
        (), np.ones((4, 4), np.uint8)
    )
    source = DatasetSource(path, {RAW: "raw"})
    with gp.build(source):
        assert source.spec[RAW].roi == gp.Roi(size * 1000, size * 4)


@both
@pytest.mark.parametrize("cache", [None, 0, 10_000, "ram"])
def test_however_much_is_kept_the_same_is_read(tmp_path, suffix, cache):
    roi, path = gp.Roi((40, 8, 12), (240, 96, 80)), tmp_path / f"a.{suffix}"
    data = ids(roi, (40, 4, 4))
    make(path, "raw", data, (40, 4, 4), (40, 8, 12))
    source = DatasetSource(path, {RAW: "raw"}, cache=cache)
    rng = np.random.default_rng(0)
    with gp.build(source):
        for _ in range(12):
            begin = [int(rng.integers(0, n)) for n in data.shape]
            size = [int(rng.integers(1, n - b + 1)) for b, n in zip(begin, data.shape, strict=True)]
            asked = gp.Roi(begin, size) * gp.Coordinate(40, 4, 4) + roi.offset
            got = source.request_batch(asking(RAW=asked))[RAW].data
            where = tuple(slice(b, b + n) for b, n in zip(begin, size, strict=True))
            np.testing.assert_array_equal(got, data[where])
            got[...] = 0  # what is handed out belongs to the caller


@pytest.mark.parametrize("cache", [None, "ram"])
def test_workers_share_what_is_kept(tmp_path, cache):
    data = ids(gp.Roi((0, 0, 0), (40, 40, 40)), (1, 1, 1))
    make(tmp_path / "a.hdf", "raw", data, (1, 1, 1))
    pipeline = (
        DatasetSource(tmp_path / "a.hdf", {RAW: "raw"}, cache=cache)
        + gp.RandomLocation()
        + gp.PreCache(4, num_workers=2)
    )
    plain = DatasetSource(tmp_path / "a.hdf", {RAW: "raw"}, cache=0) + gp.RandomLocation()
    request = asking(RAW=((0, 0, 0), (20, 20, 20)))
    with gp.build(pipeline, seed=3), gp.build(plain, seed=3):
        for _ in range(8):
            one, other = pipeline.request_batch(request), plain.request_batch(request)
            np.testing.assert_array_equal(one[RAW].data, other[RAW].data)


def test_a_cache_that_means_nothing():
    with pytest.raises(ValueError, match="cache is None, 'ram'"):
        gp.Hdf5Source("a.hdf", {RAW: "raw"}, cache="disk")


# -- what is special to pairs of images and labels -------------------------------------------------


@pytest.mark.parametrize("shape", [(0,), (0, 4, 4)])
def test_an_empty_dataset_is_read_as_zeros_where_it_is_placed(tmp_path, caplog, shape):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("labels", shape, np.int16)
    spec = gp.ArraySpec(gp.Roi((9.8, 2, 2), (29.4, 8, 8)), (9.8, 2, 2))
    make_source = lambda specs: gp.Hdf5Source(tmp_path / "a.h5", {LABELS: "labels"}, specs)  # noqa: E731
    request = gp.BatchRequest({LABELS: gp.Roi((0, 0, 0), (9.8, 4, 2))})
    array = served(make_source({LABELS: spec}) + gp.RandomLocation(), request)[LABELS]
    assert (array.data.shape, array.data.dtype) == ((1, 2, 1), np.int16)
    assert not array.data.any()
    assert "labels is empty, and is read as zeros in" in caplog.text
    with pytest.raises(gp.PipelineSetupError, match="To read it as zeros, say where"):
        served(make_source(None), request)


def test_masks_of_classes_go_with_their_source(tmp_path):
    """Which classes are labelled in a volume, and which do not occur: a row each."""
    inputs = []
    for number in range(2):
        path = tmp_path / f"{number}.h5"
        make(path, "raw", np.full((4, 4), number, np.float32), (1, 1))
        make(path, "info", np.array([[1, 1, number], [0, 0, 1 - number]], np.uint8))
        datasets = {RAW: "raw", LABELS: "info"}
        specs = {LABELS: gp.ArraySpec(nonspatial=True)}
        inputs.append(gp.Hdf5Source(path, datasets, specs) + gp.RandomLocation())
    request = gp.BatchRequest({RAW: gp.Roi((0, 0), (2, 2)), LABELS: gp.ArraySpec(nonspatial=True)})
    with gp.build(tuple(inputs) + gp.RandomProvider() + gp.Stack(3), seed=1) as built:
        for _ in range(5):
            batch = built.request_batch(request)
            for number, info in zip(batch[RAW].data[:, 0, 0], batch[LABELS].data, strict=True):
                assert info.tolist() == [[1, 1, number], [0, 0, 1 - number]]
