"""One array in every format, through one pipeline."""

import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import voxflow as gp
from tests.stores.test_knossos import write_knossos
from voxflow.stores import (
    Geometry,
    OutputMismatch,
    create_dataset,
    open_dataset,
)
from voxflow.stores.cache import Arena, with_cache

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


def forget(store, path, block=None, **options):
    """Remove the record of a scan, so that what differs is written, too."""
    for output in gp.DatasetWrite({RAW: path}, store, **options).outputs():
        if output.record is not None:
            shutil.rmtree(output.record, ignore_errors=True)


def copy(source, store, path, block=(4, 9, 16), **options):
    request = gp.BatchRequest({RAW: gp.Roi(WHOLE.offset, VOXEL * gp.Coordinate(block))})
    writer = gp.DatasetWrite({RAW: path}, store, **options)
    forget(store, path, **options)
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


def write_cubes(folder, data):
    """An input of knossos."""
    folder.mkdir()
    conf = "\n".join(
        [
            'experiment name "cells_mag1";',
            *(f"boundary {axis} {n};" for axis, n in zip("zyx", SHAPE, strict=True)),
            *(f"scale {axis} {float(v)};" for axis, v in zip("zyx", VOXEL, strict=True)),
        ]
    )
    (folder / "knossos.conf").write_text(conf)
    write_knossos(folder, data)


def test_every_format_is_read_by_workers(tmp_path):
    origin = (0, 0, 0)  # that of knossos
    cubes = DATA.astype(np.uint8)
    write_cubes(tmp_path / "cubes", cubes)
    places = {"knossos": (tmp_path / "cubes", "")}
    for kind in FORMATS:
        places[kind] = place(kind, tmp_path)
        copy(array_source(offset=origin), *places[kind])
    keys = {kind: gp.ArrayKey(kind.upper()) for kind in places}
    sources = tuple(
        gp.DatasetSource(store, {keys[kind]: path}) for kind, (store, path) in places.items()
    )
    out = tmp_path / "out.zarr"
    writer = gp.ZarrWrite({key: kind for kind, key in keys.items()}, store=out)
    block = gp.Roi(origin, VOXEL * gp.Coordinate(5, 11, 20))
    request = gp.BatchRequest({key: block for key in keys.values()})
    pipeline = sources + gp.MergeProvider() + writer
    with gp.build(pipeline + gp.Scan(request, num_workers=2)) as scan:
        scan.request_batch(gp.BatchRequest())
    for kind in places:
        spec, copied = read(out, kind)
        assert (spec.voxel_size, spec.roi) == (VOXEL, gp.Roi(origin, VOXEL * SHAPE)), kind
        np.testing.assert_array_equal(copied, cubes if kind == "knossos" else DATA, kind)


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


PNG = {"block": (4, *SHAPE[1:]), "compression_type": "png"}


def png(folder):
    return f"images://{folder}/sections", ""


def test_png_holds_the_same(tmp_path):
    copy(array_source(), *png(tmp_path), **PNG)
    spec, data = read(*png(tmp_path))
    assert (spec.voxel_size, spec.roi) == (VOXEL, WHOLE)
    np.testing.assert_array_equal(data, DATA)
    with pytest.raises(OutputMismatch, match="it covers .*, not all of"):
        copy(array_source(offset=WHOLE.offset + VOXEL), *png(tmp_path), **PNG)


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
