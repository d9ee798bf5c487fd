"""Scans that fill outputs: they go on, refuse what differs, and say what failed."""

import itertools
import json
import random
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

import voxflow as gp
from tests.helpers import left_behind, source
from voxflow.nodes.scanning.job import Job
from voxflow.nodes.scanning.record import Record, write_manifest
from voxflow.pipeline.engine import UnhealthyBlock
from voxflow.stores import Geometry, OutputMismatch, create_dataset, open_dataset

RAW = gp.ArrayKey("RAW")
SHAPE = (14, 30, 23)


class Noise(gp.BatchFilter):
    """Adds numbers that tell which block a voxel is from; fails where it is told to."""

    def __init__(self, fails="", error="nothing can be made of"):
        self.fails = fails
        self.error = error

    def draw(self, request, rng):
        return rng.random()

    def process(self, batch, request):
        begin = tuple(map(int, request[RAW].roi.begin))
        with open(Path(self.fails) / "asked", "a") if self.fails else _nowhere() as file:
            file.write(f"{begin}\n")
        if self.fails and (Path(self.fails) / str(begin)).exists():
            raise RuntimeError(f"{self.error} {begin}")
        batch[RAW].data = batch[RAW].data + self.plan(request)


def _nowhere():
    return open("/dev/null", "w")


def pipeline(folder, name="out.zarr", factor=1.0, fails="", store=None):
    data = np.arange(float(np.prod(SHAPE))).reshape(SHAPE)
    writer = gp.Hdf5Write if name.endswith("hdf") else gp.ZarrWrite
    return (
        source(RAW, data, (40, 4, 4))
        + gp.IntensityScaleShift(RAW, factor, 0)
        + Noise(str(fails))
        + writer({RAW: "volumes/raw"}, folder, name)
    )


REFERENCE = gp.BatchRequest({RAW: gp.Roi((0, 0, 0), (5 * 40, 8 * 4, 8 * 4))})
BLOCKS = 3 * 4 * 3


def scan(nodes, **options):
    options.setdefault("seed", 5)
    return gp.scan(nodes, REFERENCE, progress=gp.ScanCallback(), **options)


def asked(folder):
    log = folder / "asked"
    return log.read_text().splitlines() if log.exists() else []


def contents(folder, name="out.zarr"):
    if name.endswith("hdf"):
        return open_dataset(folder / name, "volumes/raw").read().tobytes()
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in (folder / name).rglob("*")
        if path.is_file() and ".scan" not in path.parts
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    scan(pipeline(folder))
    return contents(folder)


def test_a_source_of_the_same_name_in_another_folder_is_another(tmp_path, monkeypatch):
    def scanned(folder, factor=1):
        raw = gp.ArrayKey("RAW")
        (tmp_path / folder).mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path / folder)
        place = Geometry((1, 1), (0, 0))
        made = create_dataset("in.zarr", "raw", (4, 2), "u1", geometry=place)
        made.write((), np.full((4, 2), factor, np.uint8))
        read = gp.ZarrSource("in.zarr", {raw: "raw"})
        write = gp.ZarrWrite({raw: "raw"}, tmp_path, "o.zarr")
        reference = gp.BatchRequest({raw: gp.Roi((0, 0), (2, 2))})
        return gp.scan(read + write, reference, progress=gp.ScanCallback())

    scanned("a")
    assert scanned("a").done_before == 2
    with pytest.raises(OutputMismatch, match="ZarrSource reads .*b/in.zarr, read .*a/in.zarr"):
        scanned("b", 2)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("order", [pytest.param("forwards", marks=pytest.mark.slow), "shuffled"])
def test_any_order_and_any_workers_give_the_same_files(
    tmp_path, whole, monkeypatch, workers, order
):
    pending = Job.pending
    if order == "shuffled":

        def shuffled(self):
            numbers = list(pending(self))
            random.Random(3).shuffle(numbers)
            return iter(numbers)

        monkeypatch.setattr(Job, "pending", shuffled)
        # Workers are handed what they do; so here they are not daisy's.
        monkeypatch.setattr("voxflow.nodes.scanning.scan.obstacle", lambda *_: "shuffled")
    report = scan(pipeline(tmp_path), num_workers=workers)
    assert (report.blocks, report.done_before) == (BLOCKS, 0)
    assert contents(tmp_path) == whole
    assert left_behind() == []


def test_one_without_an_own_seed_goes_on_with_that_of_the_first(tmp_path):
    fails = tmp_path / "fails"
    fails.mkdir()
    (fails / "(0, 0, 32)").touch()
    with pytest.raises(gp.ScanFailed):
        scan(pipeline(tmp_path, fails=fails), seed=None)
    (fails / "(0, 0, 32)").unlink()
    scan(pipeline(tmp_path, fails=fails), seed=None)
    seed = json.loads((tmp_path / "out.zarr/volumes/raw/.scan/manifest.json").read_text())["seed"]
    again = tmp_path / "again"
    scan(pipeline(again, fails=fails), seed=seed["run"])
    assert contents(again) == {k: v for k, v in contents(tmp_path).items()}


@pytest.mark.parametrize("name", ["out.zarr", "out.hdf"])
@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_failed_blocks_are_told_and_done_when_the_cause_is_gone(tmp_path, name, workers):
    fails = tmp_path / "fails"
    fails.mkdir()
    bad = ["(200, 32, 32)", "(360, 88, 60)"]
    for place in bad:
        (fails / place).touch()
    policy = gp.ScanPolicy(retries=1)
    with pytest.raises(gp.ScanFailed, match=f"2 of {BLOCKS} blocks failed") as info:
        scan(pipeline(tmp_path, name, fails=fails), num_workers=workers, policy=policy)
    assert "2       RuntimeError: nothing can be made of (" in str(info.value)
    assert {entry["type"] for entry in info.value.failures} == {"RuntimeError"}
    assert all(asked(fails).count(place) == 2 for place in bad)

    (fails / bad[0]).unlink()
    never = gp.ScanPolicy(retries=1, retry_failed=False)
    with pytest.raises(gp.ScanFailed, match=f"2 of {BLOCKS} blocks failed"):
        scan(pipeline(tmp_path, name, fails=fails), num_workers=workers, policy=never)
    assert all(asked(fails).count(place) == 2 for place in bad)
    with pytest.raises(gp.ScanFailed, match=f"1 of {BLOCKS} blocks failed, {BLOCKS - 1} are done"):
        scan(pipeline(tmp_path, name, fails=fails), num_workers=workers, policy=policy)
    (fails / bad[1]).unlink()
    report = scan(pipeline(tmp_path, name, fails=fails), num_workers=workers)
    assert report.done_before == BLOCKS - 1
    # What is well ran once, but for a block of a group that another worker took over.
    assert 0 <= len(asked(fails)) - (BLOCKS - 2 + 2 + 2 + 1 + 2 + 1) <= 2 * (workers - 1)

    fails.joinpath("asked").unlink()
    whole = tmp_path / "whole"
    scan(pipeline(whole, name, fails=fails))
    assert contents(tmp_path, name) == contents(whole, name)


def test_the_first_error_is_raised_as_it_is_if_nothing_is_done(tmp_path):
    fails = tmp_path / "fails"
    fails.mkdir()
    for z in (0, 200, 360):
        for y in (0, 32, 64, 88):
            for x in (0, 32, 60):
                (fails / str((z, y, x))).touch()
    with pytest.raises(RuntimeError, match="nothing can be made of") as info:
        scan(pipeline(tmp_path, fails=fails), policy=gp.ScanPolicy(budget=4))
    assert "4 blocks in a row failed with this error" in "\n".join(info.value.__notes__)
    assert len(asked(fails)) <= 4 + 3  # what was on its way
    assert not (tmp_path / "out.zarr").exists()


@pytest.mark.parametrize("name", ["out.zarr", "out.hdf"])
def test_a_job_that_differs_is_refused_with_the_difference(tmp_path, name):
    scan(pipeline(tmp_path, name))
    before = contents(tmp_path, name)
    with pytest.raises(OutputMismatch, match=r"IntensityScaleShift.*scale.* 2") as info:
        scan(pipeline(tmp_path, name, factor=2))
    assert "exist='overwrite'" in str(info.value)
    other = gp.BatchRequest({RAW: gp.Roi((0, 0, 0), (5 * 40, 8 * 4, 4 * 4))})
    with pytest.raises(OutputMismatch, match=r"RAW is \[0:200, 0:32, 0:16\].*, was"):
        gp.scan(pipeline(tmp_path, name), other, progress=gp.ScanCallback(), seed=5)
    assert contents(tmp_path, name) == before
    with pytest.raises(OutputMismatch, match="is there already, and exist='error'"):
        scan(pipeline(tmp_path, name), exist="error")
    report = scan(pipeline(tmp_path, name, factor=2), exist="overwrite")
    assert report.done_before == 0
    assert contents(tmp_path, name) != before


def test_an_output_that_was_removed_is_made_again(tmp_path, whole, caplog):
    scan(pipeline(tmp_path))
    shutil.rmtree(tmp_path / "out.zarr")
    assert scan(pipeline(tmp_path)).done_before == 0
    assert contents(tmp_path) == whole
    scan(pipeline(tmp_path, "out.hdf"))
    (tmp_path / "out.hdf").unlink()
    assert scan(pipeline(tmp_path, "out.hdf")).done_before == 0
    assert "was removed or replaced" in caplog.text


@pytest.mark.parametrize("name", ["out.zarr", "out.hdf"])
def test_what_a_kill_left_of_a_record_counts_for_nothing(tmp_path, whole, name):
    scan(pipeline(tmp_path, name))
    (manifest,) = tmp_path.rglob("manifest.json")
    manifest.unlink()
    logs = {path: path.read_bytes() for path in manifest.parent.glob("done-*.log")}
    assert logs
    for path in tmp_path.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    manifest.parent.mkdir(parents=True)
    for path, data in logs.items():
        path.write_bytes(data)
    scan(pipeline(tmp_path, name))
    filled = open_dataset(tmp_path / name, "volumes/raw").read()
    np.testing.assert_array_equal(filled != 0, True)
    if name == "out.zarr":
        assert contents(tmp_path) == whole


@pytest.mark.parametrize("name", ["out.zarr", "out.hdf"])
def test_a_kill_while_an_output_is_replaced_leaves_nothing_that_counts(tmp_path, monkeypatch, name):
    scan(pipeline(tmp_path, name))

    def killed(self):
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr("voxflow.nodes.sinks.dataset_write.DatasetWrite.remove", killed)
        with pytest.raises(SystemExit):
            scan(pipeline(tmp_path, name), exist="overwrite")
    assert scan(pipeline(tmp_path, name)).done_before == 0


def test_an_output_that_is_being_written_is_not_replaced(tmp_path, whole):
    class Other(gp.ScanCallback):
        refused = 0

        def update(self, num_processed):
            if num_processed == 3:
                with pytest.raises(OutputMismatch, match="another scan writes"):
                    scan(pipeline(tmp_path), exist="overwrite")
                self.refused += 1

    other = Other()
    gp.scan(pipeline(tmp_path), REFERENCE, seed=5, progress=other)
    assert other.refused
    assert contents(tmp_path) == whole


def test_of_two_scans_that_begin_at_once_one_is_refused(tmp_path):
    record = tmp_path / "out.hdf.scan/volumes/raw"

    class OfAnotherProcess(gp.ScanCallback):
        def start(self, num_total):
            write_manifest(record, {"job": "another"})

    with pytest.raises(OutputMismatch, match="another scan has begun"):
        gp.scan(pipeline(tmp_path, "out.hdf"), REFERENCE, progress=OfAnotherProcess())
    assert json.loads((record / "manifest.json").read_text()) == {"job": "another"}
    assert not list(record.glob("done-*"))


def test_an_error_lets_go_of_the_output(tmp_path):
    class Late(gp.ScanCallback):
        def start(self, num_total):
            raise ZeroDivisionError

    scan(pipeline(tmp_path))
    with pytest.raises(ZeroDivisionError) as info:
        gp.scan(pipeline(tmp_path), REFERENCE, seed=5, progress=Late())
    assert info.value is not None
    assert scan(pipeline(tmp_path)).done_before == BLOCKS


def test_an_error_that_is_kept_keeps_no_thread(tmp_path):
    class Bad(gp.ScanCallback):
        def update(self, num_processed):
            if num_processed > 2:
                raise ZeroDivisionError

    before = {thread.name for thread in threading.enumerate()}
    with pytest.raises(ZeroDivisionError) as info:
        gp.scan(pipeline(tmp_path), REFERENCE, seed=5, progress=Bad(), num_workers=2)
    assert info.value is not None
    left = {thread.name for thread in threading.enumerate()} - before
    assert not [name for name in left if name.startswith(("voxflow", "Scan"))]
    assert left_behind() == []
    assert scan(pipeline(tmp_path)).done_before > 0


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_many_blocks_that_fail_here_and_there_are_all_told(tmp_path, workers):
    fails = tmp_path / "fails"
    fails.mkdir()
    places = itertools.product((0, 200, 360), (0, 32, 64, 88), (0, 32, 60))
    indices = itertools.product(range(3), range(4), range(3))
    for place, index in zip(places, indices, strict=True):
        if sum(index) % 3 == 1:
            (fails / str(place)).touch()
    policy = gp.ScanPolicy(budget=5)
    with pytest.raises(gp.ScanFailed, match=f"12 of {BLOCKS} blocks failed, {BLOCKS - 12} are"):
        scan(pipeline(tmp_path, fails=fails), num_workers=workers, policy=policy)


class Skips(gp.BatchFilter):
    """Says of some blocks, or of all, that they are not worth another try."""

    def __init__(self, *places):
        self.places = places

    def process(self, batch, request):
        begin = tuple(map(int, request[RAW].roi.begin))
        if not self.places or begin in self.places:
            raise UnhealthyBlock(f"nothing is in {begin}")


def skipping(folder, *places):
    data = np.ones(SHAPE)
    writer = gp.ZarrWrite({RAW: "raw"}, folder, "out.zarr")
    return source(RAW, data, (40, 4, 4)) + Skips(*places) + writer


@pytest.mark.parametrize("workers", [1, 2])
def test_the_first_block_can_be_skipped(tmp_path, workers):
    # With a time limit, workers are handed one block at a time.
    policy = gp.ScanPolicy(timeout=60)
    for _ in range(2):
        with pytest.raises(gp.ScanFailed, match=f"1 of {BLOCKS} blocks failed, {BLOCKS - 1} are"):
            scan(skipping(tmp_path, (0, 0, 0)), num_workers=workers, policy=policy)


@pytest.mark.parametrize("workers", [1, 2])
def test_all_blocks_can_be_skipped(tmp_path, workers):
    with pytest.raises(UnhealthyBlock, match=r"nothing is in \(0, 0, 0\)"):
        scan(skipping(tmp_path), num_workers=workers)


def test_blocks_of_which_nothing_is_known_are_told(tmp_path, monkeypatch):
    monkeypatch.setattr(Job, "pending", lambda self: iter(range(BLOCKS - 3)))
    with pytest.raises(gp.ScanFailed, match=f"3 of {BLOCKS} blocks are not done, and nothing"):
        scan(pipeline(tmp_path))


def test_tracebacks_of_many_failed_blocks_stay_in_the_record(tmp_path, monkeypatch):
    monkeypatch.setattr("voxflow.nodes.scanning.job._TRACEBACKS", 2)
    fails = tmp_path / "fails"
    fails.mkdir()
    for x in (0, 32, 60):
        (fails / f"(0, 32, {x})").touch()
    with pytest.raises(gp.ScanFailed) as info:
        scan(pipeline(tmp_path, fails=fails), policy=gp.ScanPolicy(retries=0))
    assert [bool(entry["traceback"]) for entry in info.value.failures] == [True, True, False]
    record = Record(tmp_path / "out.zarr/volumes/raw/.scan", 0)
    assert [bool(entry["traceback"]) for entry in record.notes("failed")] == [True] * 3


def test_what_was_found_of_a_block_is_told_once(tmp_path):
    report = scan(pipeline(tmp_path))
    record = Record(report.record, 0)
    for text in ("first", "last"):
        record.note("health", {"block": 3, "array": "RAW", "text": text})
    assert [entry["text"] for entry in scan(pipeline(tmp_path)).health] == ["last"]


def test_two_outputs_belong_together(tmp_path, caplog):
    other = gp.ArrayKey("OTHER")

    def both():
        copy = gp.ZarrWrite({RAW: "copy"}, tmp_path, "copy.zarr")
        return pipeline(tmp_path) + copy

    assert other is not RAW
    scan(both())
    assert scan(both()).done_before == BLOCKS
    shutil.rmtree(tmp_path / "copy.zarr")
    assert scan(both()).done_before == 0
    assert "was removed or replaced" in caplog.text
    np.testing.assert_array_equal(
        open_dataset(tmp_path / "copy.zarr", "copy").read(),
        open_dataset(tmp_path / "out.zarr", "volumes/raw").read(),
    )


def test_stores_in_memory_are_filled_without_a_record():
    store = {}
    data = np.arange(float(np.prod(SHAPE))).reshape(SHAPE)
    nodes = source(RAW, data, (40, 4, 4)) + gp.ZarrWrite({RAW: "raw"}, store=store)
    report = gp.scan(nodes, REFERENCE, progress=gp.ScanCallback(), num_workers=2)
    assert report.record is None
    np.testing.assert_array_equal(open_dataset(store, "raw").read(), data)


def test_a_record_can_lie_elsewhere(tmp_path):
    nodes = pipeline(tmp_path / "data")
    report = scan(nodes, record=tmp_path / "record")
    assert report.record == tmp_path / "record"
    assert scan(pipeline(tmp_path / "data"), record=tmp_path / "record").done_before == BLOCKS


def test_a_pipeline_that_writes_nothing_is_refused():
    with pytest.raises(ValueError, match="writes nothing; put ZarrWrite"):
        gp.scan(source(RAW, np.zeros((4, 4)), (1, 1)), REFERENCE)


@pytest.mark.parametrize(
    "options", [{"retries": -1}, {"budget": 0}, {"restarts": -1}, {"timeout": 0}]
)
def test_policies_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match="at least|more than"):
        gp.ScanPolicy(**options)


@pytest.mark.parametrize("how", ["a scan", "no scan"])
@pytest.mark.parametrize("name", ["out.hdf", "out.tif", "out.zarr"])
def test_what_a_part_made_anew_is_not_taken_for_done(tmp_path, name, how):
    def nodes():
        data = np.arange(1, 1 + np.prod(SHAPE), dtype=np.float32).reshape(SHAPE)
        writer = gp.DatasetWrite({RAW: "" if name.endswith("tif") else "raw"}, tmp_path / name)
        return source(RAW, data, (40, 4, 4)) + writer

    scan(nodes())
    remove = shutil.rmtree if name.endswith("zarr") else Path.unlink
    remove(tmp_path / name)
    part = nodes()
    if how == "a scan":
        part += gp.Scan(REFERENCE, progress_callback=gp.ScanCallback())
    with gp.build(part) as built:
        built.request_batch(REFERENCE)
    scan(nodes())
    written = open_dataset(tmp_path / name, "" if name.endswith("tif") else "raw").read()
    np.testing.assert_array_equal(written.ravel(), np.arange(1, 1 + np.prod(SHAPE)))


def test_a_part_takes_no_notes_away_from_a_scan_that_is_at_work(tmp_path):
    scan(pipeline(tmp_path))
    folder = tmp_path / "out.zarr" / "volumes" / "raw" / ".scan"
    notes = {path.name: path.read_bytes() for path in folder.iterdir()}
    shutil.rmtree(tmp_path / "out.zarr")
    folder.mkdir(parents=True)
    for name, content in notes.items():
        (folder / name).write_bytes(content)
    record = Record(folder, BLOCKS)
    for at_work in (True, False):
        if at_work:
            record.lock()
        pipeline(tmp_path)
        writer = gp.ZarrWrite({RAW: "volumes/raw"}, tmp_path, "out.zarr")
        writer.forget_job()
        assert (folder / "manifest.json").exists() == at_work
        record.close()


@pytest.mark.parametrize("retry", [True, False])
def test_what_failed_is_told_with_the_node_and_what_to_do(tmp_path, retry):
    (tmp_path / "(200, 32, 32)").touch()
    with pytest.raises(gp.ScanFailed) as info:
        scan(pipeline(tmp_path, fails=tmp_path), policy=gp.ScanPolicy(retry_failed=retry))
    assert info.value.failures[0]["node"] == "Noise"
    assert "by Noise, in blocks 16; the first asked for RAW" in str(info.value)
    again = "Run it again to try the failed ones once more"
    later = "They are tried once more if it is run again with retry_failed=True"
    assert (again in str(info.value), later in str(info.value)) == (retry, not retry)
