"""What all writers share, shown on both formats."""

import copy
import logging
import os
import pickle
import signal
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pytest
import zarr

import voxflow as gp
from tests.helpers import Nothing, asking, ids, ramp, served
from tests.helpers import source as memory
from voxflow.stores import (
    Geometry,
    OutputMismatch,
    create_dataset,
    list_datasets,
    open_dataset,
    read_geometry,
)

RAW, LABELS = gp.ArrayKey("RAW"), gp.ArrayKey("LABELS")

both = pytest.mark.parametrize("suffix", ["hdf", "zarr"])


class Quiet(gp.ScanCallback):
    pass


def writer(folder, suffix, names=None, **options):
    kind = gp.Hdf5Write if suffix == "hdf" else gp.ZarrWrite
    return kind(names or {RAW: "volumes/raw"}, folder, f"out.{suffix}", **options)


def scan(reference, **options):
    return gp.Scan(reference, progress_callback=Quiet(), **options)


@both
@pytest.mark.parametrize(
    ("offset", "shape", "voxel_size", "block"),
    [
        ((3,), (30,), (3,), (12,)),
        ((9.8, -8), (98, 40), (9.8, 8), (29.4, 16)),
        ((50, 4.6, 4.6), (250, 23, 46), (50, 4.6, 4.6), (100, 13.8, 18.4)),
        ((0, 0, 0, 0), (3, 4, 5, 6), (1, 1, 1, 1), (2, 3, 2, 5)),
    ],
)
def test_blocks_make_the_whole(tmp_path, suffix, offset, shape, voxel_size, block):
    whole = ramp(gp.Roi(offset, shape), voxel_size)
    pipeline = (
        memory(RAW, whole, voxel_size, offset)
        + writer(tmp_path / "deep" / "folder", suffix)
        + scan(asking(RAW=((0,) * len(block), block)))
    )
    assert len(served(pipeline, gp.BatchRequest())) == 0
    written = open_dataset(tmp_path / "deep" / "folder" / f"out.{suffix}", "volumes/raw")
    np.testing.assert_array_equal(written.read(), whole)
    geometry = read_geometry(written)
    assert (geometry.voxel_size, geometry.offset) == (
        gp.Coordinate(voxel_size),
        gp.Coordinate(offset),
    )


@both
def test_the_file_says_what_gunpowders_do(tmp_path, suffix):
    data = ramp(gp.Roi((20, 0), (40, 30)), (20, 10), np.float32)
    array = gp.Array(data, gp.ArraySpec(gp.Roi((20, 0), (40, 30)), (20, 10)))
    array.attrs.update(affinity_neighborhood=[[-1, 0], [0, -1]], resolution="wrong", note=None)
    pipeline = gp.ArraySource(RAW, array) + writer(tmp_path, suffix)
    batch = served(pipeline, asking(RAW=((20, 10), (20, 10))))
    np.testing.assert_array_equal(batch[RAW].data, data[:, :1, 1:2])
    path = tmp_path / f"out.{suffix}"
    if suffix == "hdf":
        with h5py.File(path) as file:
            written, attrs = file["volumes/raw"][:], dict(file["volumes/raw"].attrs)
    else:
        root = zarr.open_group(str(path), mode="r")
        written, attrs = root["volumes/raw"][:], dict(root["volumes/raw"].attrs)
    assert list(attrs["offset"]) == [20, 0]
    assert list(attrs["resolution"]) == [20, 10]
    np.testing.assert_array_equal(attrs["affinity_neighborhood"], [[-1, 0], [0, -1]])
    # As large as what is provided; what nobody wrote is 0.
    assert written.shape == (2, 2, 3)
    assert written.dtype == np.float32
    np.testing.assert_array_equal(written[:, :1, 1:2], data[:, :1, 1:2])
    assert np.count_nonzero(written) == 2


@both
def test_the_batch_passes_unchanged_and_is_left_alone_otherwise(tmp_path, suffix):
    pipeline = memory(RAW, np.ones((4, 4)), (1, 1)) + writer(
        tmp_path, suffix, dataset_dtypes={RAW: "uint8"}
    )
    with gp.build(pipeline):
        assert len(pipeline.request_batch(gp.BatchRequest())) == 0
        placeholder = gp.BatchRequest()
        placeholder.add(RAW, (2, 2), placeholder=True)
        pipeline.request_batch(placeholder)
        assert not (tmp_path / f"out.{suffix}").exists()
        batch = pipeline.request_batch(asking(RAW=((0, 0), (2, 2))))
    assert batch[RAW].data.dtype == np.float64
    assert open_dataset(tmp_path / f"out.{suffix}", "volumes/raw").dtype == np.uint8


@both
@pytest.mark.parametrize("compression", [None, "gzip", 9])
def test_compression(tmp_path, suffix, compression):
    data = np.zeros((64, 64), np.uint8)
    pipeline = memory(RAW, data, (1, 1)) + writer(tmp_path, suffix, compression_type=compression)
    served(pipeline, asking(RAW=((0, 0), (64, 64))))
    path = tmp_path / f"out.{suffix}"
    size = sum(f.stat().st_size for f in (path.rglob("*/raw/*") if path.is_dir() else [path]))
    assert (size < 3000) == (compression is not None) or suffix == "hdf"
    np.testing.assert_array_equal(open_dataset(path, "volumes/raw").read(), data)


@both
def test_an_unknown_compression_is_refused_at_once(tmp_path, suffix):
    with pytest.raises(ValueError, match="'bzip' is not known to .*: take None, 'gzip'"):
        writer(tmp_path, suffix, compression_type="bzip")


# -- what is there already -------------------------------------------------------------------------


def existing(path, shape=(4, 6), dtype="u1", voxel_size=(2, 2), offset=(0, 0), **options):
    geometry = None if voxel_size is None else Geometry(voxel_size, offset)
    made = create_dataset(path, "volumes/raw", shape, dtype, geometry=geometry, **options)
    made.write((), np.full(shape, 7, dtype))


@both
@pytest.mark.parametrize(
    ("there", "text"),
    [
        ({"voxel_size": (2, 4)}, r"its voxel size is \(2, 4\), not \(2, 2\)"),
        ({"shape": (4, 5)}, r"it covers .* not all of .*\[0:4, 0:6\]"),
        ({"offset": (2, 0)}, "it covers"),
        ({"offset": (-1, 0), "shape": (9, 9)}, "between those of the output"),
        ({"voxel_size": None}, "does not say its voxel size"),
        (
            {"shape": (4, 6, 3), "attrs": {"axis_names": ["y", "x", "c^"]}},
            r"its spatial axes are \(0, 1\), not the last",
        ),
    ],
)
def test_a_dataset_that_differs_is_refused_at_setup(tmp_path, suffix, there, text):
    path = tmp_path / f"out.{suffix}"
    existing(path, **there)
    before = open_dataset(path, "volumes/raw").read()
    pipeline = memory(RAW, np.zeros((4, 6), np.uint8), (2, 2)) + writer(tmp_path, suffix)
    with pytest.raises(OutputMismatch, match=text) as caught, gp.build(pipeline):
        raise AssertionError("not reached")
    assert isinstance(caught.value, gp.PipelineSetupError)
    assert "out." in str(caught.value)
    np.testing.assert_array_equal(open_dataset(path, "volumes/raw").read(), before)


@both
def test_a_dataset_that_is_there_keeps_its_dtype(tmp_path, suffix):
    path = tmp_path / f"out.{suffix}"
    existing(path)
    pipeline = memory(RAW, np.full((4, 6), 254.7, np.float32), (2, 2))
    served(pipeline + writer(tmp_path, suffix), asking(RAW=((0, 0), (8, 6))))
    written = open_dataset(path, "volumes/raw")
    assert written.dtype == np.uint8
    np.testing.assert_array_equal(written.read(), [[254] * 3 + [7] * 3] * 4)
    too_large = memory(RAW, np.full((4, 6), 256.0), (2, 2)) + writer(tmp_path, suffix)
    with pytest.raises(ValueError, match="uint8 cannot hold"):
        served(too_large, asking(RAW=((0, 0), (8, 12))))


@both
def test_a_dataset_that_is_there_is_refused_for_the_dtype_that_was_asked_for(tmp_path, suffix):
    existing(tmp_path / f"out.{suffix}", dtype="f4")
    pipeline = memory(RAW, np.zeros((4, 6), np.uint8), (2, 2)) + writer(
        tmp_path, suffix, dataset_dtypes={RAW: "u1"}
    )
    with pytest.raises(OutputMismatch, match="its dtype is float32, not uint8"), gp.build(pipeline):
        raise AssertionError("not reached")


def endless(data, voxel_size):
    """A source that provides without bounds, as a model does whose outputs have no spec."""
    return memory(RAW, data, voxel_size) + gp.Pad(RAW, None)


@both
def test_without_bounds_the_part_inside_of_a_dataset_that_is_there_is_written(
    tmp_path, suffix, caplog
):
    path = tmp_path / f"out.{suffix}"
    existing(path, shape=(4, 6), offset=(2, -4))
    pipeline = endless(np.ones((8, 8), np.uint8), (2, 2)) + writer(tmp_path, suffix)
    with gp.build(pipeline):
        batch = pipeline.request_batch(asking(RAW=((0, 4), (4, 20))))
        assert batch[RAW].data.shape == (2, 10)
        assert not caplog.records
        for _ in range(2):
            pipeline.request_batch(asking(RAW=((20, 0), (4, 4))))
    assert [r.levelname for r in caplog.records] == ["WARNING"]
    assert "nothing is written" in caplog.text
    wanted = np.full((4, 6), 7)
    wanted[0, 4:] = 1
    np.testing.assert_array_equal(open_dataset(path, "volumes/raw").read(), wanted)


@both
@pytest.mark.parametrize("workers", [1, 2])
def test_a_scan_without_bounds_fills_the_dataset_that_is_there(tmp_path, suffix, workers):
    path = tmp_path / f"out.{suffix}"
    existing(path, shape=(6, 9), dtype="u1", offset=(2, -4), chunks=(2, 3))
    data = np.arange(64, dtype=np.float32).reshape(8, 8)
    pipeline = (
        endless(data, (2, 2))
        + writer(tmp_path, suffix)
        + scan(asking(RAW=((2, 2), (4, 6))), num_workers=workers)
    )
    served(pipeline, asking(RAW=((2, -4), (12, 18))))
    wanted = np.pad(data, 4)[5:11, 2:11]
    np.testing.assert_array_equal(open_dataset(path, "volumes/raw").read(), wanted)


@both
def test_without_bounds_there_has_to_be_a_dataset(tmp_path, suffix):
    pipeline = endless(np.ones((8, 8), np.uint8), (2, 2)) + writer(tmp_path, suffix)
    with pytest.raises(RuntimeError, match="make the dataset before"), gp.build(pipeline):
        raise AssertionError("not reached")


@both
def test_channels_that_differ_are_refused_before_anything_is_written(tmp_path, suffix):
    path = tmp_path / f"out.{suffix}"
    existing(path, shape=(3, 4, 6))
    pipeline = (
        memory(LABELS, np.zeros((4, 6), np.uint8), (2, 2)),
        memory(RAW, np.zeros((2, 4, 6), np.uint8), (2, 2)),
    ) + gp.MergeProvider()
    pipeline += writer(tmp_path, suffix, {LABELS: "labels", RAW: "volumes/raw"})
    where = ((0, 0), (8, 12))
    with pytest.raises(OutputMismatch, match=r"channels is \(3,\), not \(2,\)"):
        served(pipeline, asking(RAW=where, LABELS=where))
    assert list_datasets(path) == ["volumes/raw"]
    assert (open_dataset(path, "volumes/raw").read() == 7).all()


@both
def test_a_dataset_that_fits_is_filled_further(tmp_path, suffix):
    path = tmp_path / f"out.{suffix}"
    existing(path, shape=(8, 8), offset=(-2, -2))
    pipeline = memory(RAW, np.ones((4, 6), np.uint8), (2, 2)) + writer(tmp_path, suffix)
    for offset in ((0, 0), (4, 4)):
        served(pipeline, asking(RAW=(offset, (4, 4))))
    wanted = np.full((8, 8), 7)
    wanted[1:3, 1:3] = wanted[3:5, 3:5] = 1
    np.testing.assert_array_equal(open_dataset(path, "volumes/raw").read(), wanted)


@both
def test_a_group_or_another_format_in_the_way(tmp_path, suffix):
    path = tmp_path / f"out.{suffix}"
    existing(path)
    pipeline = memory(RAW, np.zeros((4, 6), np.uint8), (2, 2))
    with (
        pytest.raises(OutputMismatch, match="is a group"),
        gp.build(pipeline + writer(tmp_path, suffix, {RAW: "volumes"})),
    ):
        pass
    other = gp.ZarrWrite if suffix == "hdf" else gp.Hdf5Write
    with (
        pytest.raises(OutputMismatch, match="is there already, and is"),
        gp.build(pipeline + other({RAW: "raw"}, tmp_path, f"out.{suffix}")),
    ):
        pass


@both
def test_values_that_the_output_cannot_hold(tmp_path, suffix):
    data = np.full((4, 4), 100.0)
    data[:, 3] = 300
    pipeline = memory(RAW, data, (1, 1)) + writer(tmp_path, suffix, dataset_dtypes={RAW: "uint8"})
    with gp.build(pipeline):
        pipeline.request_batch(asking(RAW=((0, 0), (4, 2))))
        with pytest.raises(ValueError, match=r"300.0\], which uint8 cannot hold"):
            pipeline.request_batch(asking(RAW=((0, 2), (4, 2))))
    written = open_dataset(tmp_path / f"out.{suffix}", "volumes/raw", missing_chunks="fill").read()
    assert written.max() == 100


@both
def test_probabilities_that_become_zero_are_told_once(tmp_path, suffix, caplog):
    pipeline = memory(RAW, np.full((4, 4), 0.5), (1, 1)) + writer(
        tmp_path, suffix, dataset_dtypes={RAW: "uint8"}
    )
    with caplog.at_level(logging.WARNING):
        served(pipeline + scan(asking(RAW=((0, 0), (2, 2)))), gp.BatchRequest())
    assert [record.getMessage().count("become 0 as uint8") for record in caplog.records] == [1]


# -- what is refused before the run ----------------------------------------------------------------


@both
def test_two_writers_on_one_dataset(tmp_path, suffix, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = np.zeros((4, 4), np.uint8)
    first = writer(tmp_path, suffix)
    second = type(first)({RAW: "/volumes//raw"}, Path(), f"out.{suffix}")
    with (
        pytest.raises(ValueError, match=r"(\w+) and \1-2 would both write") as caught,
        gp.build(memory(RAW, data, (1, 1)) + first + second),
    ):
        pass
    assert isinstance(caught.value, gp.PipelineSetupError)
    # Side by side as well, where none is upstream of the other.
    branches = (
        memory(RAW, data, (1, 1)) + first,
        memory(LABELS, data, (1, 1)) + type(first)({LABELS: "volumes/raw"}, ".", f"out.{suffix}"),
    )
    with (
        pytest.raises(ValueError, match="would both write"),
        gp.build(branches + gp.MergeProvider()),
    ):
        pass
    # Afterwards all is free again; another dataset in the same file is fine.
    third = type(first)({RAW: "other"}, tmp_path, f"out.{suffix}")
    served(memory(RAW, data, (1, 1)) + first + third, asking(RAW=((0, 0), (4, 4))))
    assert list_datasets(tmp_path / f"out.{suffix}") == ["other", "volumes/raw"]


def test_one_zarr_store_by_two_names(tmp_path):
    group = zarr.open_group(str(tmp_path / "out.zarr"), mode="w")
    pipeline = (
        memory(RAW, np.zeros((4, 4)), (1, 1))
        + gp.ZarrWrite({RAW: "raw"}, tmp_path, "out.zarr")
        + gp.ZarrWrite({RAW: "raw"}, store=group)
    )
    with pytest.raises(ValueError, match="would both write"), gp.build(pipeline):
        pass


def test_mistakes_in_the_names(tmp_path):
    with pytest.raises(ValueError, match="more than one array would be written to raw"):
        gp.Hdf5Write({RAW: "raw", LABELS: "/raw"})
    with pytest.raises(TypeError, match="maps ArrayKeys to names of datasets, got 'raw'"):
        gp.Hdf5Write({"raw": "raw"})
    with pytest.raises(TypeError, match="got GRAPH"):
        gp.Hdf5Write({gp.GraphKey("GRAPH"): "raw"})


@both
def test_arrays_without_a_place(tmp_path, suffix):
    table = gp.ArraySource(RAW, gp.Array(np.ones(4), gp.ArraySpec(nonspatial=True)))
    with (
        pytest.raises(RuntimeError, match="RAW, which has no place; use Snapshot"),
        gp.build(table + writer(tmp_path, suffix)),
    ):
        pass
    unbounded = memory(RAW, np.ones((4, 4)), (1, 1)) + gp.Pad(RAW, None)
    with (
        pytest.raises(RuntimeError, match="how large the dataset of RAW .* put Crop"),
        gp.build(unbounded + writer(tmp_path, suffix)),
    ):
        pass
    with (
        pytest.raises(KeyError, match="LABELS"),
        gp.build(
            memory(RAW, np.ones((4, 4)), (1, 1)) + writer(tmp_path, suffix, {LABELS: "labels"})
        ),
    ):
        pass


@both
def test_all_that_is_written_has_to_be_asked_for(tmp_path, suffix):
    data = np.zeros((4, 4), np.uint8)
    pipeline = (memory(RAW, data, (1, 1)), memory(LABELS, data, (1, 1))) + gp.MergeProvider()
    pipeline += writer(tmp_path, suffix, {RAW: "raw", LABELS: "labels"})
    with pytest.raises(gp.PipelineRequestError, match="writes LABELS, which is not in the request"):
        served(pipeline, asking(RAW=((0, 0), (4, 4))))
    assert not (tmp_path / f"out.{suffix}").exists()


@both
def test_a_batch_without_voxels_makes_no_file(tmp_path, suffix):
    pipeline = memory(RAW, np.ones((4, 4)), (1, 1)) + writer(tmp_path, suffix)
    with gp.build(pipeline):
        pipeline.request_batch(asking(RAW=((0, 0), (0, 0))))
        assert not (tmp_path / f"out.{suffix}").exists()
        pipeline.request_batch(asking(RAW=((0, 0), (2, 2))))


# -- workers ---------------------------------------------------------------------------------------


@both
def test_a_parallel_scan_writes_what_a_serial_one_does(tmp_path, suffix):
    roi = gp.Roi((0, 0, 0), (40, 50, 60))
    data = ids(roi, (2, 2, 2))
    files = []
    for workers in (1, 2):
        path = tmp_path / str(workers) / f"out.{suffix}"
        # Chunks that no block fits: every chunk is touched by several blocks.
        create_dataset(
            path,
            "volumes/raw",
            data.shape,
            data.dtype,
            chunks=(7, 8, 9),
            geometry=Geometry((2, 2, 2), (0, 0, 0)),
        )
        pipeline = (
            memory(RAW, data, (2, 2, 2))
            + Nothing()
            + writer(path.parent, suffix)
            + scan(asking(RAW=((0, 0, 0), (18, 20, 22))), num_workers=workers, cache_size=4)
        )
        served(pipeline, gp.BatchRequest())
        np.testing.assert_array_equal(open_dataset(path, "volumes/raw").read(), data)
        if suffix == "zarr":
            files.append({f.relative_to(path): f.read_bytes() for f in path.rglob("[0-9]*")})
    assert not files or files[0] == files[1]


@both
def test_two_scans_and_a_new_file(tmp_path, suffix):
    data = ids(gp.Roi((0, 0), (12, 12)), (1, 1))
    pipeline = (
        memory(RAW, data, (1, 1))
        + writer(tmp_path, suffix)
        + scan(asking(RAW=((0, 0), (5, 4))), num_workers=2)
    )
    with gp.build(pipeline):
        pipeline.request_batch(gp.BatchRequest())
        pipeline.request_batch(gp.BatchRequest())
    np.testing.assert_array_equal(
        open_dataset(tmp_path / f"out.{suffix}", "volumes/raw").read(), data
    )


@both
@pytest.mark.parametrize("method", ["forkserver", "thread"])
def test_no_writer_in_workers(tmp_path, suffix, method):
    data = np.zeros((4, 4), np.uint8)
    pipeline = memory(RAW, data, (1, 1)) + writer(tmp_path, suffix)
    name = type(writer(tmp_path, suffix)).__name__
    with (
        pytest.raises(
            ValueError,
            match=f"{name} is upstream of PreCache.*downstream of PreCache, or use num_wor",
        ) as caught,
        gp.build(pipeline + gp.PreCache(2, 2, method=method)),
    ):
        pass
    assert isinstance(caught.value, gp.PipelineSetupError)
    with (
        pytest.raises(ValueError, match=f"{name} is not directly upstream of Scan"),
        gp.build(
            pipeline + Nothing() + scan(asking(RAW=((0, 0), (2, 2))), num_workers=2, method=method)
        ),
    ):
        pass
    served(pipeline + gp.PreCache(2, 0), asking(RAW=((0, 0), (4, 4))))
    served(
        memory(RAW, data, (1, 1)) + gp.PreCache(2, 1) + writer(tmp_path, suffix),
        asking(RAW=((0, 0), (4, 4))),
    )


@both
def test_threads_that_share_chunks(tmp_path, suffix):
    data = ids(gp.Roi((0,), (120,)), (1,))
    create_dataset(
        tmp_path / f"out.{suffix}",
        "volumes/raw",
        data.shape,
        data.dtype,
        chunks=(50,),
        geometry=Geometry((1,), (0,)),
    )
    pipeline = memory(RAW, data, (1,)) + writer(tmp_path, suffix)
    with gp.build(pipeline), ThreadPoolExecutor(4) as pool:
        requests = [asking(RAW=((i,), (3,))) for i in range(0, 120, 3)]
        list(pool.map(pipeline.request_batch, requests))
    written = open_dataset(tmp_path / f"out.{suffix}", "volumes/raw").read()
    np.testing.assert_array_equal(written, data)


@both
def test_copies_share_what_is_open_and_pickles_do_not(tmp_path, suffix):
    node = writer(tmp_path, suffix)
    with gp.build(memory(RAW, np.ones((4, 4)), (1, 1)) + node) as pipeline:
        pipeline.request_batch(asking(RAW=((0, 0), (2, 2))))
        assert copy.copy(node)._output is node._output
        other = pickle.loads(pickle.dumps(node))
        assert not other._output.targets
        # A pickle may write on where the first one stands.
        other.request_batch(asking(RAW=((2, 2), (2, 2))))
    written = open_dataset(tmp_path / f"out.{suffix}", "volumes/raw", missing_chunks="fill").read()
    assert written.sum() == 8


# -- files -----------------------------------------------------------------------------------------


@both
def test_can_be_read_while_and_after_it_is_written(tmp_path, suffix):
    path = tmp_path / f"out.{suffix}"

    def read():
        if suffix == "hdf":
            with h5py.File(path, "r") as file:
                return file["volumes/raw"][:]
        return zarr.open_group(str(path), mode="r")["volumes/raw"][:]

    pipeline = memory(RAW, np.ones((4, 4)), (1, 1)) + writer(tmp_path, suffix)
    with gp.build(pipeline):
        pipeline.request_batch(asking(RAW=((0, 0), (2, 4))))
        assert read().sum() == 8
        reader = gp.ZarrSource if suffix == "zarr" else gp.Hdf5Source
        batch = served(reader(path, {RAW: "volumes/raw"}), asking(RAW=((0, 0), (2, 4))))
        assert batch[RAW].data.all()
        pipeline.request_batch(asking(RAW=((2, 0), (2, 4))))
        assert read().sum() == 16
    assert read().sum() == 16
    if suffix == "hdf":
        with h5py.File(path, "r+") as file:  # nobody holds it any more
            file["more"] = 1


@both
def test_can_be_read_by_others_after_an_error(tmp_path, suffix):
    data = np.ones((4, 4))
    data[2:] = 300
    pipeline = memory(RAW, data, (1, 1)) + writer(tmp_path, suffix, dataset_dtypes={RAW: "u1"})
    kept = None
    with gp.build(pipeline):
        pipeline.request_batch(asking(RAW=((0, 0), (2, 4))))
        try:
            pipeline.request_batch(asking(RAW=((2, 0), (2, 4))))
        except ValueError as error:
            kept = error  # and with it all that its traceback holds
    code = "import sys, voxflow.stores as s; print(s.open_dataset(*sys.argv[1:]).read([slice(2)]))"
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / f"out.{suffix}", "volumes/raw"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["[[1", "1", "1", "1]", "[1", "1", "1", "1]]"], done.stderr
    del kept


@both
def test_what_was_written_outlives_a_kill(tmp_path, suffix):
    script = textwrap.dedent(
        """
        import os, signal, sys
        import numpy as np
        import voxflow as gp

        raw = gp.ArrayKey("RAW")
        array = gp.Array(np.ones((6, 4)), gp.ArraySpec(gp.Roi((0, 0), (6, 4)), (1, 1)))
        write = gp.Hdf5Write if sys.argv[2].endswith("hdf") else gp.ZarrWrite
        pipeline = gp.ArraySource(raw, array) + write({raw: "volumes/raw"}, *sys.argv[1:])
        with gp.build(pipeline):
            for i in range(2):
                pipeline.request_batch(gp.BatchRequest({raw: gp.Roi((2 * i, 0), (2, 4))}))
            os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path, f"out.{suffix}"], check=False, env=dict(os.environ)
    )
    assert done.returncode == -signal.SIGKILL
    written = open_dataset(tmp_path / f"out.{suffix}", "volumes/raw", missing_chunks="fill")
    np.testing.assert_array_equal(
        written.read(), np.repeat([1, 1, 0], 2)[:, None] * np.ones((1, 4))
    )
    # And the next run goes on.
    pipeline = memory(RAW, np.ones((6, 4)), (1, 1)) + writer(tmp_path, suffix)
    served(pipeline, asking(RAW=((4, 0), (2, 4))))
    assert open_dataset(tmp_path / f"out.{suffix}", "volumes/raw").read().all()


@both
def test_a_copy_of_a_real_volume(tmp_path, suffix, real_data):
    source = gp.Hdf5Source(real_data / "vnc_train.hdf", {LABELS: "volumes/labels/clefts"})
    crop = gp.Roi((200, 460, 460), (200, 460, 460))
    pipeline = (
        source
        + gp.Crop(LABELS, crop)
        + writer(tmp_path, suffix, {LABELS: "clefts"}, compression_type="gzip")
        + scan(asking(LABELS=((0, 0, 0), (100, 138, 230))), num_workers=2)
    )
    served(pipeline, gp.BatchRequest())
    reader = gp.Hdf5Source if suffix == "hdf" else gp.ZarrSource
    copied = served(
        reader(tmp_path / f"out.{suffix}", {LABELS: "clefts"}),
        asking(LABELS=((200, 460, 460), (200, 460, 460))),
    )
    first = served(source, asking(LABELS=((200, 460, 460), (200, 460, 460))))
    np.testing.assert_array_equal(copied[LABELS].data, first[LABELS].data)
    assert copied[LABELS].spec == first[LABELS].spec
    assert first[LABELS].data.max() == 2**64 - 1


# -- how it is stored ------------------------------------------------------------------------------


@both
def test_chunks_of_the_spatial_axes(tmp_path, suffix):
    data = np.arange(3 * 9 * 10, dtype=np.uint16).reshape(3, 9, 10)
    pipeline = memory(RAW, data, (2, 2)) + writer(tmp_path, suffix, chunks={RAW: (4, 20)})
    served(pipeline + scan(asking(RAW=((0, 0), (8, 10)))), gp.BatchRequest())
    made = open_dataset(tmp_path / f"out.{suffix}", "volumes/raw")
    assert made.chunks == (3, 4, 20 if suffix == "zarr" else 10)
    np.testing.assert_array_equal(made.read(), data)


def test_shards_make_a_store_of_format_3(tmp_path):
    data = np.arange(3 * 9 * 10, dtype=np.uint16).reshape(3, 9, 10)
    options = {"chunks": (1, 2, 5), "shards": (4, 10), "compression_type": "blosc:lz4"}
    pipeline = memory(RAW, data, (2, 2)) + writer(tmp_path, "zarr", **options)
    served(pipeline + scan(asking(RAW=((0, 0), (8, 20)))), gp.BatchRequest())
    made = zarr.open_group(str(tmp_path / "out.zarr"), mode="r")["volumes/raw"]
    assert (made.metadata.zarr_format, made.chunks, made.shards) == (3, (1, 2, 5), (3, 4, 10))
    np.testing.assert_array_equal(made[:], data)


def test_the_zarr_format_is_chosen(tmp_path):
    pipeline = memory(RAW, np.ones((4, 4)), (1, 1)) + writer(tmp_path, "zarr", zarr_format=3)
    served(pipeline, asking(RAW=((0, 0), (4, 4))))
    assert (tmp_path / "out.zarr/volumes/raw/zarr.json").is_file()


@both
def test_a_scale_makes_bytes_of_probabilities(tmp_path, suffix, caplog):
    data = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
    both_arrays = (memory(RAW, data, (1, 1)), memory(LABELS, data, (1, 1))) + gp.MergeProvider()
    pipeline = both_arrays + writer(
        tmp_path,
        suffix,
        {RAW: "raw", LABELS: "half"},
        dataset_dtypes={RAW: "uint8"},
        scale={RAW: 255},
    )
    where = ((0, 0), (3, 4))
    with caplog.at_level(logging.WARNING):
        batch = served(pipeline, asking(RAW=where, LABELS=where))
    assert not caplog.records
    np.testing.assert_array_equal(batch[RAW].data, data)
    path = tmp_path / f"out.{suffix}"
    np.testing.assert_array_equal(open_dataset(path, "raw").read(), np.rint(data * 255))
    np.testing.assert_array_equal(open_dataset(path, "half").read(), data)


@pytest.mark.parametrize("scale", [0, np.nan, np.inf, {RAW: 0}])
def test_a_scale_is_a_number(tmp_path, scale):
    with pytest.raises(ValueError, match="scale has to be a number other than 0"):
        writer(tmp_path, "zarr", scale=scale)


# -- several processes -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("store", "name", "parallel", "place", "record"),
    [
        ("a.zarr", "raw", True, "a.zarr/raw", "a.zarr/raw/.scan"),
        ("a.n5", "raw", True, "a.n5/raw", "a.n5/raw/.scan"),
        ("precomputed://out", "raw", True, "out/raw", "out/raw/.scan"),
        ("a.hdf", "raw", False, "a.hdf", "a.hdf.scan/raw"),
        ("a.tif", "", False, "a.tif", "a.tif.scan"),
        ("images://sections", "", False, "sections", "sections/.scan"),
        ("s3://bucket/a.zarr", "raw", True, None, None),
        ({}, "raw", False, None, None),
        (zarr.storage.MemoryStore(), "raw", False, None, None),
    ],
)
def test_who_may_write_where(tmp_path, monkeypatch, store, name, parallel, place, record):
    monkeypatch.chdir(tmp_path)
    node = gp.DatasetWrite({RAW: name}, store)
    assert node.parallel is parallel
    ((key, itself, path, found, notes),) = node.outputs()
    assert (key, itself, path) == (RAW, store, name)
    assert found == (None if place is None else str(tmp_path / place))
    assert notes == (None if record is None else tmp_path / record)


def test_a_zarr_store_of_a_folder(tmp_path):
    node = gp.ZarrWrite({RAW: "raw"}, store=zarr.open_group(str(tmp_path / "a.zarr"), mode="w"))
    assert node.parallel
    assert node.outputs()[0].location == str(tmp_path / "a.zarr" / "raw")


def test_what_keeps_processes_from_writing_at_once(tmp_path):
    data = np.zeros((2, 12, 20), np.uint8)
    pipeline = memory(RAW, data, (4, 2), (8, 0))
    node = writer(tmp_path, "zarr", chunks=(2, 5))
    stride, begin = gp.Coordinate(8, 10), gp.Coordinate(8, 0)
    with gp.build(pipeline + node):
        assert node.parallel_obstacle(RAW, stride, begin) is None
        told = node.parallel_obstacle(RAW, gp.Coordinate(12, 10), begin)
        assert "out.zarr:volumes/raw along axis 0 (blocks every (12, 10)" in told
        assert "chunks every (8, 10) from (8, 0)" in told
        assert "such as (16, 10)" in told
        assert "along axis 0 and 1" in node.parallel_obstacle(RAW, stride, begin + 4)
        # One block only along the first axis.
        assert node.parallel_obstacle(RAW, gp.Coordinate(60, 20), begin) is None
    existing(tmp_path / "out.zarr", (2, 14, 20), "u1", (4, 2), chunks=(1, 3, 20))
    node = writer(tmp_path, "zarr", chunks=(2, 5))
    with gp.build(pipeline + node):
        told = node.parallel_obstacle(RAW, stride, begin)
        assert "along axis 0 and 1" in told
        assert "such as (12, 40)" in told
        assert node.parallel_obstacle(RAW, gp.Coordinate(12, 40), gp.Coordinate(0, 0)) is None


def test_shards_are_what_processes_must_not_share(tmp_path):
    pipeline = memory(RAW, np.zeros((12, 20), np.uint8), (1, 1))
    node = writer(tmp_path, "zarr", chunks=(2, 5), shards=(4, 10))
    zero = gp.Coordinate(0, 0)
    with gp.build(pipeline + node):
        for _ in range(2):  # before and after it is made
            assert "axis 0 and 1" in node.parallel_obstacle(RAW, gp.Coordinate(2, 5), zero)
            assert node.parallel_obstacle(RAW, gp.Coordinate(4, 10), zero) is None
            pipeline = node.request_batch(asking(RAW=((0, 0), (12, 20))))


def test_formats_that_one_process_writes(tmp_path):
    node = writer(tmp_path, "hdf")
    with gp.build(memory(RAW, np.zeros((4, 4)), (1, 1)) + node):
        told = node.parallel_obstacle(RAW, gp.Coordinate(2, 2), gp.Coordinate(0, 0))
    assert "only one process at a time can write to" in told
    assert "out.hdf:volumes/raw" in told


@pytest.mark.parametrize("store", ["a.zarr", "a.n5", "a.hdf", "precomputed://out", "memory"])
def test_removing_what_is_written(tmp_path, monkeypatch, store):
    monkeypatch.chdir(tmp_path)
    store = {} if store == "memory" else store
    data = np.ones((3, 4, 5), np.uint8)
    where = asking(RAW=((0, 0, 0), (3, 4, 5)), LABELS=((0, 0, 0), (3, 4, 5)))

    names = {RAW: "raw", LABELS: "labels"}

    def line():
        arrays = (memory(RAW, data, (1, 1, 1)), memory(LABELS, data, (1, 1, 1)))
        return arrays + gp.MergeProvider(), gp.DatasetWrite(names, store)

    first, node = line()
    node.remove()  # nothing is there
    served(first + node, where)
    gp.DatasetWrite({RAW: "raw"}, store).remove()
    assert list_datasets(store) == ["labels"]
    again, node = line()
    served(again + node, where)
    assert (open_dataset(store, "raw").read() == 1).all()
    node.finish()


def test_another_format_is_not_removed(tmp_path):
    existing(tmp_path / "out.zarr")
    with pytest.raises(OutputMismatch, match="is there already, and is"):
        gp.Hdf5Write({RAW: "volumes/raw"}, tmp_path, "out.zarr").remove()
    assert list_datasets(tmp_path / "out.zarr") == ["volumes/raw"]
