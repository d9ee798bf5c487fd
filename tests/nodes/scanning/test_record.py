"""What a scan writes down of its blocks."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxflow.nodes.scanning.record import Record, read_manifest, remove_record, write_manifest
from voxflow.pipeline.engine.workers.failures import capture
from voxflow.stores import DiskFull, OutputMismatch, StoreUnusable


def test_nothing_is_made_before_something_is_written(tmp_path):
    record = Record(tmp_path / "a" / ".scan", 10)
    assert record.count == 0
    assert list(record.notes("failed")) == []
    assert record.stopped() is None
    assert os.listdir(tmp_path) == []


@given(st.lists(st.lists(st.integers(0, 99), max_size=20), max_size=5))
def test_all_processes_together_are_known(tmp_path_factory, parts):
    folder = tmp_path_factory.mktemp("record")
    reader = Record(folder, 100)
    for numbers in parts:
        writer = Record(folder, 100)
        for number in numbers:
            writer.mark_done(number)
        writer.close()
        reader.refresh()
        assert reader.count == int(reader.done.sum())
    wanted = {number for numbers in parts for number in numbers}
    assert set(np.flatnonzero(reader.done)) == wanted
    reader.compact()
    again = Record(folder, 100)
    assert set(np.flatnonzero(again.done)) == wanted
    assert len([name for name in os.listdir(folder) if name.startswith("done")]) <= 1


def test_what_was_compacted_goes_on(tmp_path):
    for number in (3, 5):
        Record(tmp_path, 10).mark_done(number)
    record = Record(tmp_path, 10)
    record.compact()
    record.mark_done(7)
    record.refresh()
    assert record.count == 3
    assert Record(tmp_path, 10).count == 3


def test_an_entry_that_was_cut_off_does_not_count(tmp_path):
    record = Record(tmp_path, 1000)
    record.mark_done(600)
    record.mark_done(700)
    (log,) = tmp_path.glob("done-*")
    log.write_bytes(log.read_bytes()[:-3])
    assert np.flatnonzero(Record(tmp_path, 1000).done).tolist() == [600]
    record.note("failed", {"block": 1})
    (notes,) = tmp_path.glob("failed-*")
    notes.write_text(notes.read_text() + '{"block": 2, "te')
    assert list(Record(tmp_path, 1000).notes("failed")) == [{"block": 1}]


def test_only_one_scan_at_a_time(tmp_path):
    record = Record(tmp_path, 10)
    record.lock()
    record.lock()
    with pytest.raises(OutputMismatch, match=f"process {os.getpid()}"):
        Record(tmp_path, 10).lock()
    record.close()
    Record(tmp_path, 10).lock()


HOLD = """
import sys
from pathlib import Path
from voxflow.nodes.scanning.record import Record
Record(sys.argv[1], 10).lock()
print("locked", flush=True)
sys.stdin.read()
"""


def test_a_scan_that_was_killed_holds_no_lock(tmp_path):
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path], stdin=pipe, stdout=pipe
    ) as holder:
        assert holder.stdout.readline() == b"locked\n"
        with pytest.raises(OutputMismatch):
            Record(tmp_path, 10).lock()
        holder.kill()
        holder.wait()
    record = Record(tmp_path, 10)
    record.lock()
    record.close()


def test_workers_are_told_to_stop_and_why(tmp_path):
    Record(tmp_path, 10).stop(capture(ValueError("enough")))
    record = Record(tmp_path, 10)
    assert record.stopped().message == "enough"
    record.go()
    assert record.stopped() is None


def test_a_manifest_is_replaced_whole(tmp_path):
    folder = tmp_path / "a" / ".scan"
    assert read_manifest(folder) is None
    write_manifest(folder, {"job": "1"})
    write_manifest(folder, {"job": "2"})
    assert read_manifest(folder) == {"job": "2"}
    assert [json.loads(path.read_text()) for path in folder.iterdir()] == [{"job": "2"}]


def test_a_full_disk_is_told_and_spoils_nothing(tmp_path, monkeypatch):
    record = Record(tmp_path, 1000)
    record.mark_done(600)
    real = os.write
    monkeypatch.setattr(os, "write", lambda file, data: real(file, data[:3]))
    with pytest.raises(StoreUnusable, match="disk is full"):
        record.mark_done(700)
    monkeypatch.undo()
    record.mark_done(800)
    assert np.flatnonzero(Record(tmp_path, 1000).done).tolist() == [600, 800]


def test_a_record_is_removed_without_what_else_is_there(tmp_path):
    folder = tmp_path / ".scan"
    record = Record(folder, 10)
    write_manifest(folder, {"job": "1"})
    record.mark_done(3)
    record.note("failed", {"block": 4})
    record.stop(capture(ValueError("enough")))
    (folder / "logs").mkdir()
    (folder / "notes.txt").touch()
    remove_record(folder)
    assert os.listdir(folder) == ["notes.txt"]
    remove_record(folder)
    (folder / "notes.txt").unlink()
    Record(folder, 10).mark_done(3)
    remove_record(folder)
    assert not folder.exists()


def test_the_record_of_a_scan_that_runs_is_not_removed(tmp_path):
    record = Record(tmp_path, 10)
    record.lock()
    record.mark_done(3)
    with pytest.raises(OutputMismatch, match="another scan writes"):
        remove_record(tmp_path)
    assert Record(tmp_path, 10).count == 1
    record.close()


@pytest.mark.parametrize("text", ["", "[]", '{"name": "an app"}'])
def test_a_manifest_of_something_else_is_told_and_kept(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    for use in (read_manifest, remove_record):
        with pytest.raises(OutputMismatch, match="not the record of a scan"):
            use(tmp_path)
    assert (tmp_path / "manifest.json").read_text() == text


def test_what_failed_in_other_processes_is_known(tmp_path):
    here, there = Record(tmp_path, 10), Record(tmp_path, 10)
    here.note("failed", {"block": 1})
    there.note("failed", {"block": 2})
    assert here.failed_elsewhere() == {2}
    (log,) = (path for path in tmp_path.glob("failed-*") if '"block": 2' in path.read_text())
    with open(log, "a") as file:
        file.write('{"block": 30')
    assert here.failed_elsewhere() == {2}
    with open(log, "a") as file:
        file.write("0}\n")
    there.note("failed", {"block": 5})
    assert here.failed_elsewhere() == {2, 300, 5}
    assert there.failed_elsewhere() == {1}


def test_a_stop_is_told_on_a_full_disk_as_well(tmp_path, monkeypatch):
    def full(path, data):
        path.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    Record(tmp_path, 1).stop(capture(DiskFull("raw cannot be written")))
    told = Record(tmp_path, 1).stopped()
    assert told is not None
    assert told.type_name == "voxflow.stores.errors.DiskFull"
    assert "Make room" in told.message
