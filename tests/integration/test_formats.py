"""One array in every format, through one pipeline; and what goes wrong with files and disks."""

import contextlib
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import voxflow as gp
from tests.stores.servers import Line, Moods, moody_server, s3_server
from tests.stores.test_knossos import write_knossos
from voxflow.stores import (
    Geometry,
    MissingChunk,
    OutputMismatch,
    ReadOnly,
    StoreUnreachable,
    StoreUnusable,
    create_dataset,
    open_dataset,
)
from voxflow.stores.cache import Arena, with_cache
from voxflow.stores.patience import VARIABLE

pytest.importorskip("tifffile")

RAW = gp.ArrayKey("RAW")
VOXEL = gp.Coordinate(40, 4.6, 9.8)
SHAPE = gp.Coordinate(13, 30, 41)
WHOLE = gp.Roi(VOXEL * gp.Coordinate(-2, 5, 1), VOXEL * SHAPE)
DATA = np.random.default_rng(1).integers(1, 2**16, SHAPE, np.uint16)
FORMATS = {
    "hdf5": ("{}/a.hdf", "volumes/raw"),
    "zarr": ("{}/a.zarr", "volumes/raw"),
    "n5": ("{}/a.n5", "volumes/raw"),
    "precomputed": ("{}/a.precomputed", "volumes/raw"),
    "tiff": ("{}/a.tif", ""),
    "images": ("images://{}/stack", ""),
}


def place(kind, folder):
    store, path = FORMATS[kind]
    return store.format(folder), path


def array_source(data=DATA, offset=WHOLE.offset):
    spec = gp.ArraySpec(gp.Roi(offset, VOXEL * SHAPE), VOXEL, interpolatable=True)
    return gp.ArraySource(RAW, gp.Array(data, spec))


def copy(source, store, path, block=(4, 9, 16), **options):
    request = gp.BatchRequest({RAW: gp.Roi(WHOLE.offset, VOXEL * gp.Coordinate(block))})
    writer = gp.DatasetWrite({RAW: path}, store, **options)
    with gp.build(source + writer + gp.Scan(request)) as pipeline:
        pipeline.request_batch(gp.BatchRequest())


def read(store, path, **options):
    source = gp.DatasetSource(store, {RAW: path}, **options)
    with gp.build(source):
        spec = source.spec[RAW]
        return spec, source.request_batch(gp.BatchRequest({RAW: spec.roi}))[RAW].data


def test_every_format_holds_the_same(tmp_path):
    source = array_source()
    for kind in FORMATS:  # each is written from the one before
        store, path = place(kind, tmp_path)
        copy(source, store, path)
        spec, data = read(store, path)
        assert (spec.voxel_size, spec.roi) == (VOXEL, WHOLE), kind
        assert data.dtype == DATA.dtype, kind
        np.testing.assert_array_equal(data, DATA)
        source = gp.DatasetSource(store, {RAW: path})


@pytest.mark.parametrize("kind", [*FORMATS, "knossos"])
def test_every_format_is_read_by_workers(tmp_path, kind):
    if kind == "knossos":
        data = DATA.astype(np.uint8)
        conf = "\n".join(
            [
                'experiment name "cells_mag1";',
                *(f"boundary {axis} {n};" for axis, n in zip("zyx", SHAPE, strict=True)),
                *(f"scale {axis} {float(v)};" for axis, v in zip("zyx", VOXEL, strict=True)),
            ]
        )
        (tmp_path / "knossos.conf").write_text(conf)
        write_knossos(tmp_path, data)
        store, path, whole = tmp_path, "", gp.Roi((0, 0, 0), VOXEL * SHAPE)
    else:
        data, whole = DATA, WHOLE
        store, path = place(kind, tmp_path)
        copy(array_source(), store, path)
    request = gp.BatchRequest({RAW: gp.Roi(whole.offset, VOXEL * gp.Coordinate(5, 11, 20))})
    out = tmp_path / "out.zarr"
    pipeline = gp.DatasetSource(store, {RAW: path}) + gp.ZarrWrite({RAW: "raw"}, store=out)
    with gp.build(pipeline + gp.Scan(request, num_workers=2)) as scan:
        scan.request_batch(gp.BatchRequest())
    spec, copied = read(out, "raw")
    assert (spec.voxel_size, spec.roi) == (VOXEL, whole)
    np.testing.assert_array_equal(copied, data)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_a_level_of_a_pyramid(tmp_path, version):
    from voxflow.stores.ngff import make_multiscales
    from voxflow.stores.open import open_attrs

    kind = 2 if version == "0.4" else 3
    axes = [(name, "space", "nanometer") for name in "zyx"]
    levels = [("s0", (40, 4, 4), (40, 8, 8)), ("s1", (40, 8, 8), (40, 8, 8))]
    for i, (path, *_) in enumerate(levels):
        made = create_dataset(
            tmp_path / "a.zarr", f"image/{path}", (4, 8 >> i, 8 >> i), "u1", zarr_format=kind
        )
        made.write((), np.full(made.shape, i + 1, np.uint8))
    attrs = open_attrs(tmp_path / "a.zarr", "image", "r+")
    attrs.update(make_multiscales(levels, axes, version))
    for options, voxel_size in (
        ({"level": 0}, (40, 4, 4)),
        ({"level": 1}, (40, 8, 8)),
        ({"voxel_size": (40, 8, 8)}, (40, 8, 8)),
    ):
        spec, data = read(tmp_path / "a.zarr", "image", **options)
        assert spec.voxel_size == voxel_size
        assert spec.roi == gp.Roi((40, 8, 8), (160, 32, 32))
        assert (data == (1 if voxel_size[1] == 4 else 2)).all()
    with pytest.raises(gp.stores.DatasetNotFound, match=r"has no level 2, its levels are 0: \(40"):
        read(tmp_path / "a.zarr", "image", level=2)
    with pytest.raises(gp.stores.DatasetNotFound, match="because it is not a pyramid"):
        read(tmp_path / "a.zarr", "image/s0", level=0)
    with pytest.raises(ValueError, match="not by both"):
        read(tmp_path / "a.zarr", "image", level=0, voxel_size=(40, 4, 4))


@pytest.mark.parametrize("kind", FORMATS)
def test_another_dtype_or_origin_is_not_written_to(tmp_path, kind):
    store, path = place(kind, tmp_path)
    copy(array_source(), store, path)
    with pytest.raises(OutputMismatch, match="its dtype is uint16, not float32"):
        copy(array_source(DATA.astype(np.float32)), store, path)
    with pytest.raises(OutputMismatch, match="it covers .*, not all of"):
        copy(array_source(offset=WHOLE.offset + VOXEL), store, path)
    np.testing.assert_array_equal(read(store, path)[1], DATA)
    copy(array_source(DATA[::-1].copy()), store, path)  # the same is filled further
    np.testing.assert_array_equal(read(store, path)[1], DATA[::-1])


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


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 6 MB, and its free space as a function."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or shutil.which("mount") is None or subprocess.call(mount):
        pytest.skip("no file systems can be mounted here")
    try:
        yield disk
    finally:
        gp.stores.close_all()
        subprocess.check_call(["umount", "-l", str(disk)])


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


PNG = {"block": (4, *SHAPE[1:]), "compression_type": "png"}


def png(folder):
    return f"images://{folder}/sections", ""


def test_png_holds_the_same(tmp_path):
    copy(array_source(), *png(tmp_path), **PNG)
    spec, data = read(*png(tmp_path))
    assert (spec.voxel_size, spec.roi) == (VOXEL, WHOLE)
    np.testing.assert_array_equal(data, DATA)
    with pytest.raises(OutputMismatch, match="its dtype is uint16, not uint8"):
        copy(array_source(DATA.astype(np.uint8)), *png(tmp_path), **PNG)
    with pytest.raises(OutputMismatch, match="it covers .*, not all of"):
        copy(array_source(offset=WHOLE.offset + VOXEL), *png(tmp_path), **PNG)


def test_png_on_a_full_and_a_read_only_disk(small_disk):
    ballast = small_disk / "ballast"
    free = os.statvfs(small_disk).f_bavail * 4096
    ballast.write_bytes(bytes(free - 5 * 4096))
    with pytest.raises(StoreUnusable, match="sections cannot be written: the disk is full"):
        copy(array_source(), *png(small_disk), **PNG)
    ballast.unlink()
    copy(array_source(), *png(small_disk), **PNG)
    assert not list((small_disk / "sections").glob("*.part"))
    subprocess.check_call(["mount", "-o", "remount,ro", str(small_disk)])
    changed = array_source(DATA[::-1].copy())
    np.testing.assert_array_equal(read(*png(small_disk))[1], DATA)
    for folder in (small_disk, small_disk / "new"):
        with pytest.raises(ReadOnly, match="permissions"):
            copy(changed, *png(folder), **PNG)
    subprocess.check_call(["mount", "-o", "remount,rw", str(small_disk)])
    copy(changed, *png(small_disk), **PNG)
    np.testing.assert_array_equal(read(*png(small_disk))[1], DATA[::-1])


CACHED = {
    "hdf5": ("{}/a.hdf", "raw", "gzip"),
    "zarr": ("{}/a.zarr", "raw", "gzip"),
    "n5": ("{}/a.n5", "raw", "gzip"),
    "precomputed": ("{}/a.precomputed", "raw", None),
    "images": ("images://{}/stack", "", None),
    "png": ("images://{}/stack", "", "png"),
    "tiff": ("{}/a.tif", "", "zlib"),
}


@pytest.mark.parametrize("kind", CACHED)
def test_decoded_chunks_of_every_format_are_kept_within_a_budget(tmp_path, monkeypatch, kind):
    store, path, compression = CACHED[kind]
    store = store.format(tmp_path)
    if kind == "tiff":
        pytest.importorskip("tifffile").imwrite(store, DATA, compression=compression)
    else:
        geometry = Geometry(VOXEL, WHOLE.offset)
        made = create_dataset(
            store, path, SHAPE, "u2", chunks=(4, 10, 16), geometry=geometry, compression=compression
        )
        made.write((), DATA)
        gp.stores.close_all()
    fetched = []
    plain = open_dataset(store, path)
    fetch = type(plain).fetch
    monkeypatch.setattr(
        type(plain), "fetch", lambda self, index: fetched.append(index) or fetch(self, index)
    )
    roomy, narrow = Arena(1 << 20), Arena(3 * 4096)
    for arena in (roomy, narrow):
        kept = with_cache(open_dataset(store, path), arena)
        for _ in range(3):
            np.testing.assert_array_equal(kept.read(()), DATA)
            assert arena.used <= arena.budget
        if arena is roomy:
            assert len(fetched) == len(set(fetched)) > 1
    assert len(fetched) > 2 * len(set(fetched))  # there is no room for all


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
from tests.integration.test_formats import AtTheThird, PNG, array_source, copy

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


@pytest.fixture(scope="module")
def s3_port():
    pytest.importorskip("moto")
    with s3_server() as port:
        yield port


@pytest.mark.parametrize("kind", ["zarr", "n5", "precomputed"])
@pytest.mark.parametrize("where", ["reading", "writing"])
def test_a_connection_that_is_lost_in_the_middle(s3_port, tmp_path, monkeypatch, kind, where):
    monkeypatch.setenv(VARIABLE, "2")
    line = Line(s3_port)
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
            copy(source + AtTheThird(line.cut), *target)
        line.connect()
        copy(source, *target)
        np.testing.assert_array_equal(read(*target)[1], DATA)
    finally:
        with contextlib.suppress(OSError):
            line.cut()


def test_the_formats_are_really_those(tmp_path):
    for kind in FORMATS:
        store, path = place(kind, tmp_path)
        copy(array_source(), store, path)
        assert gp.stores.store_format(store) == kind
        bare = store.removeprefix("images://")
        assert gp.stores.store_format(bare) == kind  # also by what is there
        assert open_dataset(bare, path).shape == tuple(SHAPE)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_place_and_channels_survive(tmp_path_factory, data):
    kind = data.draw(st.sampled_from([*FORMATS]))
    dims = 3 if kind in ("precomputed", "images") else data.draw(st.sampled_from([2, 3]))
    channels = 0 if kind == "images" else data.draw(st.sampled_from([0, 2, 3]))
    numbers = data.draw(st.lists(st.integers(1, 4000), min_size=dims, max_size=dims))
    voxel = gp.Coordinate(n / 10 for n in numbers)
    steps = data.draw(st.lists(st.integers(-9, 9), min_size=dims, max_size=dims))
    shape = data.draw(st.lists(st.integers(2, 6), min_size=dims, max_size=dims))
    dtype = data.draw(st.sampled_from(["u1", "u8", "f4"]))
    lead = (channels,) if channels else ()
    values = np.random.default_rng(1).integers(0, 255, (*lead, *shape)).astype(dtype)
    if dtype == "u8":
        values += np.uint64(2**64 - 256)
    roi = gp.Roi(voxel * gp.Coordinate(steps), voxel * gp.Coordinate(shape))
    spec = gp.ArraySpec(roi, voxel, interpolatable=True)
    store, path = place(kind, tmp_path_factory.mktemp("any"))
    writer = gp.DatasetWrite({RAW: path}, store)
    with gp.build(gp.ArraySource(RAW, gp.Array(values, spec)) + writer) as pipeline:
        pipeline.request_batch(gp.BatchRequest({RAW: roi}))
    found, read_back = read(store, path)
    assert (found.roi, found.voxel_size) == (roi, voxel)
    np.testing.assert_array_equal(read_back, values)


def test_images_are_sections_or_items(tmp_path):
    images = pytest.importorskip("imageio.v3")
    data = DATA.astype(np.uint8)
    for number, section in enumerate(data):
        images.imwrite(tmp_path / f"s{number}.png", section)
    specs = {size: {RAW: gp.ArraySpec(voxel_size=size)} for size in ((40, 4, 4), (4, 4))}
    for size, array_specs in specs.items():
        spec, found = read(tmp_path, "", array_specs=array_specs)
        assert spec.roi == gp.Roi(
            (0,) * len(size), gp.Coordinate(DATA.shape[-len(size) :]) * gp.Coordinate(size)
        )
        np.testing.assert_array_equal(found, data)
