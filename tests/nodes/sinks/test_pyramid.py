import itertools
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

import voxflow as gp
from tests.helpers import asking
from voxflow.nodes.sinks import pyramid
from voxflow.nodes.sinks.ome_image import level_name
from voxflow.stores import (
    Geometry,
    MetadataConflict,
    MissingChunk,
    StoreError,
    create_dataset,
    list_levels,
    open_attrs,
    open_dataset,
    read_geometry,
)

RAW = gp.ArrayKey("RAW")


def dataset(
    store, data, path="image/s0", voxel_size=(40, 4, 4), offset=None, write=True, **options
):
    dims = len(voxel_size)
    geometry = Geometry(voxel_size, offset or (0,) * dims)
    made = create_dataset(store, path, data.shape, data.dtype, geometry=geometry, **options)
    if write:
        made.write((), data)
    return store


def cells(data, factors, before):
    """The voxels that each coarser voxel covers, and its place."""
    axes = list(zip(data.shape, factors, before, strict=True))
    for place in np.ndindex(*(-(-(n + b) // f) for n, f, b in axes)):
        ends = [(i * f - b, (i + 1) * f - b) for i, (_, f, b) in zip(place, axes, strict=True)]
        yield place, data[tuple(slice(max(0, a), b) for a, b in ends)].ravel().tolist()


def by_hand(data, factors, method, before=None):
    found = dict(cells(data, factors, before or (0,) * data.ndim))
    made = np.zeros([n + 1 for n in max(found)], data.dtype)
    for place, values in found.items():
        counts = Counter(values)
        most, mean = max(counts.values()), sum(values) / len(values)
        made[place] = {
            "mean": mean if data.dtype.kind == "f" else round(mean),
            "mode": min(value for value, count in counts.items() if count == most),
            "min": min(values),
            "max": max(values),
            "stride": values[0],
        }[method]
    return made


@given(
    st.lists(
        st.tuples(st.integers(1, 5), st.sampled_from([(1, 0), (2, 0), (2, 1)])),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from(["u1", "i2", "u8"]),
    st.sampled_from(["mean", "mode", "min", "max", "stride"]),
    st.randoms(use_true_random=False),
)
def test_each_voxel_is_made_of_those_that_it_covers(axes, dtype, method, random):
    shape, steps = zip(*axes, strict=True)
    factors, before = zip(*steps, strict=True)
    top = 255 if method == "mean" else 2 ** (8 * np.dtype(dtype).itemsize - 2)
    few = [0, 1, top // 2, top]
    values = [random.choice(few) for _ in range(int(np.prod(shape)))]
    data = np.array(values, dtype="u8").astype(dtype).reshape(shape)
    made = pyramid.shrink(data, factors, method, before)
    assert made.dtype == data.dtype
    np.testing.assert_array_equal(made, by_hand(data, factors, method, before))


def test_ids_up_to_the_largest():
    data = np.array([[2**64 - 1, 2**64 - 2], [2**64 - 1, 1]], np.uint64)
    assert pyramid.shrink(data, (2, 2), "mode").tolist() == [[2**64 - 1]]


@given(
    st.lists(st.tuples(st.integers(1, 70), st.integers(-9, 9)), min_size=1, max_size=3),
    st.lists(st.sampled_from([1, 4, 9.8, 40, 1000]), min_size=3, max_size=3),
)
def test_voxels_become_cubes_on_the_grid_of_their_size(axes, size):
    size = gp.Coordinate(size[: len(axes)])
    shape = [n for n, _ in axes]
    begin = size * gp.Coordinate(at for _, at in axes)
    for _ in range(20):
        step = pyramid.halving(shape, size, begin)
        if max(step.factors) == 1:
            break
        shorter = step.shape(shape)
        assert all(
            (f == 2) == (m < n) for f, m, n in zip(step.factors, shorter, shape, strict=True)
        )
        begin, size, shape = begin - step.before * size, size * step.factors, shorter
        assert begin % size == (0,) * len(size)
    # To the end, what is left of an axis are one voxel, or two on both sides of a border.
    assert max(shape) <= 2


def test_axes_are_halved_that_are_not_coarser():
    zero = gp.Coordinate(0, 0, 0)

    def factors(*size, shape=(9, 9, 9)):
        return pyramid.halving(shape, gp.Coordinate(size), zero).factors

    assert factors(4, 4, 4) == (2, 2, 2)
    assert factors(40, 4, 4) == (1, 2, 2)
    assert factors(40, 32, 32) == (2, 2, 2)
    assert factors(40, 24, 24) == (1, 2, 2)  # 40 by 48 is closer to a cube than 80 by 48
    assert factors(9.8, 10, 10) == (2, 2, 2)
    assert factors(4, 40, 40, shape=(1, 9, 9)) == (1, 2, 2)


levels_of_shapes = pytest.mark.parametrize(
    ("shape", "voxel_size", "chunks"),
    [
        ((37, 50), (4, 4), (10, 16)),
        ((9, 37, 50), (40, 4, 4), (4, 10, 16)),
        ((2, 9, 37, 50), (9.8, 4, 5), (1, 4, 10, 16)),
        ((1, 64, 33), (40, 4, 4), (1, 16, 16)),
        ((3, 2, 8, 17, 33), (1, 1, 1), (1, 1, 8, 8, 8)),
    ],
)


@levels_of_shapes
@pytest.mark.parametrize("kind", [2, 3])
def test_levels_cover_the_same_place(tmp_path, shape, voxel_size, chunks, kind):
    data = np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)
    offset = gp.Coordinate((7, -3, 12)[: len(voxel_size)]) * gp.Coordinate(voxel_size)
    store = tmp_path / "a.zarr"
    dataset(store, data, "s0", voxel_size, offset, chunks=chunks, zarr_format=kind)
    paths = gp.make_pyramid(store, "s0")
    assert paths == [f"s{i}" for i in range(len(paths))]
    found = list_levels(store)
    assert [level.path for level in found] == paths
    dims, wanted = len(voxel_size), data
    whole = gp.Roi(offset, gp.Coordinate(shape[-dims:]) * gp.Coordinate(voxel_size))
    size, begin = gp.Coordinate(voxel_size), offset
    for number, level in enumerate(found):
        made = open_dataset(store, level.path)
        step = [int(n) for n in level.voxel_size / size]
        size = level.voxel_size
        # What a source says is all that there is, in whole voxels of the level.
        with gp.build(gp.DatasetSource(store, {RAW: ""}, level=number)) as source:
            roi = source.spec[RAW].roi
        assert roi == whole.snap_to_grid(size, "grow")
        before = [int(n) for n in (begin - roi.begin) / (size / gp.Coordinate(step))]
        lead = data.ndim - dims
        wanted = by_hand(wanted, [1] * lead + step, "mean", [0] * lead + before)
        np.testing.assert_array_equal(made.read(), wanted)
        assert made.chunks == chunks
        assert read_geometry(made).offset == roi.begin
        begin = roi.begin
    last = open_dataset(store, paths[-1]).shape[-dims:]
    assert all(n <= c for n, c in zip(last, chunks[-dims:], strict=True))
    assert len(paths) > 1


@settings(max_examples=12, deadline=None)
@given(
    st.lists(st.integers(1, 14), min_size=2, max_size=3),
    st.lists(st.integers(3, 9), min_size=3, max_size=3),
    st.integers(1, 200),
    st.booleans(),
)
def test_the_size_of_pieces_does_not_matter(shape, chunks, piece, sharded):
    data = (np.arange(np.prod(shape)) * 7919 % 251).reshape(shape).astype(np.uint8)
    chunks = chunks[: len(shape)]
    options = {"shards": [2 * n for n in chunks]} if sharded else {}
    size = (3, 2, 2)[-len(shape) :]
    one = dataset({}, data, voxel_size=size, chunks=chunks, **options)
    two = dataset({}, data, voxel_size=size, chunks=chunks, **options)
    paths = gp.make_pyramid(one, "image/s0")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pyramid, "_PIECE", piece)
        assert gp.make_pyramid(two, "image/s0") == paths
    for path in paths:
        a, b = (open_dataset(store, path).read() for store in (one, two))
        np.testing.assert_array_equal(a, b)


def files(folder):
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in Path(folder).rglob("*")
        if file.is_file()
    }


@pytest.mark.parametrize("kind", [2, 3])
def test_stopped_anywhere_and_called_again(tmp_path, monkeypatch, kind):
    data = np.random.default_rng(0).integers(0, 9, (3, 40, 50)).astype(np.uint64)
    options = {"chunks": (3, 8, 8), "zarr_format": kind, "compression": "zstd:3"}
    dataset(tmp_path / "whole.zarr", data, **options)
    paths = gp.make_pyramid(tmp_path / "whole.zarr", "image/s0")
    assert len(paths) == 4
    wanted = files(tmp_path / "whole.zarr")
    monkeypatch.setattr(pyramid, "_PIECE", 8 * 8 * 8 * 3 * 4)  # many blocks
    true = type(open_dataset(tmp_path / "whole.zarr", "image/s0")).write
    dataset(tmp_path / "a.zarr", data, **options)
    for survive in itertools.count():
        left = [survive]

        def write(self, region, data, left=left):
            left[0] -= 1
            if left[0] < 0:
                raise OSError("stopped")
            true(self, region, data)

        monkeypatch.setattr("voxflow.stores.zarr.ZarrDataset.write", write)
        try:
            gp.make_pyramid(tmp_path / "a.zarr", "image/s0")
        except OSError:
            listed = [level.path for level in list_levels(tmp_path / "a.zarr", "image")]
            assert listed == paths[: len(listed)]
            continue
        break
    assert survive > 3
    assert files(tmp_path / "a.zarr") == wanted


def test_what_is_complete_is_left_alone_unless_told(tmp_path):
    data = np.full((8, 64, 64), 5, np.uint8)
    store = dataset(tmp_path / "a.zarr", data, chunks=(8, 16, 16))
    gp.make_pyramid(store, "image/s0", levels=2)
    open_dataset(store, "image/s0", "r+").write((), data + 1)
    assert gp.make_pyramid(store, "image") == ["image/s0", "image/s1", "image/s2"]
    assert [open_dataset(store, f"image/s{i}").read().max() for i in range(3)] == [6, 5, 5]
    gp.make_pyramid(store, "image", overwrite=True)
    assert [open_dataset(store, f"image/s{i}").read().max() for i in range(3)] == [6, 6, 6]


def test_levels_that_others_made_otherwise(tmp_path):
    store = dataset(tmp_path / "a.zarr", np.zeros((64, 64), np.uint8), voxel_size=(4, 4))
    gp.make_pyramid(store, "image/s0", levels=2)
    there = open_dataset(store, "image/s1", "r+")
    there.attrs.update({"resolution": [12, 8], "voxel_size": [12, 8]})
    group = open_attrs(store, "image", "r+")
    images = json.loads(json.dumps(group["multiscales"]))
    images[0]["datasets"][1]["coordinateTransformations"][0]["scale"] = [12, 8]
    group["multiscales"] = images
    with pytest.raises(MetadataConflict, match=r"voxels of \(12, 8\) and not \(8, 8\); make all"):
        gp.make_pyramid(store, "image", levels=2)
    gp.make_pyramid(store, "image", levels=2, overwrite=True)
    assert list_levels(store, "image")[1].voxel_size == (8, 8)


def test_compressors_shards_and_attributes_are_those_of_the_finest(tmp_path):
    store = dataset(
        tmp_path / "a.zarr",
        np.zeros((2, 40, 40), np.uint8),
        voxel_size=(4, 4),
        chunks=(1, 4, 4),
        shards=(2, 16, 8),
        compression="blosc:lz4",
        attrs={"affinity_neighborhood": [[-1, 0], [0, -1]]},
    )
    gp.make_pyramid(store, "image/s0")
    first, second = (zarr.open_array(store / f"image/s{i}", mode="r") for i in range(2))
    assert second.compressors == first.compressors
    assert (second.chunks, second.shards) == ((1, 4, 4), (2, 16, 8))


@pytest.mark.parametrize(
    ("dtype", "method"),
    [("f4", "mean"), ("u1", "mean"), ("u2", "mode"), ("u8", "mode"), ("?", "mode")],
)
def test_the_method_follows_from_the_type(tmp_path, dtype, method):
    data = np.array([[0, 1], [1, 1]], dtype)
    store = dataset({}, data, voxel_size=(1, 1))
    gp.make_pyramid(store, "image/s0", levels=2)
    made = open_dataset(store, "image/s1").read()
    assert made.item() == {"f4": 0.75}.get(dtype, 1)
    assert pyramid.choose_method(dtype) == method
    gp.make_pyramid(store, "image", levels=2, downsample="min", overwrite=True)
    assert open_dataset(store, "image/s1").read().item() == 0


def test_a_chunk_that_was_never_written(tmp_path):
    store = dataset(tmp_path / "a.zarr", np.ones((8, 32), "f4"), voxel_size=(1, 1), write=False)
    with pytest.raises(MissingChunk):
        gp.make_pyramid(store, "image/s0", levels=2)
    assert len(list_levels(store, "image")) == 1
    gp.make_pyramid(store, "image/s0", levels=2, missing_chunks="fill")
    assert open_dataset(store, "image/s1").read().max() == 0


def test_what_cannot_be_a_pyramid(tmp_path):
    data = np.zeros((8, 8), np.uint8)
    dataset(tmp_path / "a.hdf", data, "raw", (1, 1))
    with pytest.raises(StoreError, match="made in Zarr, and this is hdf5"):
        gp.make_pyramid(tmp_path / "a.hdf", "raw")
    dataset(tmp_path / "root.zarr", data, "", (1, 1))
    with pytest.raises(StoreError, match="is in no group"):
        gp.make_pyramid(tmp_path / "root.zarr")
    dataset(tmp_path / "a.zarr", data, "image/raw", (1, 1))
    dataset(tmp_path / "a.zarr", data, "image/other", (1, 1))
    assert gp.make_pyramid(tmp_path / "a.zarr", "image/raw", levels=2)[1] == "image/raw_s1"
    with pytest.raises(StoreError, match="is an image of other datasets already"):
        gp.make_pyramid(tmp_path / "a.zarr", "image/other")
    with pytest.raises(ValueError, match="levels has to be at least 1"):
        gp.make_pyramid(tmp_path / "a.zarr", "image", levels=0)
    with pytest.raises(ValueError, match="downsample is one of None, 'mean'"):
        gp.make_pyramid(tmp_path / "a.zarr", "image", downsample="gauss")
    created = {"attrs": {"axis_names": ["y", "x", "c^"]}, "geometry": Geometry((1, 1), (0, 0))}
    create_dataset(tmp_path / "c.zarr", "image/s0", (8, 8, 3), "u1", **created)
    with pytest.raises(StoreError, match=r"its spatial axes are \(0, 1\), not the last"):
        gp.make_pyramid(tmp_path / "c.zarr", "image/s0")


def test_a_level_is_read_as_any_array():
    data = np.arange(8 * 8, dtype=np.float32).reshape(8, 8)
    store = dataset({}, data, voxel_size=(4, 4), offset=(8, 4))
    gp.make_pyramid(store, "image/s0", levels=3)
    with gp.build(gp.DatasetSource(store, {RAW: "image"}, level=1)) as source:
        batch = source.request_batch(asking(RAW=((16, 8), (8, 16))))
    wanted = by_hand(data, (2, 2), "mean", (0, 1))[1:2, 1:3]
    np.testing.assert_array_equal(batch[RAW].data, wanted)


def test_names_of_levels():
    assert [level_name(name, 3) for name in ("s0", "0", "scale0", "raw", "s10", "raw/0")] == [
        "s3",
        "3",
        "scale3",
        "raw_s3",
        "s10_s3",
        "raw/3",
    ]
