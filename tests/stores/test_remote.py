import contextlib
import pickle

import numpy as np
import pytest

from tests.stores.gcs import gcs_server
from tests.stores.servers import Line, free_port, http_server, s3_server
from voxflow.pipeline.geometry import Coordinate
from voxflow.stores import (
    DatasetNotFound,
    Geometry,
    MissingChunk,
    ReadOnly,
    StoreError,
    StoreUnreachable,
    StoreUnusable,
    create_dataset,
    list_datasets,
    open_dataset,
    read_geometry,
)
from voxflow.stores.patience import VARIABLE
from voxflow.testing.stores import StoreTests, ramp, random_region

WHERE = Geometry((40, 4, 4), (80, -8, 4), ("nm",) * 3)
DATA = ramp((7, 20, 33))
SUFFIXES = ("zarr", "n5", "precomputed")


@contextlib.contextmanager
def little_patience():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, "0.4")
        yield


@pytest.fixture(scope="session")
def s3_port():
    pytest.importorskip("moto")
    with s3_server() as port:
        yield port


@pytest.fixture
def s3(s3_port, monkeypatch):
    """An S3 with the bucket "data"; gives the line to it."""
    line = Line(s3_port)
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{line.port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    yield line
    line.cut()


class RemoteTests(StoreTests):
    forks = False
    suffix = "zarr"

    @pytest.fixture(autouse=True)
    def _server(self, s3):
        pass

    def make(self, folder, shape, dtype, chunks):
        url = f"s3://data/{folder.name}.{self.suffix}"
        return create_dataset(url, "volumes/raw", shape, dtype, chunks=chunks)

    def reopen(self, dataset, mode="r", missing_chunks="error"):
        store, path = dataset.uri.rsplit(":", 1)
        return open_dataset(store, path, mode, missing_chunks=missing_chunks)


class TestZarrOnS3(RemoteTests):
    pass


class TestN5OnS3(RemoteTests):
    suffix = "n5"
    lacks = ("bool",)


class TestPrecomputedOnS3(RemoteTests):
    suffix = "precomputed"
    has_attrs = False
    lacks = ("bool", "i8", "f8")
    dimensions = 3


@pytest.fixture(scope="session")
def gcs():
    """A Google Cloud Storage; tensorstore reads once in a process where it is."""
    with gcs_server() as url, pytest.MonkeyPatch.context() as patch:
        patch.setenv("TENSORSTORE_GCS_HTTP_URL", url)
        patch.setenv("GOOGLE_AUTH_TOKEN_FOR_TESTING", "test")
        yield


class OnGoogle(StoreTests):
    forks = False

    @pytest.fixture(autouse=True)
    def _server(self, gcs):
        pass

    def make(self, folder, shape, dtype, chunks):
        url = f"gs://data/{folder.name}.{self.suffix}"
        return create_dataset(url, "volumes/raw", shape, dtype, chunks=chunks)

    def reopen(self, dataset, mode="r", missing_chunks="error"):
        store, path = dataset.uri.rsplit(":", 1)
        return open_dataset(store, path, mode, missing_chunks=missing_chunks)


class TestZarrOnGoogle(OnGoogle):
    suffix = "zarr"


class TestN5OnGoogle(OnGoogle):
    suffix = "n5"
    lacks = ("bool",)


class TestPrecomputedOnGoogle(OnGoogle):
    suffix = "precomputed"
    has_attrs = False
    lacks = ("bool", "i8", "f8")
    dimensions = 3


def make(store, path="raw"):
    raw = create_dataset(
        store, path, DATA.shape, DATA.dtype, chunks=(4, 8, 16), geometry=WHERE, compression=None
    )
    raw.write((), DATA)
    return raw


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_reading_over_http(tmp_path, suffix):
    make(tmp_path / f"a.{suffix}")
    rng = np.random.default_rng(1)
    with http_server(tmp_path) as url:
        raw = open_dataset(f"{url}/a.{suffix}", "raw")
        for dataset in (raw, pickle.loads(pickle.dumps(raw))):
            for _ in range(5):
                region = random_region(DATA.shape, rng)
                np.testing.assert_array_equal(dataset.read(region), DATA[region])
        found = read_geometry(raw)
        assert (found.voxel_size, found.offset) == (WHERE.voxel_size, WHERE.offset)
        with pytest.raises(DatasetNotFound):
            open_dataset(f"{url}/a.{suffix}", "row")
        with pytest.raises(StoreError):
            open_dataset(f"{url}/a.{suffix}", "raw", "r+").write((), DATA)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_chunk_that_is_missing_on_a_server(tmp_path, suffix):
    make(tmp_path / f"a.{suffix}")
    chunks = [f for f in (tmp_path / f"a.{suffix}").rglob("*") if f.is_file()]
    max((f for f in chunks if f.suffix != ".json"), key=lambda f: f.stat().st_size).unlink()
    with http_server(tmp_path) as url:
        with pytest.raises(MissingChunk, match="1 of the 18 chunks"):
            open_dataset(f"{url}/a.{suffix}", "raw").read(())
        filled = open_dataset(f"{url}/a.{suffix}", "raw", missing_chunks="fill").read(())
    assert ((filled == DATA) | (filled == 0)).all()
    assert 0 < (filled == 0).sum() <= 4 * 8 * 16


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_server_that_dies_and_comes_back(tmp_path, suffix):
    make(tmp_path / f"a.{suffix}")
    port = free_port()
    with http_server(tmp_path, port) as url:
        raw = open_dataset(f"{url}/a.{suffix}", "raw")
        np.testing.assert_array_equal(raw.read((slice(0, 4),)), DATA[:4])
    with little_patience():
        with pytest.raises(StoreUnreachable, match=r"a.\w+.*cannot be read: the server does not "):
            raw.read(())
        with pytest.raises(StoreUnreachable):
            open_dataset(f"{url}/a.{suffix}", "raw")
    with http_server(tmp_path, port):
        np.testing.assert_array_equal(raw.read(()), DATA)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_line_that_is_cut_while_writing(s3, tmp_path, suffix):
    url = f"s3://data/{tmp_path.name}.{suffix}"
    raw = make(url)
    raw.write((slice(0, 4),), DATA[:4] + 1)
    s3.cut()
    lost = pytest.raises(StoreUnreachable, match=f"{suffix}.* cannot be written: .*run it again")
    with little_patience(), lost:
        raw.write((), DATA + 2)
    s3.connect()
    raw.write((), DATA + 2)
    np.testing.assert_array_equal(open_dataset(url, "raw").read(()), DATA + 2)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_short_interruption_is_not_noticed(s3, tmp_path, suffix):
    import threading

    raw = make(f"s3://data/{tmp_path.name}.{suffix}")
    s3.cut()
    timer = threading.Timer(0.5, s3.connect)
    timer.start()
    try:
        np.testing.assert_array_equal(raw.read(()), DATA)
    finally:
        timer.join()


def test_overwriting_and_listing_on_s3(s3, tmp_path):
    for suffix in SUFFIXES:
        url = f"s3://data/{tmp_path.name}/a.{suffix}"
        make(url)
        new = create_dataset(url, "raw", (2, 2, 2), "u1", exist="overwrite")
        assert new.shape == (2, 2, 2)
        with pytest.raises(MissingChunk):
            new.read(())
    make(f"s3://data/{tmp_path.name}/a.zarr", "volumes/labels")
    assert list_datasets(f"s3://data/{tmp_path.name}/a.zarr") == ["raw", "volumes/labels"]


def test_overwriting_and_listing_on_google(gcs, tmp_path):
    for suffix in SUFFIXES:
        url = f"gs://data/{tmp_path.name}/a.{suffix}"
        make(url)
        np.testing.assert_array_equal(open_dataset(url, "raw").read(()), DATA)
        found = read_geometry(open_dataset(url, "raw"))
        assert (found.voxel_size, found.offset) == (WHERE.voxel_size, WHERE.offset)
        new = create_dataset(url, "raw", (2, 2, 2), "u1", exist="overwrite")
        with pytest.raises(MissingChunk):
            new.read(())
    assert list_datasets(f"gs://data/{tmp_path.name}/a.zarr") == ["raw"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_bucket_that_is_not_there(s3, suffix):
    with pytest.raises(StoreUnusable, match="there is no such bucket. Make it, or correct the URL"):
        create_dataset(f"s3://nobody/a.{suffix}", "raw", (3, 3, 3), "u1")


def test_urls_that_are_not_known():
    for url in ("ftp://host/a.n5", "ftp://host/a.precomputed"):
        with pytest.raises(StoreUnusable, match="no reader for ftp://.*s3://"):
            open_dataset(url, "raw")
    for url in ("https://host/a.h5", "https://host/a.tif", "s3://bucket/a.png"):
        with pytest.raises(StoreUnusable, match="read from disks only"):
            open_dataset(url)


def test_formats_before_urls(tmp_path):
    make(tmp_path / "a.n5")
    with http_server(tmp_path) as url:
        (tmp_path / "a.n5").rename(tmp_path / "a")
        raw = open_dataset(f"n5://{url}/a", "raw")
        np.testing.assert_array_equal(raw.read(()), DATA)
        assert read_geometry(raw).voxel_size == Coordinate(40, 4, 4)
        with pytest.raises(ReadOnly):
            raw.write((), DATA)
