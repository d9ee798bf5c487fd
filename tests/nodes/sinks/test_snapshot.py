import logging
import pickle

import h5py
import numpy as np
import pytest
import zarr

import voxflow as gp
from tests.helpers import GraphSource, Nothing, asking, ids, ramp, served, source
from voxflow.stores import list_datasets, open_attrs, open_dataset

RAW, LABELS, EXTRA = gp.ArrayKey("RAW"), gp.ArrayKey("LABELS"), gp.ArrayKey("EXTRA")
POINTS = gp.GraphKey("points")

suffixes = pytest.mark.parametrize("suffix", ["hdf", "zarr"])
WHERE = ((0, 0), (8, 6))


def names(folder):
    found = [path.name for kind in ("hdf", "zarr") for path in folder.rglob(f"*.{kind}")]
    return sorted(name for name in found if name[0] != ".")


def raw(data=None):
    return source(RAW, np.ones((4, 3), np.float32) if data is None else data, (2, 2))


class Counted(gp.BatchFilter):
    """Counts how often an array is asked for."""

    def __init__(self, key):
        self.key, self.count = key, 0

    def process(self, batch, request):
        self.count += self.key in batch


class Trains(gp.BatchFilter):
    """As the node that trains: counts iterations from 100, and has a loss."""

    def setup(self):
        self.iteration = 100

    def process(self, batch, request):
        batch.iteration, batch.loss = self.iteration, np.float32(0.25)
        self.iteration += 1


# -- which batches, under which names --------------------------------------------------------------


@pytest.mark.parametrize(
    ("every", "written"),
    [(1, [1, 2, 3, 4, 5]), (2, [1, 3, 5]), (3, [1, 4]), (0, [1, 2, 3, 4, 5]), (9, [1])],
)
def test_every_so_many_batches_and_the_first(tmp_path, every, written):
    pipeline = raw() + gp.Snapshot({RAW: "raw"}, tmp_path, "batch_{iteration}.hdf", every)
    with gp.build(pipeline):
        for _ in range(5):
            pipeline.request_batch(asking(RAW=WHERE))
    assert names(tmp_path) == [f"batch_{number}.hdf" for number in written]


def test_the_iteration_of_the_training_and_the_number_of_the_batch(tmp_path):
    pipeline = raw() + Trains() + gp.Snapshot({RAW: "raw"}, tmp_path, "{id}_{iteration}.hdf", 2)
    with gp.build(pipeline):
        for _ in range(3):
            pipeline.request_batch(asking(RAW=WHERE))
    assert names(tmp_path) == ["00000001_100.hdf", "00000003_102.hdf"]
    with h5py.File(tmp_path / "00000003_102.hdf") as file:
        assert file.attrs["loss"] == 0.25
        assert file.attrs["iteration"] == 102


def test_the_default_is_a_zarr_store_in_a_folder_that_is_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    served(raw() + gp.Snapshot({RAW: "raw"}), asking(RAW=WHERE))
    assert zarr.open_group("snapshots/1.zarr", mode="r")["raw"][:].all()
    root = dict(zarr.open_group("snapshots/1.zarr", mode="r").attrs)
    assert list(root) == ["replay_token"]


def test_a_resumed_run_goes_on_with_the_numbers(tmp_path):
    class Resumes(Nothing):
        at = None

        def resume_position(self):
            return self.at

    straight, broken = tmp_path / "straight", tmp_path / "broken"
    for folder, parts in ((straight, [7]), (broken, [2, 3, 2])):
        node, position = Resumes(), None
        for count in parts:
            node.at = position
            pipeline = raw() + gp.Snapshot({RAW: "raw"}, folder, "{id}.hdf", 3) + node
            with gp.build(pipeline, seed=None if position else 1):
                for _ in range(count):
                    pipeline.request_batch(asking(RAW=WHERE))
                position = pipeline.run.next_position
    assert names(straight) == names(broken) == [f"{i:08d}.hdf" for i in (1, 4, 7)]


def test_requests_with_seeds_of_their_own_are_counted(tmp_path):
    pipeline = raw() + gp.Snapshot({RAW: "raw"}, tmp_path, "{id}.hdf", 2)
    request = asking(RAW=WHERE)
    request._set_seed(5)
    with gp.build(pipeline):
        for _ in range(3):
            pipeline.request_batch(request)
    assert names(tmp_path) == ["00000001.hdf", "00000003.hdf"]


@pytest.mark.parametrize("workers", [1, 2])
def test_the_blocks_of_a_scan_are_counted_in_order(tmp_path, workers):
    data = ids(gp.Roi((0, 0), (8, 12)), (2, 2))
    extra = gp.BatchRequest({EXTRA: gp.Roi((0, 0), (4, 4))})
    pipeline = (raw(data), source(EXTRA, data, (2, 2))) + gp.MergeProvider()
    pipeline += gp.Snapshot(
        {RAW: "raw", EXTRA: "extra"}, tmp_path, "{id}.hdf", 2, additional_request=extra
    )
    pipeline += gp.Scan(
        asking(RAW=((0, 0), (4, 4))), workers, 2, progress_callback=gp.ScanCallback()
    )
    with gp.build(pipeline):
        for _ in range(2):
            pipeline.request_batch(gp.BatchRequest())
    # Two scans of six blocks; the first axis is the fastest.
    assert names(tmp_path) == [f"{i:08d}.hdf" for i in (1, 3, 5, 7, 9, 11)]
    with h5py.File(tmp_path / "00000003.hdf") as file:
        np.testing.assert_array_equal(file["raw"][:], data[0:2, 2:4])
        np.testing.assert_array_equal(file["extra"][:], data[0:2, 0:2])


def test_write_if(tmp_path):
    class Odd(gp.Snapshot):
        def write_if(self, batch):
            return batch.iteration % 2 == 1

    pipeline = raw() + Trains() + Odd({RAW: "raw"}, tmp_path, "{id}.hdf")
    with gp.build(pipeline):
        for _ in range(4):
            pipeline.request_batch(asking(RAW=WHERE))
    assert names(tmp_path) == ["00000002.hdf", "00000004.hdf"]


# -- what is asked for in addition -----------------------------------------------------------------


@suffixes
def test_extra_keys_only_where_written_and_only_in_the_file(tmp_path, suffix):
    counted = Counted(EXTRA)
    extra = gp.BatchRequest({EXTRA: gp.Roi((2, 2), (4, 4)), RAW: gp.Roi((2, 2), (2, 2))})
    pipeline = (raw(), source(EXTRA, ids(gp.Roi((0, 0), (8, 6)), (2, 2)), (2, 2)))
    pipeline += gp.MergeProvider() + counted
    pipeline += gp.Snapshot(
        {RAW: "raw", EXTRA: "extra"}, tmp_path, f"{{id}}.{suffix}", 2, additional_request=extra
    )
    with gp.build(pipeline):
        for number in range(1, 6):
            batch = pipeline.request_batch(asking(RAW=WHERE))
            assert list(batch.arrays) == [RAW]
            assert counted.count == (number + 1) // 2
    assert names(tmp_path) == [f"{i:08d}.{suffix}" for i in (1, 3, 5)]
    found = open_dataset(tmp_path / f"00000003.{suffix}", "extra")
    np.testing.assert_array_equal(found.read(), [[5, 6], [8, 9]])
    assert list(found.attrs["offset"]) == [2, 2]
    # What is asked for anyway stays as it was asked for.
    assert open_dataset(tmp_path / f"00000003.{suffix}", "raw").shape == (4, 3)


def test_an_extra_key_is_part_of_the_check_before_the_run(tmp_path):
    extra = gp.BatchRequest({EXTRA: gp.Roi((0, 0), (80, 4))})
    pipeline = (raw(), source(EXTRA, np.ones((4, 3)), (2, 2))) + gp.MergeProvider()
    pipeline += gp.Snapshot({RAW: "raw", EXTRA: "e"}, tmp_path, every=2, additional_request=extra)
    with pytest.raises(gp.PipelineRequestError, match="EXTRA: asked for"), gp.build(pipeline):
        pipeline.check(asking(RAW=WHERE))


def test_everything_with_a_name_has_to_be_asked_for(tmp_path):
    pipeline = (raw(), source(EXTRA, np.ones((4, 3)), (2, 2))) + gp.MergeProvider()
    pipeline += gp.Snapshot({RAW: "raw", EXTRA: "extra"}, tmp_path, "{id}.hdf", every=2)
    with gp.build(pipeline):
        text = "is to write EXTRA, which is neither in the request nor in additional_request"
        with pytest.raises(gp.PipelineRequestError, match=text):
            pipeline.request_batch(asking(RAW=WHERE))
        pipeline.request_batch(asking(RAW=WHERE, EXTRA=WHERE))
        pipeline.request_batch(asking(RAW=WHERE))  # not written
    assert names(tmp_path) == ["00000001.hdf"]


@pytest.mark.parametrize(
    ("arguments", "kind", "text"),
    [
        (
            {"additional_request": gp.BatchRequest({EXTRA: gp.Roi((0, 0), (2, 2))})},
            ValueError,
            "asks for EXTRA, which has no name",
        ),
        ({"output_filename": "{step}.hdf"}, ValueError, r"may have the fields \{id\} and \{iterat"),
        ({"output_filename": "{}.hdf"}, ValueError, "may have the fields"),
        ({"dataset_names": {RAW: "a", EXTRA: "a/"}}, ValueError, "more than one array"),
        ({"dataset_names": {"RAW": "a"}}, TypeError, "ArrayKeys and GraphKeys"),
    ],
)
def test_mistakes_are_told_at_once(arguments, kind, text):
    with pytest.raises(kind, match=text):
        gp.Snapshot(**{"dataset_names": {RAW: "raw"}, **arguments})


def test_what_is_not_provided_is_told_at_setup(tmp_path):
    with (
        pytest.raises(KeyError, match="EXTRA") as caught,
        gp.build(raw() + gp.Snapshot({EXTRA: "extra"}, tmp_path)),
    ):
        pass
    assert isinstance(caught.value, gp.PipelineSetupError)


# -- the file --------------------------------------------------------------------------------------


@suffixes
@pytest.mark.parametrize(
    ("offset", "shape", "voxel_size"),
    [
        ((3,), (30,), (3,)),
        ((9.8, -8), (49, 40), (9.8, 8)),
        ((50, 4.6, 4.6), (150, 23, 46), (50, 4.6, 4.6)),
        ((0, 0, 0, 0), (3, 4, 5, 6), (1, 1, 1, 1)),
    ],
)
def test_a_source_reads_it_again(tmp_path, suffix, offset, shape, voxel_size):
    data = ramp(gp.Roi(offset, shape), voxel_size, np.float32)
    pipeline = source(RAW, data, voxel_size, offset)
    request = asking(RAW=(offset, shape))
    served(pipeline + gp.Snapshot({RAW: "volumes/raw"}, tmp_path, f"{{id}}.{suffix}"), request)
    reader = gp.Hdf5Source if suffix == "hdf" else gp.ZarrSource
    again = reader(tmp_path / f"00000001.{suffix}", {RAW: "volumes/raw"})
    with gp.build(again):
        assert again.spec[RAW].voxel_size == gp.Coordinate(voxel_size)
        assert again.spec[RAW].roi == gp.Roi(offset, shape)
        np.testing.assert_array_equal(again.request_batch(request)[RAW].data, data)


@suffixes
@pytest.mark.parametrize("compression", [None, "gzip", 3])
def test_attributes_and_kinds_of_arrays(tmp_path, suffix, compression):
    labels = np.full((4, 3), 2**64 - 1, np.uint64)
    array = gp.Array(labels, gp.ArraySpec(gp.Roi((0, 2), (8, 6)), (2, 2)))
    array.attrs = {"affinity_neighborhood": [[-1, 0], [0, -1]], "mean": np.float64(0.5)}
    scalar = gp.Array(np.float32(0.5), gp.ArraySpec(nonspatial=True))
    table = gp.Array(np.zeros((0, 3)), gp.ArraySpec(nonspatial=True))
    pipeline = (
        gp.ArraySource(LABELS, array),
        gp.ArraySource(RAW, scalar),
        gp.ArraySource(EXTRA, table),
    ) + gp.MergeProvider()
    pipeline += gp.Snapshot(
        {LABELS: "labels", RAW: "scalar", EXTRA: "table"},
        tmp_path,
        f"{{id}}.{suffix}",
        compression_type=compression,
        store_value_range=True,
    )
    request = asking(LABELS=((0, 2), (8, 6)))
    request[RAW] = request[EXTRA] = gp.ArraySpec(nonspatial=True)
    served(pipeline, request)
    path = tmp_path / f"00000001.{suffix}"
    if suffix == "hdf":
        with h5py.File(path) as file:
            found = {name: (file[name][()], dict(file[name].attrs)) for name in file}
    else:
        group = zarr.open_group(str(path), mode="r")
        found = {name: (group[name][()], dict(group[name].attrs)) for name in group}
    data, attrs = found["labels"]
    np.testing.assert_array_equal(data, labels)
    assert data.dtype == np.uint64
    for name, wanted in {
        "offset": [0, 2],
        "voxel_size": [2, 2],
        "resolution": [2, 2],
        "affinity_neighborhood": [[-1, 0], [0, -1]],
        "mean": 0.5,
        "value_range": [2**64 - 1] * 2,
    }.items():
        np.testing.assert_array_equal(attrs[name], wanted)
    assert found["scalar"][0] == np.float32(0.5)
    assert set(found["scalar"][1]) == {"value_range"}
    assert found["table"][0].shape == (0, 3)


@suffixes
def test_graphs(tmp_path, suffix):
    points = {2**40: (1.0, 1.5), 7: (2.0, 4.0), 9: (5.0, 5.0)}
    graph = GraphSource(POINTS, points, gp.Roi((0, 0), (8, 6)), edges=[(2**40, 7)])
    pipeline = graph + gp.Snapshot({POINTS: "volumes/points"}, tmp_path, f"{{id}}.{suffix}", 1)
    with gp.build(pipeline):
        pipeline.request_batch(asking(points=WHERE))
        pipeline.request_batch(asking(points=((6, 0), (2, 2))))
    path = tmp_path / f"00000001.{suffix}"
    assert list_datasets(path) == [
        f"volumes/points-{part}" for part in ("edges", "ids", "locations")
    ]
    found = {
        part: open_dataset(path, f"volumes/points-{part}").read()
        for part in ("edges", "ids", "locations")
    }
    assert (
        dict(zip(found["ids"].tolist(), map(tuple, found["locations"].tolist()), strict=True))
        == points
    )
    assert found["edges"].tolist() == [[2**40, 7]]
    for part in ("edges", "ids", "locations"):
        empty = open_dataset(tmp_path / f"00000002.{suffix}", f"volumes/points-{part}")
        assert empty.shape == (0,)


@suffixes
def test_another_dtype(tmp_path, suffix, caplog):
    pipeline = raw(np.full((4, 3), 200.5)) + gp.Snapshot(
        {RAW: "raw"}, tmp_path, f"{{id}}.{suffix}", dataset_dtypes={RAW: "uint8"}
    )
    batch = served(pipeline, asking(RAW=WHERE))
    assert batch[RAW].data.dtype == np.float64
    found = open_dataset(tmp_path / f"00000001.{suffix}", "raw").read()
    np.testing.assert_array_equal(found, np.full((4, 3), 200, np.uint8))
    with pytest.raises(ValueError, match="RAW has values in .* which int8 cannot hold"):
        served(
            raw(np.full((4, 3), 200.5))
            + gp.Snapshot({RAW: "raw"}, tmp_path / "b", dataset_dtypes={RAW: "int8"}),
            asking(RAW=WHERE),
        )
    assert list((tmp_path / "b").iterdir()) == []
    with caplog.at_level(logging.WARNING):
        served(
            raw()
            + gp.IntensityScaleShift(RAW, 0.5, 0)
            + gp.Snapshot({RAW: "raw"}, tmp_path / "c", dataset_dtypes={RAW: "int8"}),
            asking(RAW=WHERE),
        )
    assert "all values of RAW become 0 as int8" in caplog.text


@suffixes
def test_the_replay_token_makes_the_same_batch(tmp_path, suffix):
    class Noise(gp.BatchFilter):
        def draw(self, request, rng):
            return rng.random((4, 3), np.float32)

        def process(self, batch, request):
            batch[RAW] = gp.Array(self.plan(request), batch[RAW].spec)

    def pipeline(folder):
        return raw() + Noise() + gp.Snapshot({RAW: "raw"}, folder, f"{{id}}.{suffix}", 2)

    first = pipeline(tmp_path / "a")
    with gp.build(first, seed=3):
        batches = [first.request_batch(asking(RAW=WHERE)) for _ in range(3)]
    path = tmp_path / "a" / f"00000003.{suffix}"
    text = open_attrs(path)["replay_token"]
    np.testing.assert_array_equal(open_dataset(path, "raw").read(), batches[2][RAW].data)
    again = pipeline(tmp_path / "b")
    with gp.build(again, seed=99):
        again.request_batch(asking(RAW=WHERE))
        replayed = again.replay(text)
    np.testing.assert_array_equal(replayed[RAW].data, batches[2][RAW].data)
    # It is not written again.
    assert names(tmp_path / "b") == [f"00000001.{suffix}"]


def test_a_replay_does_not_count(tmp_path):
    seeded = gp.BatchRequest(asking(RAW=WHERE).array_specs, random_seed=4)
    pipeline = raw() + gp.Snapshot({RAW: "raw"}, tmp_path, "{id}.hdf")
    with gp.build(pipeline, seed=3):
        tokens = [pipeline.request_batch(asking(RAW=WHERE)).token for _ in range(3)]
        pipeline.replay(tokens[0])
        pipeline.request_batch(seeded)
    assert names(tmp_path) == [f"0000000{i}.hdf" for i in (1, 2, 3, 4)]


def test_the_replay_of_a_batch_that_was_asked_for_more(tmp_path):
    # The extra key is larger, so that fewer locations are left to draw from where it is asked for.
    data = ids(gp.Roi((0, 0), (64, 64)), (1, 1))
    extra = gp.BatchRequest({EXTRA: gp.Roi((-10, -10), (30, 30))})

    def pipeline():
        both = (source(RAW, data, (1, 1)), source(EXTRA, data, (1, 1))) + gp.MergeProvider()
        return (
            both
            + gp.RandomLocation()
            + gp.Snapshot({RAW: "raw", EXTRA: "extra"}, tmp_path, "{id}.hdf", 2, extra)
        )

    first = pipeline()
    with gp.build(first, seed=3):
        batches = [first.request_batch(asking(RAW=((0, 0), (4, 4)))) for _ in range(4)]
    again = pipeline()
    with gp.build(again, seed=99):
        for batch in reversed(batches):
            replayed = again.replay(str(batch.token))
            np.testing.assert_array_equal(replayed[RAW].data, batch[RAW].data)


@suffixes
def test_a_file_appears_when_it_is_complete(tmp_path, suffix, monkeypatch):
    from voxflow.nodes.sinks import snapshot_file

    write, seen = snapshot_file._write, []

    def watch(*args, **kwargs):
        seen.append(names(tmp_path))
        if len(seen) == 4:
            raise OSError("disk full")
        write(*args, **kwargs)

    monkeypatch.setattr(snapshot_file, "_write", watch)
    pipeline = (raw(), source(EXTRA, np.ones((4, 3)), (2, 2))) + gp.MergeProvider()
    pipeline += gp.Snapshot({RAW: "raw", EXTRA: "extra"}, tmp_path, f"a.{suffix}")
    with gp.build(pipeline):
        request = asking(RAW=WHERE, EXTRA=WHERE)
        pipeline.request_batch(request)
        before = open_attrs(tmp_path / f"a.{suffix}")["replay_token"]
        with pytest.raises(OSError, match="disk full"):
            pipeline.request_batch(request)
    # Neither a part of a file, nor is the one that was there harmed.
    assert seen[:2] == [[], []]
    assert [path.name for path in tmp_path.iterdir()] == [f"a.{suffix}"]
    assert open_attrs(tmp_path / f"a.{suffix}")["replay_token"] == before


@suffixes
def test_a_file_that_is_there_is_replaced(tmp_path, suffix):
    for shape in ((4, 3), (2, 2)):
        pipeline = raw(np.ones(shape)) + gp.Snapshot({RAW: "raw"}, tmp_path, f"sub/a.{suffix}")
        served(pipeline, asking(RAW=((0, 0), gp.Coordinate(shape) * 2)))
        assert open_dataset(tmp_path / "sub" / f"a.{suffix}", "raw").shape == shape
    # Whatever it was.
    path = tmp_path / "sub" / f"a.{suffix}"
    other = tmp_path / ("a.zarr" if suffix == "hdf" else "a.hdf")
    served(raw() + gp.Snapshot({RAW: "raw"}, tmp_path, other.name), asking(RAW=WHERE))
    other.rename(path.with_name("b." + suffix))
    served(raw() + gp.Snapshot({RAW: "raw"}, tmp_path, f"sub/b.{suffix}"), asking(RAW=WHERE))
    assert open_dataset(tmp_path / "sub" / f"b.{suffix}", "raw").read().all()


@suffixes
def test_a_source_in_use_is_read_on(tmp_path, suffix):
    # Writing a snapshot closes HDF5 files, those of sources among them; they open again.
    with h5py.File(tmp_path / "in.hdf", "w") as file:
        file["raw"] = np.arange(16.0).reshape(4, 4)
        file["raw"].attrs["resolution"] = (2, 2)
    pipeline = gp.Hdf5Source(tmp_path / "in.hdf", {RAW: "raw"})
    pipeline += gp.Snapshot({RAW: "raw"}, tmp_path, f"{{id}}.{suffix}")
    with gp.build(pipeline):
        for i in range(3):
            batch = pipeline.request_batch(asking(RAW=((2 * i, 0), (2, 8))))
            np.testing.assert_array_equal(batch[RAW].data, [np.arange(4.0) + 4 * i])


def test_a_loss_that_is_no_number(tmp_path):
    class Loses(gp.BatchFilter):
        def process(self, batch, request):
            batch.loss = np.array([[0.5, 1.5]])

    served(raw() + Loses() + gp.Snapshot({RAW: "raw"}, tmp_path, "a.hdf"), asking(RAW=WHERE))
    assert list(open_attrs(tmp_path / "a.hdf")["loss"]) == [0.5, 1.5]


# -- processes -------------------------------------------------------------------------------------


def test_is_pickled_before_and_while_it_is_built(tmp_path):
    node = gp.Snapshot({RAW: "raw"}, tmp_path, "{id}.hdf")
    again = pickle.loads(pickle.dumps(node))
    served(raw() + again, asking(RAW=WHERE))
    with gp.build(raw() + node):
        other = pickle.loads(pickle.dumps(node))
        request = asking(RAW=WHERE)
        request._set_seed(1)
        node.request_batch(request)
        other.request_batch(request)
    assert names(tmp_path) == ["00000001.hdf"]


def test_not_upstream_of_workers(tmp_path):
    pipeline = raw() + gp.Snapshot({RAW: "raw"}, tmp_path)
    with (
        pytest.raises(ValueError, match="Snapshot is upstream of PreCache"),
        gp.build(pipeline + gp.PreCache(2, 1)),
    ):
        pass
    served(raw() + gp.PreCache(2, 1) + gp.Snapshot({RAW: "raw"}, tmp_path), asking(RAW=WHERE))
    assert names(tmp_path) == ["1.zarr"]
