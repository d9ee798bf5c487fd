import json

import numpy as np
import ome_zarr_models.v04
import ome_zarr_models.v05
import pytest
import zarr

import voxflow as gp
from tests.helpers import asking, served
from tests.helpers import source as memory
from voxflow.stores import (
    OutputMismatch,
    StoreError,
    create_dataset,
    list_datasets,
    list_levels,
    open_attrs,
    open_dataset,
)

RAW, LABELS = gp.ArrayKey("RAW"), gp.ArrayKey("LABELS")
IMAGES = {"0.4": ome_zarr_models.v04.Image, "0.5": ome_zarr_models.v05.Image}

versions = pytest.mark.parametrize("version", ["0.4", "0.5"])


def validated(store, path, version):
    """The metadata as those read them who wrote the specification down as a package."""
    group = zarr.open_group(store, path=path, mode="r")
    found = IMAGES[version].from_zarr(group)
    return (found.ome_attributes if version == "0.5" else found.attributes), group


def written(upstream, node, block, scan=True):
    """Blocks of RAW through a writer, to the end."""
    request = asking(RAW=block)
    pipeline = upstream + node
    if scan:
        pipeline += gp.Scan(request, progress_callback=gp.ScanCallback())
    with gp.build(pipeline):
        pipeline.request_batch(gp.BatchRequest() if scan else request)
        node.finish()


@versions
@pytest.mark.parametrize(
    ("shape", "voxel_size", "offset", "axes"),
    [
        ((37, 50), (4, 4), (8, 4), "yx"),
        ((3, 37, 50), (4, 4), (0, 0), "cyx"),
        ((9, 37, 50), (40, 4, 4), (40, 4, 8), "zyx"),
        ((2, 9, 37, 50), (9.8, 4.9, 4.9), (9.8, 0, 4.9), "czyx"),
        ((2, 3, 9, 20, 10), (1, 1, 1), (0, 0, 0), "tczyx"),
    ],
)
def test_an_image_that_others_and_we_read(tmp_path, version, shape, voxel_size, offset, axes):
    data = np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)
    dims, size = len(voxel_size), gp.Coordinate(voxel_size)
    node = gp.OmeZarrWrite(
        {RAW: "volumes/raw"},
        tmp_path / "out.zarr",
        "zstd:1",
        version=version,
        unit="nm",
        chunks=(8,) * dims,
        channel_names=["a", "b", "c"][: shape[-dims - 1] if len(shape) > dims else 1],
    )
    written(memory(RAW, data, size, offset, True), node, (offset, size * 8))
    attrs, group = validated(tmp_path / "out.zarr", "volumes/raw", version)
    (image,) = attrs.multiscales
    assert "".join(axis.name for axis in image.axes) == axes
    assert [axis.type for axis in image.axes][-dims:] == ["space"] * dims
    assert [axis.unit for axis in image.axes][-dims:] == ["nanometer"] * dims
    assert image.type == "mean"
    levels = list_levels(tmp_path / "out.zarr", "volumes/raw")
    assert [entry.path for entry in image.datasets] == [f"s{i}" for i in range(len(levels))]
    assert len(levels) > 1
    whole = gp.Roi(offset, gp.Coordinate(shape[-dims:]) * size)
    for number, level in enumerate(levels):
        with gp.build(
            gp.DatasetSource(tmp_path / "out.zarr", {RAW: "volumes/raw"}, level=number)
        ) as source:
            spec = source.spec[RAW]
            found = source.request_batch(asking(RAW=spec.roi))[RAW].data
        assert spec.voxel_size == level.voxel_size
        assert spec.roi == whole.snap_to_grid(level.voxel_size, "grow")
        assert found.shape[: -dims or None] == shape[: len(shape) - dims]
        if number == 0:
            np.testing.assert_array_equal(found, data)
        else:
            assert abs(found.mean() - data.mean()) < 6
        place = image.datasets[number].coordinateTransformations
        np.testing.assert_allclose(place[0].scale[-dims:], [float(n) for n in spec.voxel_size])
        np.testing.assert_allclose(place[1].translation[-dims:], [float(n) for n in spec.roi.begin])
        array = group[f"s{number}"]
        assert array.metadata.zarr_format == (2 if version == "0.4" else 3)
        if version == "0.4":
            assert array.metadata.dimension_separator == "/"
        else:
            assert "".join(array.metadata.dimension_names) == axes
        assert len(array.compressors) == 1


@versions
def test_viewers_are_told_of_channels(tmp_path, version):
    data = np.zeros((2, 8, 8), np.uint16)
    node = gp.OmeZarrWrite(
        {RAW: ""}, tmp_path / "a.zarr", version=version, channel_names={RAW: ["z", "y"]}
    )
    written(memory(RAW, data, (1, 1)), node, ((0, 0), (8, 8)), scan=False)
    validated(tmp_path / "a.zarr", "", version)
    attrs = open_attrs(tmp_path / "a.zarr")
    channels = (attrs["ome"] if version == "0.5" else attrs)["omero"]["channels"]
    assert [channel["label"] for channel in channels] == ["z", "y"]
    assert channels[0]["window"] == {"min": 0, "max": 65535, "start": 0, "end": 65535}
    assert list_datasets(tmp_path / "a.zarr") == ["s0"]


@versions
def test_it_is_an_image_from_the_first_block_on(tmp_path, version):
    upstream = memory(RAW, np.ones((64, 64), "f4"), (1, 1))
    node = gp.OmeZarrWrite({RAW: "a/b"}, tmp_path / "a.zarr", version=version, chunks=(16, 16))
    served(upstream + node, asking(RAW=((0, 0), (16, 16))))
    validated(tmp_path / "a.zarr", "a/b", version)
    assert len(list_levels(tmp_path / "a.zarr", "a/b")) == 1
    # Without a scan, one makes the pyramid oneself; what was not written is told.
    with pytest.raises(gp.stores.MissingChunk):
        gp.make_pyramid(tmp_path / "a.zarr", "a/b")
    assert gp.make_pyramid(tmp_path / "a.zarr", "a/b", missing_chunks="fill")[-1] == "a/b/s2"
    assert open_dataset(tmp_path / "a.zarr", "a/b/s2").read().sum() == 16


@pytest.mark.parametrize(
    ("interpolatable", "options", "wanted"),
    [
        (True, {}, 2),
        (False, {}, 1),
        (None, {}, 1),  # uint16 may be labels
        (True, {"downsample": "max"}, 5),
        (False, {"downsample": {RAW: "mean"}}, 2),
    ],
)
def test_labels_are_not_averaged(tmp_path, interpolatable, options, wanted):
    data = np.array([[1, 1], [1, 5]], np.uint16)
    upstream = memory(RAW, data, (1, 1), interpolatable=interpolatable)
    node = gp.OmeZarrWrite({RAW: "a"}, tmp_path / "a.zarr", levels=2, **options)
    written(upstream, node, ((0, 0), (2, 2)))
    assert open_dataset(tmp_path / "a.zarr", "a/s1").read().item() == wanted


def contents(folder):
    return {
        str(file.relative_to(folder)): (file.read_bytes(), file.stat().st_mtime_ns)
        for file in folder.rglob("*")
        if file.is_file() and ".scan" not in file.parts
    }


@versions
def test_finishing_twice_changes_nothing_and_writing_again_makes_levels_anew(tmp_path, version):
    store, data = tmp_path / "a.zarr", np.full((32, 32), 4, np.uint8)
    options = {"version": version, "chunks": (8, 8)}
    written(
        memory(RAW, data, (1, 1)),
        gp.OmeZarrWrite({RAW: "a"}, store, **options),
        ((0, 0), (16, 16)),
    )
    before = contents(store)
    gp.OmeZarrWrite({RAW: "a"}, store, **options).finish()
    assert contents(store) == before
    assert len(list_levels(store, "a")) == 3
    node = gp.OmeZarrWrite({RAW: "a"}, store, **options)
    with gp.build(memory(RAW, data + 2, (1, 1)) + node):
        node.request_batch(asking(RAW=((16, 0), (16, 32))))
        assert len(list_levels(store, "a")) == 1
    node.finish()
    assert open_dataset(store, "a/s2").read().tolist() == [[4] * 8] * 4 + [[6] * 8] * 4


@versions
def test_removing_an_image(tmp_path, version):
    store, data = tmp_path / "a.zarr", np.full((32, 32), 4, np.uint8)
    kind = 2 if version == "0.4" else 3
    create_dataset(store, "a/labels/other", (4,), "u1", zarr_format=kind)

    def node():
        return gp.OmeZarrWrite(
            {RAW: "a"}, store, version=version, chunks=(8, 8), channel_names=["x"]
        )

    node().remove()
    written(memory(RAW, data, (1, 1)), node(), ((0, 0), (16, 16)))
    before = contents(store)
    assert len(list_datasets(store)) == 4
    node().remove()
    assert list_datasets(store) == ["a/labels/other"]
    assert not {"ome", "multiscales", "omero"} & set(open_attrs(store, "a"))
    node().remove()
    written(memory(RAW, data, (1, 1)), node(), ((0, 0), (16, 16)))
    assert {k: v for k, (v, _) in contents(store).items()} == {k: v for k, (v, _) in before.items()}


def test_what_is_written_and_who_may(tmp_path):
    node = gp.OmeZarrWrite({RAW: "a", LABELS: ""}, tmp_path / "a.zarr", chunks=(8, 8))
    assert node.parallel
    assert [(o.path, o.location) for o in node.outputs()] == [
        ("a/s0", f"{tmp_path}/a.zarr/a/s0"),
        ("s0", f"{tmp_path}/a.zarr/s0"),
    ]
    node = gp.OmeZarrWrite({RAW: "a"}, tmp_path / "a.zarr", chunks=(8, 8))
    zero = gp.Coordinate(0, 0)
    with gp.build(memory(RAW, np.zeros((32, 32)), (1, 1)) + node):
        assert node.parallel_obstacle(RAW, gp.Coordinate(16, 16), zero) is None
        assert "axis 1" in node.parallel_obstacle(RAW, gp.Coordinate(16, 12), zero)


def test_mistakes(tmp_path):
    store = tmp_path / "a.zarr"
    with pytest.raises(ValueError, match=r"version is one of '0.4', '0.5', got '0.3'"):
        gp.OmeZarrWrite({RAW: "a"}, store, version="0.3")
    with pytest.raises(ValueError, match="0.4 has no shards"):
        gp.OmeZarrWrite({RAW: "a"}, store, version="0.4", shards=(8, 8))
    with pytest.raises(ValueError, match="levels has to be at least 1"):
        gp.OmeZarrWrite({RAW: "a"}, store, levels=0)
    with pytest.raises(ValueError, match="downsample is one of 'mean'"):
        gp.OmeZarrWrite({RAW: "a"}, store, downsample="gauss")
    for shape, size, options, text in (
        ((8,), (1,), {}, "RAW, which has 1 spatial axes; OME-Zarr has 2 or 3"),
        ((8, 8), (1, 1), {"unit": ["nm"] * 3}, "not one for each of 2 spatial axes"),
        ((2, 8, 8), (1, 1), {"channel_names": ["a"]}, "RAW has 2 channels, channel_names are"),
        ((2, 2, 2, 8, 8), (1, 1), {}, "3 axes before the spatial ones"),
    ):
        node = gp.OmeZarrWrite({RAW: "a"}, store, **options)
        with pytest.raises(ValueError, match=text):
            served(
                memory(RAW, np.zeros(shape, "u1"), size) + node,
                asking(RAW=((0,) * len(size), (8,) * len(size))),
            )
        assert not store.exists()


def test_a_store_of_the_other_format_or_another_image(tmp_path):
    create_dataset(tmp_path / "a.zarr", "other", (4,), "u1", zarr_format=2)
    upstream = memory(RAW, np.zeros((8, 8), "u1"), (1, 1))
    with pytest.raises(StoreError, match="is a zarr store of format 2"):
        node = gp.OmeZarrWrite({RAW: "a"}, tmp_path / "a.zarr")
        served(upstream + node, asking(RAW=((0, 0), (8, 8))))
    written(upstream, gp.OmeZarrWrite({RAW: "a"}, tmp_path / "b.zarr"), ((0, 0), (8, 8)))
    other = memory(RAW, np.zeros((8, 8), "u1"), (2, 2))
    with pytest.raises(OutputMismatch, match=r"its voxel size is \(1, 1\), not \(2, 2\)"):
        with gp.build(other + gp.OmeZarrWrite({RAW: "a"}, tmp_path / "b.zarr")):
            pass


def test_in_memory(tmp_path):
    store = {}
    node = gp.OmeZarrWrite({RAW: "a"}, store, shards=(8, 16), chunks=(4, 4), scale=2)
    written(memory(RAW, np.full((16, 16), 3, "u1"), (1, 1)), node, ((0, 0), (8, 8)))
    assert len(list_levels(store, "a")) == 3
    assert open_dataset(store, "a/s1").read().tolist() == [[6] * 8] * 8
    assert not node.parallel
    text = json.dumps(dict(open_attrs(store, "a")))
    assert '"version": "0.5"' in text


def test_blocks_of_several_workers_and_a_pyramid_that_was_stopped(tmp_path, monkeypatch):
    data = np.random.default_rng(0).integers(0, 9, (2, 40, 44)).astype(np.uint16)
    reference = asking(RAW=((0, 0), (16, 16)))

    def line(name):
        node = gp.OmeZarrWrite({RAW: "image"}, tmp_path / name, "zstd:1", scale=3)
        return memory(RAW, data, (1, 1)) + node

    gp.scan(line("one.zarr"), reference, progress=gp.ScanCallback(), seed=1)

    def stopped(*_):
        raise OSError("stopped")

    with monkeypatch.context() as patch:
        patch.setattr("voxflow.nodes.sinks.pyramid.shrink_into", stopped)
        with pytest.raises(OSError, match="stopped"):
            gp.scan(line("two.zarr"), reference, num_workers=2, progress=gp.ScanCallback(), seed=1)
    assert len(list_levels(tmp_path / "two.zarr", "image")) == 1
    gp.scan(line("two.zarr"), reference, num_workers=2, progress=gp.ScanCallback(), seed=1)
    one, two = (contents(tmp_path / name) for name in ("one.zarr", "two.zarr"))
    assert {k: v for k, (v, _) in one.items()} == {k: v for k, (v, _) in two.items()}
    assert len(list_levels(tmp_path / "two.zarr", "image")) == 3
    np.testing.assert_array_equal(open_dataset(tmp_path / "two.zarr", "image/s0").read(), data * 3)
    report = gp.scan(line("two.zarr"), reference, exist="overwrite", progress=gp.ScanCallback())
    assert report.done_before == 0
