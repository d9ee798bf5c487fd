import os
import shutil
import stat

import numpy as np
import pytest
import zarr

from voxflow.stores import (
    DatasetNotFound,
    MissingChunk,
    ReadOnly,
    StoreError,
    StoreNotFound,
    create_dataset,
    list_datasets,
    open_attrs,
    open_dataset,
)
from voxflow.testing.stores import StoreTests, ramp, run_forked


class ZarrTests(StoreTests):
    zarr_format = 2
    path = "volumes/raw"

    def make(self, folder, shape, dtype, chunks):
        return create_dataset(
            folder / "a.zarr",
            self.path,
            shape,
            dtype,
            chunks=chunks,
            compression=1,
            zarr_format=self.zarr_format,
        )

    def reopen(self, dataset, mode="r", missing_chunks="error"):
        store, path = dataset.uri.split(":")
        return open_dataset(store, path, mode, missing_chunks=missing_chunks)


class TestZarr2(ZarrTests):
    pass


class TestZarr2AtTheRoot(ZarrTests):
    path = ""


class TestZarr3(ZarrTests):
    zarr_format = 3


class TestZarr3Sharded(ZarrTests):
    def make(self, folder, shape, dtype, chunks):
        return create_dataset(
            folder / "a.zarr",
            self.path,
            shape,
            dtype,
            shards=chunks,
            chunks=[max(1, size // 2) if size % 2 == 0 else size for size in chunks],
        )


class TestZarrInMemory(ZarrTests):
    def make(self, folder, shape, dtype, chunks):
        self.store = zarr.storage.MemoryStore()
        return create_dataset(self.store, self.path, shape, dtype, chunks=chunks)

    def reopen(self, dataset, mode="r", missing_chunks="error"):
        return open_dataset(self.store, self.path, mode, missing_chunks=missing_chunks)


@pytest.fixture(params=[2, 3])
def store(tmp_path, request):
    dataset = create_dataset(
        tmp_path / "a.zarr", "raw", (8, 8), "u1", chunks=(4, 4), zarr_format=request.param
    )
    dataset.write((), ramp((8, 8), "u1"))
    return tmp_path / "a.zarr"


def chunk_file(store):
    found = [store / "raw" / name for name in ("0.1", "0/1", "c/0/1")]
    return next(path for path in found if path.exists())


def test_a_lost_chunk_is_an_error_that_names_it(store):
    dataset = open_dataset(store, "raw")
    dataset.read()
    os.remove(chunk_file(store))
    dataset.read((slice(0, 8), slice(0, 4)))
    with pytest.raises(MissingChunk) as caught:
        dataset.read((slice(0, 8), slice(2, 8)))
    key = str(chunk_file_name(store))
    for part in (f"{store}:raw", "1 of the 4 chunks", "chunk (0, 1)", key, "[0:4, 4:8]", "restore"):
        assert part in str(caught.value)
    assert not open_dataset(store, "raw", missing_chunks="fill").read()[:4, 4:].any()


def chunk_file_name(store):
    return "raw/0.1" if (store / "raw" / ".zarray").exists() else "raw/c/0/1"


def test_a_lost_disk_is_an_error(store):
    dataset = open_dataset(store, "raw")
    shutil.rmtree(store)
    with pytest.raises(MissingChunk, match="4 of the 4 chunks"):
        dataset.read()
    with pytest.raises(StoreNotFound, match="there is no file or directory"):
        open_dataset(store, "raw")


def test_chunks_lost_inside_a_shard(tmp_path):
    dataset = create_dataset(
        tmp_path / "a.zarr", "raw", (16, 16), "u1", shards=(8, 8), chunks=(4, 4)
    )
    dataset.write((slice(0, 4), slice(0, 4)), np.ones((4, 4), "u1"))
    reader = open_dataset(tmp_path / "a.zarr", "raw")
    assert reader.read((slice(0, 4), slice(1, 3))).all()
    with pytest.raises(MissingChunk) as caught:
        reader.read((slice(0, 8), slice(2, 6)))
    for part in ("3 of the 4 chunks", "(0, 1)", "in shard raw/c/0/0", "[0:4, 4:8]"):
        assert part in str(caught.value)
    dataset.write((slice(8, 16), slice(0, 8)), np.ones((8, 8), "u1"))
    with pytest.raises(MissingChunk, match=r"2 of the 4 shards .*shard \(0, 1\)"):
        reader.read()
    assert reader.chunks == (8, 8)


def test_shards_with_the_index_at_the_start(tmp_path):
    codec = zarr.codecs.ShardingCodec(chunk_shape=(2,), index_location="start")
    array = zarr.create_array(
        tmp_path / "a.zarr", shape=(8,), chunks=(4,), dtype="u1", serializer=codec,
        filters=None, compressors=None, config={"write_empty_chunks": True},
    )  # fmt: skip
    array[0:6] = 1
    reader = open_dataset(tmp_path / "a.zarr")
    assert reader.read((slice(0, 6),)).all()
    with pytest.raises(MissingChunk, match=r"chunk \(3,\)"):
        reader.read()


def test_data_of_others_that_omit_empty_chunks(tmp_path):
    array = zarr.create_array(
        tmp_path / "a.zarr", shape=(8,), chunks=(4,), dtype="u1", zarr_format=2, fill_value=7
    )
    array[:] = [7] * 4 + [1] * 4
    with pytest.raises(MissingChunk, match="read those as 7 with missing_chunks='fill'"):
        open_dataset(tmp_path / "a.zarr").read()
    np.testing.assert_array_equal(
        open_dataset(tmp_path / "a.zarr", missing_chunks="fill").read(), array[:]
    )


def test_zip_files(tmp_path):
    with zarr.storage.ZipStore(tmp_path / "a.zip", mode="w") as packed:
        group = zarr.create_group(packed, zarr_format=2)
        group.create_array("raw", shape=(8,), chunks=(4,), dtype="u1")[:4] = 1
    dataset = open_dataset(tmp_path / "a.zip", "raw")
    assert dataset.read((slice(0, 4),)).all()
    with pytest.raises(MissingChunk, match=r"chunk \(1,\)"):
        dataset.read()
    with pytest.raises(ReadOnly, match="is a zip file"):
        open_dataset(tmp_path / "a.zip", "raw", "r+")


def test_reads_read_only_stores(store):
    folders = [store, *(path for path in store.rglob("*") if path.is_dir())]
    files = {path: path.stat().st_mtime_ns for path in store.rglob("*")}
    for path in folders:
        path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        assert open_dataset(store, "raw").read().all()
        if os.geteuid() != 0:
            with pytest.raises(ReadOnly, match="permissions"):
                open_dataset(store, "raw", "r+")
        with pytest.raises(DatasetNotFound):
            open_dataset(store, "labels")
    finally:
        for path in folders:
            path.chmod(stat.S_IRWXU)
    assert files == {path: path.stat().st_mtime_ns for path in store.rglob("*")}


def test_zarr_objects(store):
    group = zarr.open_group(store, mode="r")
    for item, path in ((group, "raw"), (group["raw"], ""), (group.store, "raw")):
        assert open_dataset(item, path).read().all()
    with pytest.raises(ReadOnly, match="read-only"):
        open_dataset(group, "raw", "r+")
    held = {}
    create_dataset(held, "a/b", (3,), "u1").write((), np.ones(3, "u1"))
    assert open_dataset(held, "a/b").read().all()
    assert list_datasets(held) == ["a/b"]


def test_a_path_into_a_store(store):
    assert open_dataset(store / "raw").read().all()
    assert open_dataset(f"{store}/raw/").uri == f"{store}:raw"
    assert create_dataset(store / "more" / "x", "", (2,), "u1").uri == f"{store}:more/x"
    assert create_dataset(store / "y", "", (2,), "u1").uri == f"{store}:y"


def test_a_missing_dataset_names_those_that_are_there(store):
    create_dataset(store, "labels/ids", (2,), "u1")
    with pytest.raises(DatasetNotFound) as caught:
        open_dataset(store, "row")
    assert str(caught.value) == f"there is no dataset 'row' in {store}, which has: raw, labels/ids"
    with pytest.raises(DatasetNotFound, match="'labels' is a group, not a dataset"):
        open_dataset(store, "labels")
    assert list_datasets(store) == ["labels/ids", "raw"]


def test_the_format_is_the_stores(store):
    kind = zarr.open(store, mode="r").metadata.zarr_format
    create_dataset(store, "new/x", (2,), "u1")
    assert zarr.open(store, mode="r")["new/x"].metadata.zarr_format == kind
    assert zarr.open(store, mode="r")["new"].metadata.zarr_format == kind
    with pytest.raises(StoreError, match=f"is a zarr store of format {kind}"):
        create_dataset(store, "other", (2,), "u1", zarr_format=5 - kind)
    if kind == 2:
        with pytest.raises(StoreError, match="has no shards"):
            create_dataset(store, "other", (2,), "u1", shards=(2,))


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("compression", [None, "gzip", 0, 9, "zstd", "blosc"])
def test_compression(tmp_path, zarr_format, compression):
    dataset = create_dataset(
        tmp_path / "a.zarr", "x", (64,), "u1", compression=compression, zarr_format=zarr_format
    )
    dataset.write((), np.ones(64, "u1"))
    used = zarr.open_array(tmp_path / "a.zarr", path="x", mode="r").compressors
    assert bool(used) == (compression is not None)
    assert open_dataset(tmp_path / "a.zarr", "x").read().all()


def test_refuses_codecs_it_has_not(tmp_path):
    with pytest.raises(StoreError, match="'gzip', 'zstd', 'blosc'"):
        create_dataset(tmp_path / "a.zarr", "x", (64,), "u1", compression="szip")


def test_group_attributes(tmp_path):
    open_attrs(tmp_path / "a.zarr", mode="r+")["loss"] = np.float32(0.5)
    open_attrs(tmp_path / "a.zarr", "x/y", mode="r+")["n"] = 1
    assert open_attrs(tmp_path / "a.zarr")["loss"] == 0.5
    assert dict(open_attrs(tmp_path / "a.zarr", "x/y")) == {"n": 1}
    with pytest.raises(DatasetNotFound):
        open_attrs(tmp_path / "a.zarr", "z")
    with pytest.raises(ReadOnly):
        open_attrs(tmp_path / "a.zarr")["loss"] = 1


def test_a_fork_opens_the_store_anew(store):
    dataset = open_dataset(store, "raw")
    before = dataset._array()
    assert dataset._array() is before
    assert run_forked(lambda: dataset._array() is not before and bool(dataset.read().all()))
