import gc
import os
import subprocess
import sys
import threading

import h5py
import numpy as np
import pytest

from voxflow.stores import (
    DatasetNotFound,
    MissingChunk,
    ReadOnly,
    StoreError,
    StoreNotFound,
    StoreUnusable,
    close_all,
    create_dataset,
    list_datasets,
    open_attrs,
    open_dataset,
)
from voxflow.testing.stores import StoreTests, ramp, run_forked


class TestHdf5(StoreTests):
    def make(self, folder, shape, dtype, chunks):
        return create_dataset(
            folder / "a.hdf", "volumes/raw", shape, dtype, chunks=chunks, compression="gzip"
        )

    def reopen(self, dataset, mode="r", missing_chunks="error"):
        store, path = dataset.uri.split(":")
        return open_dataset(store, path, mode, missing_chunks=missing_chunks)


@pytest.fixture
def file(tmp_path):
    dataset = create_dataset(tmp_path / "a.hdf", "raw", (8, 8), "u1", chunks=(4, 4))
    dataset.write((), ramp((8, 8), "u1"))
    return tmp_path / "a.hdf"


def open_here(file):
    """Count the descriptors of a file that this process has."""
    links = (os.path.join("/proc/self/fd", fd) for fd in os.listdir("/proc/self/fd"))
    return sum(os.path.realpath(link) == os.path.realpath(file) for link in links)


linux = pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="looks into /proc")


@linux
def test_one_handle_closed_with_the_last_dataset(file):
    datasets = [open_dataset(file, "raw") for _ in range(3)]
    assert open_here(file) == 1
    datasets.pop().read()
    gc.collect()
    assert open_here(file) == 1
    datasets.clear()
    gc.collect()
    assert open_here(file) == 0


@linux
def test_close_all_and_go_on(file):
    dataset = open_dataset(file, "raw")
    close_all()
    assert open_here(file) == 0
    assert dataset.read().all()


@linux
def test_nothing_is_inherited_by_a_fork(file):
    dataset = open_dataset(file, "raw", "r+")
    dataset.write((), np.ones((8, 8), "u1"))
    assert run_forked(lambda: open_here(file) == 0)
    assert open_here(file) == 0
    dataset.write((slice(0, 1),), np.zeros((1, 8), "u1"))
    assert open_dataset(file, "raw").read().sum() == 56


def test_fork_waits_for_readers_and_does_not_hang(file):
    dataset, stop = open_dataset(file, "raw"), threading.Event()

    def keep_reading():
        while not stop.is_set():
            dataset.read()

    threads = [threading.Thread(target=keep_reading) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        assert all(run_forked(lambda: bool(dataset.read().all())) for _ in range(10))
    finally:
        stop.set()
        for thread in threads:
            thread.join()


READER = """
import pickle, sys
dataset = pickle.load(sys.stdin.buffer)
sys.exit(0 if dataset.read().all() else 1)
"""


def test_a_fresh_process_reads_the_same(file):
    import pickle

    dataset = open_dataset(file, "raw")
    assert dataset.read().all()
    sent = pickle.dumps(dataset)
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    run = subprocess.run(
        [sys.executable, "-c", READER], input=sent, cwd=root, capture_output=True, timeout=100
    )
    assert run.returncode == 0, run.stderr.decode()


def test_reading_turns_into_writing_and_back(file):
    reader = open_dataset(file, "raw")
    assert reader.read().all()
    writer = open_dataset(file, "raw", "r+")
    writer.write((), np.zeros((8, 8), "u1"))
    assert not reader.read().any()
    assert reader._handle._file.mode == "r+"
    del writer
    gc.collect()
    assert not reader.read().any()
    assert reader._handle._file.mode == "r"


def test_a_file_that_another_process_writes_is_locked(file):
    code = (
        f"import h5py, sys; f = h5py.File({str(file)!r}, 'r+'); print('open', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout.readline()
        with pytest.raises(StoreUnusable, match=r"is locked: .*locking=False"):
            open_dataset(file, "raw")
        other.communicate(b"\n", timeout=100)
    assert open_dataset(file, "raw").read().all()


def test_a_file_open_in_the_callers_hands(file):
    with h5py.File(file, "r") as own:
        assert open_dataset(own["raw"]).read().all()
        assert open_dataset(own, "raw").uri == f"{file}:raw"
        with pytest.raises(StoreUnusable, match="Close that first"):
            open_dataset(file, "raw", "r+")
    with h5py.File(file, "r+") as own:
        group = own.create_group("volumes")
        create_dataset(group, "ids", (2,), "u1").write((), np.ones(2, "u1"))
        assert own["volumes/ids"][:].all()
    with (
        h5py.File("x", "w", driver="core", backing_store=False) as own,
        pytest.raises(StoreUnusable, match="not in a plain file"),
    ):
        open_dataset(own, "raw")


def test_missing_files_and_datasets(file, tmp_path):
    with pytest.raises(StoreNotFound, match=r"there is no file .*b\.hdf"):
        open_dataset(tmp_path / "b.hdf", "raw")
    create_dataset(file, "labels/ids", (2,), "u1")
    with pytest.raises(DatasetNotFound) as caught:
        open_dataset(file, "row")
    assert str(caught.value) == f"there is no dataset 'row' in {file}, which has: raw, labels/ids"
    assert isinstance(caught.value, (KeyError, RuntimeError))
    with pytest.raises(DatasetNotFound, match="'labels' is a group"):
        open_dataset(file, "labels")
    assert list_datasets(file) == ["labels/ids", "raw"]
    (tmp_path / "c.hdf").write_bytes(b"nothing of that kind")
    with pytest.raises(StoreUnusable, match="is not an HDF5 file"):
        open_dataset(tmp_path / "c.hdf", "raw")
    (tmp_path / "c.txt").write_bytes(b"nothing of that kind")
    with pytest.raises(StoreUnusable, match="neither an HDF5 file nor a zarr store"):
        open_dataset(tmp_path / "c.txt", "raw")


def test_the_suffix_does_not_matter(file):
    assert open_dataset(file.rename(file.with_suffix(".zarr")), "raw").read().all()


def test_a_file_that_cannot_be_written(file):
    file.chmod(0o444)
    if os.geteuid() == 0:
        pytest.skip("root writes anything")
    assert open_dataset(file, "raw").read().all()
    with pytest.raises(ReadOnly, match="permissions"):
        open_dataset(file, "raw", "r+")
    assert open_dataset(file, "raw").read().all()


def test_contiguous_data_are_never_missing(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as own:
        own.create_dataset("x", (4, 4), "u1")
        own.create_dataset("one", data=3)
    assert not open_dataset(tmp_path / "a.h5", "x").read().any()
    assert open_dataset(tmp_path / "a.h5", "one").read() == 3


def test_missing_chunks_seen_as_they_are_written(tmp_path):
    writer = create_dataset(tmp_path / "a.h5", "x", (8,), "u1", chunks=(4,), fill_value=9)
    reader = open_dataset(tmp_path / "a.h5", "x")
    with pytest.raises(MissingChunk, match="2 of the 2 chunks"):
        reader.read()
    writer.write((slice(0, 2),), np.ones(2, "u1"))
    np.testing.assert_array_equal(reader.read((slice(0, 4),)), [1, 1, 9, 9])
    writer.write((slice(4, 8),), np.ones(4, "u1"))
    assert reader.read().all()


@pytest.mark.parametrize("compression", [None, "gzip", 0, 9, "lzf"])
def test_compression(tmp_path, compression):
    create_dataset(tmp_path / "a.h5", "x", (64,), "u1", compression=compression)
    expected = {None: None, 0: "gzip", 9: "gzip"}.get(compression, compression)
    with h5py.File(tmp_path / "a.h5", "r") as own:
        assert own["x"].compression == expected


def test_refuses_what_hdf5_has_not(tmp_path):
    with pytest.raises(StoreError, match="'gzip', 'lzf', 'szip'"):
        create_dataset(tmp_path / "a.h5", "x", (64,), "u1", compression="zstd")
    with pytest.raises(StoreError, match="HDF5 has no shards"):
        create_dataset(tmp_path / "a.h5", "x", (64,), "u1", shards=(8,))


def test_group_attributes(tmp_path):
    open_attrs(tmp_path / "a.h5", mode="r+")["loss"] = 0.5
    open_attrs(tmp_path / "a.h5", "x/y", mode="r+")["n"] = {"a": [1, 2]}
    assert open_attrs(tmp_path / "a.h5")["loss"] == 0.5
    assert dict(open_attrs(tmp_path / "a.h5", "x/y")) == {"n": '{"a": [1, 2]}'}
    assert len(open_attrs(tmp_path / "a.h5")) == 1
    with pytest.raises(DatasetNotFound):
        open_attrs(tmp_path / "a.h5", "z")
    with pytest.raises(ReadOnly):
        del open_attrs(tmp_path / "a.h5")["loss"]


def test_a_file_made_anew_while_it_was_closed(file):
    dataset = open_dataset(file, "raw")
    assert dataset.read().all()
    close_all()
    with h5py.File(file, "w") as own:
        own.create_dataset("raw", (8, 8), "u1", chunks=(4, 4))
    with pytest.raises(MissingChunk):
        dataset.read()
    close_all()
    with h5py.File(file, "w") as own:
        own.create_dataset("raw", (9, 8), "u1", chunks=(4, 4))
    with pytest.raises(StoreUnusable, match=r"made anew .* shape \(8, 8\).*Open it again"):
        dataset.read()


@linux
def test_the_last_writer_lets_go_of_the_file(file):
    reader, writer = open_dataset(file, "raw"), open_dataset(file, "raw", "r+")
    writer.write((), np.ones((8, 8), "u1"))
    del writer
    gc.collect()
    assert open_here(file) == 0
    assert reader.read().all()


def test_a_writer_that_goes_while_the_file_is_in_use(file):
    reader, writer = open_dataset(file, "raw"), open_dataset(file, "raw", "r+")
    with reader._handle.opened() as opened:
        del writer
        gc.collect()
        assert opened.mode == "r+"
    with reader._handle.opened() as opened:
        assert opened.mode == "r"


@pytest.mark.parametrize("options", [{}, {"chunks": (4,)}, {"chunks": (4,), "compression": "gzip"}])
def test_a_file_that_took_the_place_of_another_is_opened_beside_it(tmp_path, options):
    def save(path, value):
        with h5py.File(path, "w") as file:
            file.create_dataset("raw", data=np.full(8, value), **options)

    save(tmp_path / "a.hdf", 1)
    older = open_dataset(tmp_path / "a.hdf", "raw")
    assert older.read((slice(0, 4),))[0] == 1
    save(tmp_path / "b.hdf", 2)
    os.replace(tmp_path / "b.hdf", tmp_path / "a.hdf")
    newer = open_dataset(tmp_path / "a.hdf", "raw")
    for _ in range(2):
        assert (older.read()[7], newer.read()[7]) == (1, 2)
        assert (older.fetch((0,))[0], newer.fetch((0,))[0]) == (1, 2)
    close_all()
    assert newer.read()[7] == 2
    with pytest.raises(StoreUnusable, match="another file has taken the place"):
        older.fetch((0,))
    assert run_forked(lambda: newer.read()[7] == 2)


def test_what_is_written_goes_to_the_file_of_that_name(tmp_path):
    def write(value):
        written = open_dataset(tmp_path / "a.hdf", "raw", mode="r+")
        written.write((slice(0, 8),), np.full(8, value))
        return written

    def stored(name):
        with h5py.File(tmp_path / name) as file:
            return int(file["raw"][0])

    with h5py.File(tmp_path / "a.hdf", "w") as file:
        file.create_dataset("raw", data=np.zeros(8, int))
    kept = [write(1)]
    os.rename(tmp_path / "a.hdf", tmp_path / "first.hdf")
    with h5py.File(tmp_path / "a.hdf", "w") as file:
        file.create_dataset("raw", data=np.zeros(8, int))
    kept.append(write(2))
    del kept
    gc.collect()
    assert (stored("first.hdf"), stored("a.hdf")) == (1, 2)
