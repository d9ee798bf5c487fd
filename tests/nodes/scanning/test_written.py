"""A block is written while the next one is made, and is done when it is written."""

import contextlib
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import zarr

import voxflow as gp
from tests.helpers import asking, source
from voxflow.nodes.scanning import worth
from voxflow.nodes.scanning.serve import _written
from voxflow.nodes.sinks.landing import Landing
from voxflow.pipeline.engine.workers import WorkerDied
from voxflow.stores import DiskFull, Geometry, create_dataset, open_dataset
from voxflow.stores.base import StoredDataset

RAW = gp.ArrayKey("RAW")
BLOCKS = 5
PATIENCE = 10.0
BOTH = pytest.mark.parametrize("name", ["out.zarr", "out.hdf"])


class Made(gp.BatchFilter):
    """Counts the blocks that were begun to be made."""

    def __init__(self):
        self.blocks = 0
        self.more = threading.Condition()

    def process(self, batch, request):
        with self.more:
            self.blocks += 1
            self.more.notify_all()
        batch[RAW].data = batch[RAW].data + 1

    def reached(self, count):
        with self.more:
            return self.more.wait_for(lambda: self.blocks >= count, PATIENCE)


class Own(Made):
    """The same, taken for a node of ours."""

    __module__ = "voxflow.made"


class Done(gp.ScanCallback):
    def __init__(self):
        self.blocks = 0

    def update(self, num_processed):
        self.blocks = num_processed


def scan(folder, name, made, done=None, policy=None, num_workers=1):
    data = np.arange(4 * BLOCKS, dtype=np.uint8)
    writer = gp.Hdf5Write if name.endswith("hdf") else gp.ZarrWrite
    nodes = source(RAW, data, (1,)) + made + writer({RAW: "raw"}, folder, name)
    reference = asking(RAW=((0,), (4,)))
    progress = done or gp.ScanCallback()
    gp.scan(nodes, reference, num_workers=num_workers, progress=progress, policy=policy)
    np.testing.assert_array_equal(open_dataset(folder / name, "raw").read(), data + 1)


@pytest.fixture
def writes(monkeypatch):
    """Have a function called with the first voxel of what is written, before it is."""
    looks = []
    write, finish = StoredDataset.write, StoredDataset._finish

    def written(self, region, data):
        looks[0](region[0].start)
        write(self, region, data)

    def finished(self, begun, bounds):
        looks[0](bounds[0][0])
        finish(self, begun, bounds)

    monkeypatch.setattr(StoredDataset, "write", written)
    monkeypatch.setattr(StoredDataset, "_finish", finished)
    return looks.append


@BOTH
def test_the_next_block_is_made_before_a_block_is_written(tmp_path, writes, name):
    made, begun = Own(), []

    def look(place):
        begun.append(made.reached(min(place // 4 + 2, BLOCKS)))

    writes(look)
    scan(tmp_path, name, made)
    assert begun == [True] * BLOCKS


@BOTH
def test_the_first_block_is_written_before_another_one_is_made(tmp_path, writes, name):
    # It makes the dataset. Nodes of ours work ahead.
    made, seen = Made(), []
    writes(lambda place: seen.append((place, made.blocks)))
    scan(tmp_path, name, made)
    assert seen[0] == (0, 1)


class Buffers(Made):
    """Writes to one buffer."""

    def setup(self):
        self.updates(RAW, self.spec[RAW])
        self.buffer = np.empty(4, np.uint8)

    def process(self, batch, request):
        super().process(batch, request)
        self.buffer[:] = batch[RAW].data
        batch[RAW] = gp.Array(self.buffer, batch[RAW].spec)


@pytest.fixture
def late(monkeypatch, writes):
    """Have blocks written after so long that the next one could be made."""
    begin_write = StoredDataset.begin_write

    def begin_late(self, region, data):
        if type(self).__name__.startswith("Hdf5"):
            return begin_write(self, region, data)
        pool = ThreadPoolExecutor(1)
        begun = pool.submit(lambda: (time.sleep(0.02), begin_write(self, region, data)())[0])
        pool.shutdown(wait=False)
        return begun.result

    monkeypatch.setattr(StoredDataset, "begin_write", begin_late)
    writes(lambda place: time.sleep(0.02))


@BOTH
def test_nodes_from_outside_find_blocks_written(tmp_path, late, name):
    class Reads(Buffers):
        """Looks also at what came of it before."""

        def process(self, batch, request):
            begin = int(batch[RAW].spec.roi.begin[0])
            if begin:
                there = open_dataset(tmp_path / name, "raw").read((slice(0, begin),))
                found.append((there == np.arange(begin) + 1).all())
            super().process(batch, request)

    found = []
    scan(tmp_path, name, Reads(), policy=gp.ScanPolicy(retries=0))
    assert found == [True] * (BLOCKS - 1)


@pytest.mark.parametrize("saved", [0.0, float("inf")])
def test_beside_other_workers_their_buffers_are_their_own_again(tmp_path, monkeypatch, late, saved):
    monkeypatch.setattr(worth, "_WORTH", saved)  # processes are started, or none
    scan(tmp_path, "out.zarr", Buffers(), num_workers=2)


def test_beside_other_workers_they_do_not_wait_until_a_block_is_written(
    tmp_path, monkeypatch, writes
):
    monkeypatch.setattr(worth, "_WORTH", float("inf"))
    made, begun = Buffers(), []

    def look(place):
        # The first one makes the dataset, and the next one shows how long they take.
        begun.append(place <= 4 or made.reached(min(place // 4 + 2, BLOCKS)))

    writes(look)
    scan(tmp_path, "out.zarr", made, num_workers=2)
    assert begun == [True] * BLOCKS


@pytest.mark.parametrize("num_workers", [1, 2])
def test_blocks_that_are_asked_for_are_looked_at_before_a_buffer_is_used_again(
    tmp_path, num_workers
):
    data = np.arange(4 * BLOCKS, dtype=np.uint8)
    nodes = source(RAW, data, (1,)) + Buffers() + gp.ZarrWrite({RAW: "raw"}, tmp_path, "out.zarr")
    scanned = nodes + gp.Scan(
        asking(RAW=((0,), (4,))), num_workers, progress_callback=gp.ScanCallback(), method="thread"
    )
    with gp.build(scanned) as pipeline:
        batch = pipeline.request_batch(asking(RAW=((0,), (4 * BLOCKS,))))
    np.testing.assert_array_equal(batch[RAW].data, data + 1)
    np.testing.assert_array_equal(open_dataset(tmp_path / "out.zarr", "raw").read(), data + 1)


@BOTH
def test_a_block_is_done_when_it_is_written(tmp_path, writes, name):
    done, seen = Done(), []
    writes(lambda place: seen.append((place // 4, done.blocks)))
    scan(tmp_path, name, Made(), done)
    assert sorted(number for number, _ in seen) == list(range(BLOCKS))
    assert all(before <= number for number, before in seen)
    assert done.blocks == BLOCKS


@BOTH
def test_a_block_that_could_not_be_written_is_tried_again(tmp_path, writes, name):
    failed = []

    def look(place):
        if place == 8 and not failed:
            failed.append(place)
            raise ValueError("the disk hiccups")

    writes(look)
    scan(tmp_path, name, Made())
    assert failed


@BOTH
def test_an_error_says_who_wrote_what(tmp_path, writes, name):
    def look(place):
        if place == 8:
            raise DiskFull("no room")

    writes(look)
    with pytest.raises(DiskFull) as info:
        scan(tmp_path, name, Made())
    notes = "\n".join(info.value.__notes__)
    assert "Write, asked for" in notes
    assert "RAW [8:12]" in notes


def test_what_nobody_writes_any_more_is_done_at_once(tmp_path):
    class Mine(gp.ZarrWrite):
        """Of a user, who may count on it that all is written when a batch is passed on."""

    class Told(gp.ScanCallback):
        def update(self, num_processed):
            told.append((num_processed, made.blocks))

    made, told = Made(), []
    data = np.arange(4 * BLOCKS, dtype=np.uint8)
    nodes = source(RAW, data, (1,)) + made + Mine({RAW: "raw"}, tmp_path, "out.zarr")
    gp.scan(nodes, asking(RAW=((0,), (4,))), progress=Told())
    assert told[-1] == (BLOCKS, BLOCKS)
    assert all(done == begun for done, begun in told if done)


def test_what_was_made_before_a_worker_died_is_told_of():
    def made():
        for number in range(2):
            landing._begun.append(lambda number=number: waited.append(number))
            yield number, gp.Batch()
        raise WorkerDied("gone")

    waited, found = [], []
    with Landing() as landing, pytest.raises(WorkerDied):
        for number, _ in _written(made(), landing, 1):
            found.append((number, list(waited)))
    assert found == [(0, [0]), (1, [0, 1])]


@pytest.mark.parametrize("num_workers", [1, 2])
def test_what_is_noted_of_a_block_is_its_own(tmp_path, monkeypatch, num_workers):
    monkeypatch.setattr(worth, "_WORTH", float("inf"))

    class Again(Buffers):
        """Gives the same array out again and again."""

        array = None

        def process(self, batch, request):
            super().process(batch, request)
            if self.array is None:
                self.array = batch[RAW]
            self.array.spec, self.array.attrs = batch[RAW].spec, {}
            batch[RAW] = self.array

    data = np.arange(4 * BLOCKS, dtype=np.uint8)
    data[12:16] = 255  # and one more, which is 0
    nodes = source(RAW, data, (1,)) + Again() + gp.CheckHealth(RAW, checks=("empty",))
    writer = gp.ZarrWrite({RAW: "raw"}, tmp_path, "out.zarr")
    gp.scan(
        nodes + writer,
        asking(RAW=((0,), (4,))),
        num_workers=num_workers,
        progress=gp.ScanCallback(),
    )
    (noted,) = tmp_path.rglob("health-*.jsonl")
    entry = json.loads(noted.read_text())
    assert (entry["block"], entry["region"]) == (3, "[12:16] (4)")


class Makes(gp.BatchFilter):
    """Makes new voxels for each batch."""

    def process(self, batch, request):
        batch[RAW] = gp.Array(batch[RAW].data + 1, batch[RAW].spec)


@pytest.mark.parametrize(
    ("node", "dtype", "copied"),
    [(Buffers, np.uint8, True), (Buffers, np.float64, False), (Makes, np.uint8, False)],
)
def test_only_what_a_node_may_write_to_again_is_copied(tmp_path, monkeypatch, node, dtype, copied):
    monkeypatch.setattr(worth, "_WORTH", float("inf"))
    kept, seen = Landing._kept, []

    def keep(landing, piece):
        piece_kept = kept(landing, piece)
        seen.append(not np.may_share_memory(piece_kept.data, piece.data))
        return piece_kept

    monkeypatch.setattr(Landing, "_kept", keep)
    data = np.arange(4 * BLOCKS, dtype=np.uint8)
    writer = gp.ZarrWrite({RAW: "raw"}, tmp_path, "out.zarr", dataset_dtypes={RAW: dtype})
    nodes = source(RAW, data, (1,)) + node() + writer
    gp.scan(nodes, asking(RAW=((0,), (4,))), num_workers=2, progress=gp.ScanCallback())
    assert seen == [True] * BLOCKS * copied
    np.testing.assert_array_equal(open_dataset(tmp_path / "out.zarr", "raw").read(), data + 1)


@pytest.mark.parametrize("goes_on", [True, False])
def test_a_scan_that_goes_on_removes_what_a_kill_left(tmp_path, writes, goes_on):
    def look(place):
        if place == 8 and fails:
            raise ValueError("killed")

    fails = goes_on
    writes(look)
    with pytest.raises(gp.ScanFailed) if goes_on else contextlib.nullcontext():
        scan(tmp_path, "out.zarr", Made(), policy=gp.ScanPolicy(retries=0))
    folder = tmp_path / "out.zarr" / "raw"
    left = [folder / f"0.{'0123456789abcdef' * 2}.partial", folder / "1.__lock"]
    mine = folder / "notes.partial"
    for file in (*left, mine):
        file.touch()
    fails = False
    scan(tmp_path, "out.zarr", Made())
    # What is finished returns at once.
    assert [file.exists() for file in left] == [not goes_on] * 2
    assert mine.exists()


@pytest.mark.parametrize("num_workers", [1, 2])
def test_a_buffer_may_be_cleared_before_a_block_is_asked_for(
    tmp_path, monkeypatch, late, num_workers
):
    monkeypatch.setattr(worth, "_WORTH", float("inf"))

    class Clears(Buffers):
        def prepare(self, request):
            self.buffer[:] = 0

    scan(tmp_path, "out.zarr", Clears(), num_workers=num_workers)


PREVIOUS = gp.ArrayKey("PREVIOUS")


class Sums(gp.BatchFilter):
    """A running sum, which goes on from the last voxel that the block before wrote."""

    def setup(self):
        self.enable_autoskip(False)
        self.updates(RAW, self.spec[RAW])

    def prepare(self, request):
        needed = gp.BatchRequest({RAW: request[RAW].roi})
        if request[RAW].roi.begin[0]:
            needed[PREVIOUS] = gp.ArraySpec(request[RAW].roi - gp.Coordinate((4,)))
        return needed

    def process(self, batch, request):
        last = batch.arrays.pop(PREVIOUS).data[-1] if PREVIOUS in batch.arrays else 0
        batch[RAW] = gp.Array(np.cumsum(batch[RAW].data) + last, batch[RAW].spec)


@pytest.mark.parametrize("named", ["alike", "nested", "group", "url", "link"])
def test_a_block_that_reads_the_one_before_finds_it_written(tmp_path, late, named):
    data = np.arange(4 * BLOCKS, dtype=np.int64)
    store = tmp_path / "out.zarr"
    made = create_dataset(
        store, "volumes/raw", data.shape, "int64", geometry=Geometry((1,), (0,)), chunks=(4,)
    )
    made.write((slice(0, len(data)),), np.zeros_like(data))
    (tmp_path / "link").symlink_to(store)
    where = {
        "alike": (store, "volumes/raw"),
        "nested": (store / "volumes", "raw"),
        "group": (zarr.open_group(store, mode="r"), "volumes/raw"),
        "url": (f"file://{store}", "volumes/raw"),
        "link": (tmp_path / "link", "volumes/raw"),
    }
    written, name = where[named]
    previous = gp.ZarrSource(written, {PREVIOUS: name}, {PREVIOUS: gp.ArraySpec(voxel_size=(1,))})
    nodes = (source(RAW, data, (1,)), previous) + gp.MergeProvider() + Sums()
    writer = gp.ZarrWrite({RAW: "volumes/raw"}, tmp_path, "out.zarr")
    gp.scan(nodes + writer, asking(RAW=((0,), (4,))), progress=gp.ScanCallback())
    np.testing.assert_array_equal(open_dataset(store, "volumes/raw").read(), np.cumsum(data))
