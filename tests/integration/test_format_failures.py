"""What goes wrong with files, disks and servers in the midst of a pipeline, and afterwards."""

import contextlib
import os
import subprocess
import sys

import numpy as np
import pytest

import voxflow as gp
from tests.integration.test_formats import (
    DATA,
    FORMATS,
    PNG,
    RAW,
    SHAPE,
    VOXEL,
    WHOLE,
    array_source,
    copy,
    forget,
    place,
    png,
    read,
)
from tests.stores.servers import Line, Moods, moody_server
from voxflow.stores import (
    Geometry,
    MissingChunk,
    OutputMismatch,
    ReadOnly,
    StoreUnreachable,
    StoreUnusable,
    create_dataset,
)
from voxflow.stores.patience import VARIABLE


@pytest.mark.parametrize("kind", FORMATS)
def test_another_origin_is_not_written_to_nor_what_the_dtype_cannot_hold(tmp_path, kind):
    store, path = place(kind, tmp_path)
    copy(array_source(), store, path)
    with pytest.raises(OutputMismatch, match="its dtype is uint16, not float32"):
        copy(array_source(), store, path, dataset_dtypes={RAW: np.float32})
    with pytest.raises(ValueError, match="uint16"):
        copy(array_source(DATA - np.float32(1e5)), store, path)
    with pytest.raises(OutputMismatch, match="it covers .*, not all of"):
        copy(array_source(offset=WHOLE.offset + VOXEL), store, path)
    np.testing.assert_array_equal(read(store, path)[1], DATA)
    for data in (DATA[::-1].copy(), DATA.astype(np.float32)):  # the same is filled further
        copy(array_source(data), store, path)
        np.testing.assert_array_equal(read(store, path)[1], data)


@pytest.mark.parametrize("kind", ["hdf5", "zarr", "n5", "precomputed"])
def test_a_missing_chunk_is_an_error_until_it_is_written(tmp_path, kind):
    store, path = place(kind, tmp_path)
    shape, size = tuple(SHAPE), (4, 9, 16)
    raw = create_dataset(
        store, path, shape, "u2", chunks=size, geometry=Geometry(VOXEL, WHOLE.offset)
    )
    raw.write((slice(0, 8),), DATA[:8])
    with pytest.raises(MissingChunk, match=r"\(2, 0, 0\)") as caught:
        read(store, path)
    assert "DatasetSource" in "".join(caught.value.__notes__)
    raw.write((slice(8, 13),), DATA[8:])
    np.testing.assert_array_equal(read(store, path)[1], DATA)


@pytest.mark.parametrize("kind", ["zarr", "hdf5"])
def test_a_truncated_file(tmp_path, kind):
    store, path = place(kind, tmp_path)
    copy(array_source(), store, path, compression_type="gzip")
    gp.stores.close_all()
    files = [tmp_path / "a.hdf"] if kind == "hdf5" else list((tmp_path / "a.zarr").rglob("1.1.1"))
    (file,) = files
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StoreUnusable, match="a.hdf|a.zarr"):
        read(store, path)
    file.write_bytes(whole)
    np.testing.assert_array_equal(read(store, path)[1], DATA)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_full_disk(small_disk, kind):
    store, path = place(kind, small_disk)
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(5_900_000 if kind != "hdf5" else 4_150_000))
    data = np.random.default_rng(2).integers(0, 2**60, SHAPE * 2, np.uint64)
    spec = gp.ArraySpec(
        gp.Roi(WHOLE.offset, VOXEL * gp.Coordinate(data.shape)), VOXEL, interpolatable=False
    )
    source = gp.ArraySource(RAW, gp.Array(data, spec))
    with pytest.raises(
        StoreUnusable, match="disk/.*the disk is full. Make room, and run it again"
    ) as full:
        copy(source, store, path, block=(8, 30, 41))
    assert "DatasetWrite" in "".join(full.value.__notes__)
    ballast.unlink()
    copy(source, store, path, block=(8, 30, 41))
    found, there = read(store, path)
    assert found.roi == spec.roi
    np.testing.assert_array_equal(there, data)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_read_only_disk(small_disk, kind):
    store, path = place(kind, small_disk)
    copy(array_source(), store, path)
    forget(store, path)
    gp.stores.close_all()
    subprocess.check_call(["mount", "-o", "remount,ro", str(small_disk)])
    np.testing.assert_array_equal(read(store, path)[1], DATA)
    gp.stores.close_all()
    changed = array_source(DATA[::-1].copy())
    with pytest.raises(ReadOnly, match="permissions"):
        copy(changed, store, path)
    with pytest.raises(ReadOnly, match="permissions"):
        copy(changed, *place(kind, small_disk / "new"))
    subprocess.check_call(["mount", "-o", "remount,rw", str(small_disk)])
    copy(changed, store, path)
    np.testing.assert_array_equal(read(store, path)[1], DATA[::-1])


class AtTheThird(gp.BatchFilter):
    """Does something at the third batch."""

    def __init__(self, do):
        self.do, self.count = do, 0

    def setup(self):
        self.updates(RAW, self.spec[RAW].copy())

    def process(self, batch, request):
        self.count += 1
        if self.count == 3:
            self.do()


def test_png_on_a_full_and_a_read_only_disk(small_disk):
    ballast = small_disk / "ballast"
    free = os.statvfs(small_disk).f_bavail * 4096
    ballast.write_bytes(bytes(free - 5 * 4096))
    with pytest.raises(StoreUnusable, match="sections.* cannot be written: the disk is full"):
        copy(array_source(), *png(small_disk), **PNG)
    ballast.unlink()
    copy(array_source(), *png(small_disk), **PNG)
    assert not list((small_disk / "sections").glob("*.part"))
    forget(*png(small_disk), **PNG)
    subprocess.check_call(["mount", "-o", "remount,ro", str(small_disk)])
    changed = array_source(DATA[::-1].copy())
    np.testing.assert_array_equal(read(*png(small_disk))[1], DATA)
    for folder in (small_disk, small_disk / "new"):
        with pytest.raises(ReadOnly, match="permissions"):
            copy(changed, *png(folder), **PNG)
    subprocess.check_call(["mount", "-o", "remount,rw", str(small_disk)])
    copy(changed, *png(small_disk), **PNG)
    np.testing.assert_array_equal(read(*png(small_disk))[1], DATA[::-1])


@pytest.mark.parametrize("kind", FORMATS)
def test_another_voxel_size_is_not_written_to(tmp_path, kind):
    store, path = place(kind, tmp_path)
    copy(array_source(), store, path)
    size = VOXEL * gp.Coordinate(2, 1, 1)
    spec = gp.ArraySpec(gp.Roi(WHOLE.offset, size * SHAPE), size, interpolatable=True)
    with pytest.raises(OutputMismatch, match=r"voxel size .*\(40, 4.6, 9.8\)"):
        copy(gp.ArraySource(RAW, gp.Array(DATA, spec)), store, path)
    np.testing.assert_array_equal(read(store, path)[1], DATA)


KILLED = """
import os, sys
from tests.integration.test_format_failures import PNG, AtTheThird, array_source, copy

end = (lambda: os.kill(os.getpid(), 9)) if sys.argv[3] == "kill" else (lambda: None)
options = PNG if "sections" in sys.argv[1] else {}
copy(array_source() + AtTheThird(end), sys.argv[1], sys.argv[2], **options)
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*FORMATS, "png"])
def test_a_writer_that_is_killed_and_started_again(tmp_path, kind):
    store, path = png(tmp_path) if kind == "png" else place(kind, tmp_path)
    for what, code in (("kill", -9), ("finish", 0)):
        command = [sys.executable, "-c", KILLED, store, path, what]
        assert subprocess.run(command, check=False).returncode == code
    np.testing.assert_array_equal(read(store, path)[1], DATA)


@pytest.mark.parametrize("kind", ["zarr", "n5", "precomputed"])
def test_a_server_that_hangs_in_the_middle(tmp_path, monkeypatch, kind):
    copy(array_source(), *place(kind, tmp_path))
    moods = Moods()

    def hang():
        moods.then = "hang"
        monkeypatch.setenv(VARIABLE, "0.5")

    with moody_server(tmp_path, moods) as url:
        source = gp.DatasetSource(f"{url}/a.{kind}", {RAW: "volumes/raw"}, cache=0)
        target = (tmp_path / "copy.zarr", "raw")
        with pytest.raises(StoreUnreachable, match=f"{url}/a.{kind}.*run it again") as lost:
            copy(source + AtTheThird(hang), *target)
        notes = "".join(lost.value.__notes__)
        assert "It was asked for voxels [" in notes
        assert "DatasetSource" in notes
        moods.then = None
        monkeypatch.delenv(VARIABLE)
        copy(source, *target)
    np.testing.assert_array_equal(read(*target)[1], DATA)


@pytest.mark.parametrize(
    "kind",
    ["zarr", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("n5", "precomputed"))],
)
@pytest.mark.parametrize("where", ["reading", "writing"])
def test_a_connection_that_is_lost_in_the_middle(s3_port, tmp_path, monkeypatch, kind, where):
    line = Line(s3_port)

    def cut():
        line.cut()
        monkeypatch.setenv(VARIABLE, "0.5")

    monkeypatch.setenv(VARIABLE, "6")  # a store that is open goes on asking for about 4 s
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{line.port}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    url, path = f"s3://data/{tmp_path.name}.{kind}", "raw"
    local = tmp_path / "copy.zarr"
    source, target = array_source(), (url, path)
    if where == "reading":
        copy(source, url, path)
        source, target = gp.DatasetSource(url, {RAW: path}, cache=0), (local, "raw")
    try:
        with pytest.raises(StoreUnreachable, match=f"{tmp_path.name}.{kind}.*does not answer"):
            copy(source + AtTheThird(cut), *target)
        line.connect()
        monkeypatch.delenv(VARIABLE)
        copy(source, *target)
        np.testing.assert_array_equal(read(*target)[1], DATA)
    finally:
        with contextlib.suppress(OSError):
            line.cut()
