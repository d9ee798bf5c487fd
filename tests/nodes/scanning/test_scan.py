"""Scan: every voxel once, the same for a part as for the whole, with any number of workers."""

import logging
import os
import time

import numpy as np
import pytest

import voxflow as gp
from tests.helpers import GraphSource, asking, left_behind, served, source
from voxflow.nodes.scanning.blocks import ScanBlocks
from voxflow.nodes.scanning.callback import ScanBar

RAW, OUT = gp.ArrayKey("RAW"), gp.ArrayKey("OUT")
POINTS = gp.GraphKey("points")


class Quiet(gp.ScanCallback):
    def __init__(self):
        self.told = []

    def start(self, num_total):
        self.told.append(("start", num_total))

    def update(self, num_processed):
        self.told.append(("update", num_processed))

    def stop(self):
        self.told.append(("stop",))


class Watch(gp.BatchFilter):
    """Notes what it is asked for."""

    def __init__(self, key=RAW):
        self.key = key
        self.asked = []

    def process(self, batch, request):
        self.asked.append(request[self.key].roi)


class PlaceNoise(gp.BatchFilter):
    """Adds numbers that differ from block to block, and so tell which block a voxel is from."""

    def draw(self, request, rng):
        return rng.random()

    def process(self, batch, request):
        batch[RAW].data = batch[RAW].data + self.plan(request)


def image(shape, voxel_size=None, offset=None):
    voxel_size = (1,) * len(shape) if voxel_size is None else voxel_size
    data = np.arange(float(np.prod(shape))).reshape(shape)
    return source(RAW, data, voxel_size, offset)


def scanned(pipeline, reference, request=None, seed=3, **options):
    """What a scan answers, and what each block asked for."""
    watch = Watch(next(iter(reference)))
    options.setdefault("progress_callback", Quiet())
    whole = pipeline + watch + gp.Scan(reference, **options)
    with gp.build(whole, seed=seed):
        batch = whole.request_batch(gp.BatchRequest() if request is None else request)
    return batch, watch.asked


# -- where the blocks lie ---------------------------------------------------------------------


def test_blocks_begin_where_gunpowders_do():
    _, asked = scanned(image((100,)), asking(RAW=((0,), (30,))))
    assert [roi.begin[0] for roi in asked] == [0, 30, 60, 70]


def test_the_first_dimension_is_the_fastest():
    _, asked = scanned(image((4, 6), (1, 2)), asking(RAW=((0, 0), (2, 4))))
    assert [tuple(roi.begin) for roi in asked] == list((z, y) for y in (0, 4, 8) for z in (0, 2))


def test_voxel_sizes_need_not_be_whole():
    data = np.arange(10.0)
    pipeline = source(RAW, data, (9.8,), (98,))
    batch, asked = scanned(pipeline, asking(RAW=((0,), (29.4,))), asking(RAW=((98,), (98,))))
    assert len(asked) == 4
    np.testing.assert_array_equal(batch[RAW].data, data)


# -- a part is as the whole -------------------------------------------------------------------


def test_a_part_is_as_the_whole_for_any_node():
    def pipeline():
        return image((23, 17), (2, 3), (4, -9)) + PlaceNoise()

    reference = asking(RAW=((0, 0), (10, 15)))
    whole = gp.Roi((4, -9), (46, 51))
    everything = scanned(pipeline(), reference, gp.BatchRequest({RAW: whole}))[0][RAW]
    assert len(np.unique(everything.data - np.arange(23 * 17.0).reshape(23, 17))) > 15
    for begin, shape in [
        ((0, 0), (2, 3)),
        ((8, 12), (20, 30)),
        ((42, 0), (4, 51)),
        ((30, 33), (16, 18)),
    ]:
        part = gp.Roi(begin, shape) + whole.offset
        batch, _ = scanned(pipeline(), reference, gp.BatchRequest({RAW: part}))
        np.testing.assert_array_equal(batch[RAW].data, everything.crop(part).data)


def test_channels_attributes_and_dtype_stay():
    data = np.arange(2 * 3 * 8 * 8, dtype=np.uint8).reshape(2, 3, 8, 8)
    spec = gp.ArraySpec(gp.Roi((0, 0), (8, 8)), (1, 1))
    pipeline = gp.ArraySource(RAW, gp.Array(data, spec, {"of": "here"}))
    batch, _ = scanned(pipeline, asking(RAW=((0, 0), (3, 3))), asking(RAW=((1, 2), (6, 5))))
    np.testing.assert_array_equal(batch[RAW].data, data[..., 1:7, 2:7])
    assert batch[RAW].data.dtype == np.uint8
    assert batch[RAW].attrs == {"of": "here"}


def test_an_empty_request_gives_an_empty_batch():
    batch, asked = scanned(image((10,)), asking(RAW=((0,), (5,))))
    assert len(batch) == 0
    assert len(asked) == 2


def test_arrays_without_a_place_come_from_the_last_block():
    number = gp.ArrayKey("NUMBER")

    class Number(gp.BatchFilter):
        def setup(self):
            self.provides(number, gp.ArraySpec(nonspatial=True))

        def process(self, batch, request):
            batch[number] = gp.Array(
                np.array(request[RAW].roi.begin[0]), gp.ArraySpec(nonspatial=True)
            )

    reference, request = asking(RAW=((0,), (4,))), asking(RAW=((0,), (10,)))
    reference[number] = request[number] = gp.ArraySpec(nonspatial=True)
    pipeline = image((10,)) + Number() + gp.Scan(reference, progress_callback=Quiet())
    with gp.build(pipeline):
        assert pipeline.request_batch(request)[number].data == 6


def test_placeholders_bring_no_data():
    request = asking(RAW=((0,), (10,)), OUT=gp.ArraySpec(gp.Roi((0,), (10,)), placeholder=True))
    pipeline = (image((10,)), source(OUT, np.zeros(10), (1,))) + gp.MergeProvider()
    reference = asking(RAW=((0,), (4,)), OUT=((0,), (4,)))
    batch, _ = scanned(pipeline, reference, request)
    assert list(batch.arrays) == [RAW]


def test_unbounded_data_can_be_scanned_in_part():
    class Everywhere(gp.BatchProvider):
        def setup(self):
            self.provides(RAW, gp.ArraySpec(gp.Roi((None,), (None,)), (1,)))

        def provide(self, request):
            roi = request[RAW].roi
            batch = gp.Batch()
            spec = gp.ArraySpec(roi, (1,))
            batch[RAW] = gp.Array(np.arange(roi.begin[0], roi.end[0], dtype=float), spec)
            return batch

    reference = asking(RAW=((2,), (7,)))
    found = {}
    for begin, extent in ((-20, 40), (-5, 3), (9, 7), (15, 5)):
        batch, asked = scanned(
            Everywhere() + PlaceNoise(), reference, asking(RAW=((begin,), (extent,)))
        )
        assert all((roi.begin[0] - 2) % 7 == 0 for roi in asked)
        found[begin] = batch[RAW].data
    for begin in (-5, 9, 15):
        data = found[begin]
        np.testing.assert_array_equal(data, found[-20][begin + 20 : begin + 20 + len(data)])
    with pytest.raises(gp.RequestRefused, match="nothing bounds axis 0.*use Crop"):
        scanned(Everywhere(), reference)


# -- what is refused --------------------------------------------------------------------------


def test_a_reference_that_is_too_large_is_refused_with_numbers():
    with pytest.raises(
        gp.RequestRefused, match=r"axis 1.*misses 4 world units.*one block \[0:5, 0:24\]"
    ):
        scanned(image((10, 20)), asking(RAW=((0, 0), (5, 24))))


def test_what_blocks_cannot_cover_is_refused():
    offered = gp.ProviderSpec(
        {RAW: gp.ArraySpec(gp.Roi((0,), (100,)), (1,)), OUT: gp.ArraySpec(voxel_size=(1,))}
    )
    reference = asking(RAW=((0,), (40,)), OUT=((10,), (20,)))
    request = gp.BatchRequest({OUT: gp.Roi((0,), (50,))}, random_seed=1)
    with pytest.raises(ValueError, match=r"can cover \[10:90\].*of OUT.*Roi\(\(10,\), \(80,\)\)"):
        ScanBlocks(reference, request, offered)


@pytest.mark.parametrize(
    ("reference", "request_", "text"),
    [
        (asking(OUT=((0,), (5,))), {}, "asks for OUT, which is not provided"),
        (asking(RAW=gp.ArraySpec()), {}, "no key with a region"),
        (asking(RAW=((0,), (0,))), {}, "cannot be a block"),
        (asking(RAW=((None,), (None,))), {}, "cannot be a block"),
    ],
)
def test_references_that_make_no_sense_are_refused(reference, request_, text):
    with pytest.raises(gp.RequestRefused, match=text):
        scanned(image((10,)), reference, gp.BatchRequest(request_))


def test_keys_outside_of_the_reference_are_refused():
    pipeline = (image((10,)), source(OUT, np.zeros(10), (1,))) + gp.MergeProvider()
    with pytest.raises(gp.RequestRefused, match="OUT, which is not in the scan's reference"):
        scanned(pipeline, asking(RAW=((0,), (5,))), asking(OUT=((0,), (5,))))


@pytest.mark.parametrize(
    "options",
    [{"num_workers": 0}, {"cache_size": 0}, {"method": "fork"}, {"worker_command": "sbatch"}],
)
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        gp.Scan(gp.BatchRequest(), **options)


def test_uncovered_parts_are_told(caplog):
    class Twice(gp.BatchFilter):
        def setup(self):
            self.provides(OUT, gp.ArraySpec(gp.Roi((0,), (10,)), (1,)))

        def process(self, batch, request):
            batch[OUT] = batch[RAW].crop(request[OUT].roi)

    with caplog.at_level(logging.WARNING):
        scanned(image((10,)) + Twice(), asking(RAW=((0,), (6,)), OUT=((1,), (4,))))
    assert r"cover [1:9] (8) of OUT, and not all of [0:10] (10)" in caplog.text


# -- what is told -----------------------------------------------------------------------------


def test_callbacks_hear_of_every_block():
    quiet = Quiet()
    scanned(image((10,)), asking(RAW=((0,), (4,))), progress_callback=quiet)
    assert quiet.told == [("start", 3), ("update", 1), ("update", 2), ("update", 3), ("stop",)]


def test_callbacks_hear_the_end_of_a_scan_that_failed():
    class Fail(gp.BatchFilter):
        def process(self, batch, request):
            if request[RAW].roi.begin[0] == 4:
                raise OSError("no more")

    quiet = Quiet()
    with pytest.raises(OSError, match="no more"):
        scanned(image((10,)) + Fail(), asking(RAW=((0,), (4,))), progress_callback=quiet)
    assert quiet.told == [("start", 3), ("update", 1), ("stop",)]


def test_the_bar_does_not_count_what_earlier_runs_did(capsys):
    bar = ScanBar()
    bar.start(1000)
    bar.update(900)
    bar.update(901)
    inner = bar._bar
    bar.stop()
    assert (inner.n, inner.initial) == (901, 900)
    assert "901/1000" in capsys.readouterr().err


def test_there_is_a_bar_by_default(capsys):
    scanned(image((10,)), asking(RAW=((0,), (4,))), progress_callback=None)
    assert "3/3" in capsys.readouterr().err


def test_a_scan_can_be_planned():
    pipeline = image((10,)) + gp.Scan(asking(RAW=((0,), (4,))), progress_callback=Quiet())
    with gp.build(pipeline):
        pipeline.check(gp.BatchRequest())
        text = str(pipeline.plan(gp.BatchRequest()))
        assert "RAW: [0:4]" in text
        with pytest.raises(gp.RequestRefused, match="not all of|there is"):
            pipeline.check(asking(RAW=((5,), (10,))))


# -- graphs -----------------------------------------------------------------------------------


def foreign(kind):
    """A node that draws from numpy's global state, or dies, in the block at (8, 0)."""
    import os
    import signal

    import numpy as np

    import voxflow as gp

    raw = gp.ArrayKey("RAW")

    class Foreign(gp.BatchFilter):
        def process(self, batch, request):
            if kind == "draw":
                batch[raw].data = batch[raw].data + np.random.rand()
            elif request[raw].roi.begin == (8, 0):
                if kind == "raise":
                    raise KeyError("nothing here")
                if kind == "leave":
                    os._exit(3)
                os.kill(os.getpid(), signal.SIGSTOP if kind == "stop" else signal.SIGKILL)

    return Foreign()


def writing(store, kind="draw", **options):
    reference = asking(RAW=((0, 0), (8, 10)))
    kind_of_writer = gp.ZarrWrite if str(store).endswith("zarr") else gp.Hdf5Write
    writer = kind_of_writer({RAW: "volumes/raw"}, store.parent, store.name)
    options.setdefault("progress_callback", Quiet())
    pipeline = image((30, 23)) + foreign(kind) + writer
    return pipeline + gp.Scan(reference, **options)


def written(store):
    from voxflow.stores import open_dataset

    dataset = open_dataset(store, "volumes/raw")
    return np.asarray(dataset.read(tuple(slice(0, n) for n in dataset.shape)))


@pytest.mark.parametrize(
    ("suffix", "method"), [("zarr", "forkserver"), ("hdf", "forkserver"), ("zarr", "thread")]
)
def test_several_workers_write_what_one_writes(tmp_path, suffix, method):
    found = []
    for workers in (1, 2):
        store = tmp_path / f"{workers}.{suffix}"
        options = {"num_workers": workers, "cache_size": 5, "method": method}
        with gp.build(writing(store, **options), seed=2) as pipeline:
            assert len(pipeline.request_batch(gp.BatchRequest())) == 0
        found.append(written(store))
    assert len(np.unique(found[0] - np.arange(30 * 23.0).reshape(30, 23))) > 8
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("method", ["thread", pytest.param("spawn", marks=pytest.mark.slow)])
def test_other_ways_to_start_give_the_same(method):
    def pipeline():
        return image((30, 23)) + PlaceNoiseHere()

    reference, request = asking(RAW=((0, 0), (8, 10))), asking(RAW=((1, 2), (28, 21)))
    plain = gp.build(pipeline() + gp.Scan(reference, progress_callback=Quiet()), seed=4)
    several = gp.Scan(reference, num_workers=2, method=method, progress_callback=Quiet())
    with plain as one, gp.build(pipeline() + several, seed=4) as two:
        expected, found = one.request_batch(request), two.request_batch(request)
    np.testing.assert_array_equal(found[RAW].data, expected[RAW].data)


def PlaceNoiseHere():
    """Random numbers from a node of the package, so that threads may run it."""
    return gp.NoiseAugment(RAW, mode="gaussian", clip=False)


def segments():
    # What others keep there for a while is not ours.
    return {name for name in os.listdir("/dev/shm") if not name.startswith(("tmp", "sem."))}


@pytest.mark.parametrize(
    "kind",
    [
        "kill",
        pytest.param("leave", marks=pytest.mark.slow),
        pytest.param("stop", marks=pytest.mark.slow),
        "raise",
    ],
)
def test_trouble_in_a_worker_costs_its_block_alone(tmp_path, kind):
    before = segments()
    options = {"num_workers": 2, "policy": gp.ScanPolicy(retries=1)}
    with gp.build(writing(tmp_path / "out.zarr", kind, **options)) as pipeline:
        with pytest.raises(gp.ScanFailed, match="1 of 12 blocks failed, 11 are done") as info:
            pipeline.request_batch(gp.BatchRequest())
    assert isinstance(info.value, gp.PipelineRequestError)
    (failure,) = info.value.failures
    assert failure["block"] == 1
    assert failure["type"] == ("KeyError" if kind == "raise" else "WorkerDied")
    assert left_behind() == []
    assert segments() <= before


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("kill", gp.WorkerDied),
        ("leave", gp.WorkerDied),
        ("stop", gp.WorkerStalled),
        ("raise", KeyError),
    ],
)
def test_trouble_in_a_worker_is_told_at_once(kind, error):
    before = segments()
    start = time.monotonic()
    scan = gp.Scan(asking(RAW=((0, 0), (8, 10))), 2, progress_callback=Quiet())
    with gp.build(image((30, 23)) + foreign(kind) + scan) as pipeline:
        with pytest.raises(error) as info:
            pipeline.request_batch(asking(RAW=((0, 0), (30, 20))))
        assert time.monotonic() - start < 60
    assert isinstance(info.value, gp.PipelineRequestError)
    assert "Scan" in "\n".join([str(info.value), *info.value.__notes__])
    assert left_behind() == []
    assert segments() <= before


def test_writers_further_upstream_are_refused(tmp_path):
    writer = gp.ZarrWrite({RAW: "raw"}, tmp_path, "out.zarr")
    scan = gp.Scan(asking(RAW=((0, 0), (8, 10))), num_workers=2)
    pipeline = image((30, 23)) + writer + gp.AsType(RAW, np.float32) + scan
    with (
        pytest.raises(gp.PipelineSetupError, match=r"ZarrWrite is not directly upstream of Scan"),
        gp.build(pipeline),
    ):
        pass


def test_workers_do_not_read_an_hdf5_file_that_is_written(tmp_path):
    import h5py

    with h5py.File(tmp_path / "io.hdf", "w") as file:
        file["raw"] = np.arange(400.0).reshape(20, 20)
        file["raw"].attrs["resolution"] = (1, 1)

    def copied(name, file="io.hdf", **options):
        pipeline = (
            gp.Hdf5Source(str(tmp_path / "io.hdf"), {RAW: "raw"})
            + gp.IntensityScaleShift(RAW, 1, 0)
            + gp.Hdf5Write({RAW: name}, str(tmp_path), file)
            + gp.Scan(asking(RAW=((0, 0), (10, 10))), progress_callback=Quiet(), **options)
        )
        with gp.build(pipeline):
            pipeline.request_batch(gp.BatchRequest())
        with h5py.File(tmp_path / "io.hdf") as read, h5py.File(tmp_path / file) as written:
            np.testing.assert_array_equal(read["raw"], written[name])

    for method in ("forkserver", "spawn"):
        with pytest.raises(
            gp.PipelineSetupError,
            match="Hdf5Write writes to .*io.hdf, which the 2 workers of Scan.*because Hdf5Source",
        ):
            copied("copy", num_workers=2, method=method)
    copied("one")
    copied("two", num_workers=2, method="thread")
    copied("three", "other.hdf", num_workers=2)


@pytest.mark.parametrize("own", [False, True])
def test_nodes_from_outside_that_come_after_draw_the_same_for_any_workers(own):
    class Noise(gp.BatchFilter):
        def process(self, batch, request):
            import numpy as np

            raw = gp.ArrayKey("RAW")
            batch[raw].data = batch[raw].data + np.random.rand()

    def noisy(workers, method="forkserver"):
        pipeline = image((16,)) + gp.IntensityScaleShift(RAW, 1, 0)
        if own:
            pipeline = pipeline + Noise()
        scan = gp.Scan(asking(RAW=((0,), (8,))), workers, progress_callback=Quiet(), method=method)
        pipeline = pipeline + scan + Noise()
        with gp.build(pipeline, seed=3):
            return pipeline.request_batch(asking(RAW=((0,), (16,))))[RAW].data.tolist()

    expected = noisy(1)
    assert noisy(2) == expected
    assert noisy(2, "thread") == expected


@pytest.mark.parametrize("num_workers", [1, 2])
def test_a_graph_may_be_used_again_for_the_next_block(num_workers):
    class Again(gp.BatchFilter):
        """Gives one graph out again and again."""

        graph = None

        def process(self, batch, request):
            (node,) = batch[POINTS].nodes
            if self.graph is None:
                self.graph = batch[POINTS]
            for old in list(self.graph.nodes):
                self.graph.remove_node(old)
            self.graph.spec = batch[POINTS].spec
            self.graph.add_node(node)
            batch[POINTS] = self.graph

    whole = gp.Roi((0,), (24,))
    points = {n: (4 * n + 0.5,) for n in range(6)}
    reference = gp.BatchRequest({POINTS: gp.Roi((0,), (4,))})
    scan = gp.Scan(reference, num_workers, progress_callback=Quiet(), method="thread")
    nodes = GraphSource(POINTS, points, whole) + Again() + scan
    found = served(nodes, gp.BatchRequest({POINTS: whole}))[POINTS]
    assert {n.id: tuple(n.location) for n in found.nodes} == points
