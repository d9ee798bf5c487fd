"""A scan that something stopped says what, and makes only what is missing when that is gone."""

import contextlib
import os
import subprocess

import numpy as np
import pytest

import voxflow as gp
from tests.integration.test_formats import (
    DATA,
    FORMATS,
    RAW,
    SHAPE,
    VOXEL,
    WHOLE,
    array_source,
    place,
    read,
)
from tests.stores.servers import Line, http_server
from voxflow.stores import (
    DiskFull,
    Geometry,
    OutputMismatch,
    ReadOnly,
    StoreUnreachable,
    create_dataset,
)
from voxflow.stores.patience import VARIABLE

pytest.importorskip("tifffile")

SIZE = (4, 9, 16)
BLOCKS = 4 * 4 * 3
CHUNKED = ["zarr", "n5", "precomputed"]
MADE = []
"""The blocks that were made: where they begin, in voxels from where the data do."""


class Made(gp.BatchFilter):
    """Notes the blocks that are made."""

    def process(self, batch, request):
        begin = (request[RAW].roi.begin - WHOLE.begin) / VOXEL
        MADE.append(tuple(int(n) for n in begin))


class At(gp.ScanCallback):
    """Does something when so many blocks are done."""

    def __init__(self, blocks, do):
        self.blocks, self.do, self.over = blocks, do, False

    def update(self, num_processed):
        if num_processed >= self.blocks and not self.over:
            self.over = True
            self.do()


def fill(source, store, path, progress=None, size=SIZE, **options):
    MADE.clear()
    reference = gp.BatchRequest({RAW: gp.Roi((0, 0, 0), VOXEL * gp.Coordinate(size))})
    nodes = source + Made() + gp.DatasetWrite({RAW: path}, store)
    progress = gp.ScanCallback() if progress is None else progress
    return gp.scan(nodes, reference, progress=progress, **options)


def check_goes_on(source, store, path, data=DATA, **options):
    """Run it again: it goes on, makes each block that is missing once, and is complete."""
    report = fill(source, store, path, **options)
    assert 0 < report.done_before < report.blocks
    assert len(MADE) == len(set(MADE)) == report.blocks - report.done_before
    np.testing.assert_array_equal(read(store, path)[1], data)
    again = fill(source, store, path, **options)
    assert (again.done_before, MADE) == (again.blocks, [])
    return report


def write_raw(kind, folder, data=DATA):
    """An input, in chunks as large as blocks."""
    store, path = place(kind, folder)
    geometry = Geometry(VOXEL, WHOLE.offset)
    made = create_dataset(store, path, data.shape, "u2", chunks=SIZE, geometry=geometry)
    made.write((), data)
    gp.stores.close_all()
    return store, path, made


def chunk_file(folder, name):
    (found,) = (path for path in folder.rglob("*") if str(path).endswith(name))
    return found


def slow(*values):
    return pytest.param(*values, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    ("kind", "name", "what", "workers"),
    [
        ("zarr", "1.0.0", "missing", 1),
        ("zarr", "1.0.0", "cut off", 1),
        ("n5", "raw/0/0/1", "missing", 1),
        ("n5", "raw/0/0/1", "cut off", 1),
        ("zarr", "1.0.0", "cut off", 2),
        slow("zarr", "1.0.0", "missing", 2),
        slow("n5", "raw/0/0/1", "missing", 2),
        slow("n5", "raw/0/0/1", "cut off", 2),
    ],
)
def test_only_the_blocks_of_a_bad_chunk_fail(tmp_path, kind, name, what, workers):
    store, path, _ = write_raw(kind, tmp_path / "in")
    file = chunk_file(tmp_path / "in", name)
    there = file.read_bytes()
    file.unlink() if what == "missing" else file.write_bytes(there[: len(there) // 2])
    source = gp.DatasetSource(store, {RAW: path}, cache=0)
    target = (tmp_path / "out.zarr", "raw")
    with pytest.raises(gp.ScanFailed, match=f"1 of {BLOCKS} blocks failed, {BLOCKS - 1} are done"):
        fill(source, *target, num_workers=workers, policy=gp.ScanPolicy(retries=1))
    file.write_bytes(there)
    report = check_goes_on(source, *target)
    assert report.done_before == BLOCKS - 1


@pytest.mark.parametrize("kind", ["hdf5", "precomputed"])
def test_a_missing_chunk_of_a_file(tmp_path, kind):
    store, path = place(kind, tmp_path)
    geometry = Geometry(VOXEL, WHOLE.offset)
    raw = create_dataset(store, path, tuple(SHAPE), "u2", chunks=SIZE, geometry=geometry)
    raw.write((slice(0, 12),), DATA[:12])
    gp.stores.close_all()
    source = gp.DatasetSource(store, {RAW: path})
    target = (tmp_path / "out.zarr", "raw")
    with pytest.raises(gp.ScanFailed, match=f"12 of {BLOCKS} blocks failed") as failed:
        fill(source, *target, policy=gp.ScanPolicy(retries=0, budget=100))
    assert {entry["type"] for entry in failed.value.failures} == {"MissingChunk"}
    gp.stores.close_all()
    gp.stores.open_dataset(store, path, "r+").write((slice(12, 13),), DATA[12:])
    gp.stores.close_all()
    assert check_goes_on(source, *target).done_before == BLOCKS - 12


class Stop(RuntimeError):
    """What ends a scan on its way."""


def stop():
    raise Stop


@pytest.mark.parametrize("kind", FORMATS)
def test_what_is_not_the_same_job_is_refused_and_that_goes_on(tmp_path, kind):
    store, path = place(kind, tmp_path)
    with pytest.raises(Stop):
        fill(array_source(), store, path, At(BLOCKS // 2, stop))
    for other, text in (
        (array_source(DATA.astype(np.float32)), "begun by another job"),
        (array_source(offset=WHOLE.offset + VOXEL), "it covers .*, not all of"),
        (array_source(DATA[::-1].copy()), "begun by another job"),
    ):
        with pytest.raises(OutputMismatch, match=text):
            fill(other, store, path)
        assert MADE == []
    report = check_goes_on(array_source(), store, path)
    assert report.done_before >= BLOCKS // 2


@pytest.mark.parametrize(
    ("kind", "workers", "room", "what"),
    [  # the formats that are not here take all room beforehand
        ("hdf5", 1, 2_300_000, "volumes/raw"),
        *((kind, 1, 300_000, "volumes/raw") for kind in CHUNKED),
        *(slow(kind, 2, 1_500_000, "volumes/raw") for kind in CHUNKED),
        slow("zarr", 2, 300_000, "volumes/raw/.scan/work"),  # for what workers are given
    ],
)
def test_a_disk_that_is_full_on_the_way(small_disk, kind, workers, room, what):
    store, path = place(kind, small_disk)
    ballast = small_disk / "ballast"
    data = np.random.default_rng(2).integers(0, 2**60, SHAPE * 2, np.uint64)
    roi = gp.Roi(WHOLE.offset, VOXEL * gp.Coordinate(data.shape))
    source = gp.ArraySource(RAW, gp.Array(data, gp.ArraySpec(roi, VOXEL, interpolatable=False)))

    def take():
        free = os.statvfs(small_disk).f_bavail * 4096
        ballast.write_bytes(bytes(free - room))

    size = (8, 15, 41)
    # With a time limit for blocks workers start at once, however little they save.
    policy = gp.ScanPolicy(timeout=None if workers == 1 else 300)
    with pytest.raises(DiskFull, match=f"{what}.* cannot be .*the disk is full. Make room, and"):
        fill(source, store, path, At(1, take), size, num_workers=workers, policy=policy)
    gp.stores.close_all()
    ballast.unlink()
    check_goes_on(source, store, path, data, size=size)


@pytest.mark.parametrize("kind", CHUNKED)
def test_a_disk_that_may_not_be_written_any_more(small_disk, tmp_path, kind):
    store, path = place(kind, small_disk)

    def remount(how):
        subprocess.check_call(["mount", "-o", f"remount,{how}", str(small_disk)])

    # A disk from which a file is open for writing stays as it is: so the record lies elsewhere.
    record = tmp_path / "record"
    with pytest.raises(ReadOnly, match="permissions"):
        fill(array_source(), store, path, At(5, lambda: remount("ro")), record=record)
    remount("rw")
    check_goes_on(array_source(), store, path, record=record)


@contextlib.contextmanager
def little_patience():
    """As long as a server is lost; what goes on has the time that a busy machine needs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, "2")
        yield


@pytest.mark.parametrize(
    ("kind", "where"),
    [
        ("zarr", "reading"),
        slow("n5", "reading"),
        slow("precomputed", "reading"),
        slow("zarr", "writing"),
        ("n5", "writing"),
        slow("precomputed", "writing"),
    ],
)
def test_a_connection_that_is_lost_on_the_way(s3_port, tmp_path, monkeypatch, kind, where):
    line = Line(s3_port)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{line.port}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    url = f"s3://data/{tmp_path.name}.{kind}"
    source, target = array_source(), (url, "raw")
    record = tmp_path / "record"
    if where == "reading":
        fill(source, url, "raw")
        source, target = gp.DatasetSource(url, {RAW: "raw"}, cache=0), (tmp_path / "a.zarr", "raw")
    try:
        message = f"{tmp_path.name}.{kind}.*does not answer"
        with little_patience(), pytest.raises(StoreUnreachable, match=message):
            fill(source, *target, At(6, line.cut), record=record)
        line.connect()
        check_goes_on(source, *target, record=record)
    finally:
        with contextlib.suppress(OSError):
            line.cut()


def test_a_server_that_ends_on_the_way_and_is_started_again(tmp_path):
    _, path, _ = write_raw("zarr", tmp_path)
    server = contextlib.ExitStack()
    url = server.enter_context(http_server(tmp_path))
    source = gp.DatasetSource(f"{url}/a.zarr", {RAW: path}, cache=0)
    target = (tmp_path / "out.zarr", "raw")
    with little_patience(), pytest.raises(StoreUnreachable, match="does not answer"):
        fill(source, *target, At(6, server.close))
    with http_server(tmp_path, int(url.rpartition(":")[2])):
        check_goes_on(source, *target)
