"""What the main process does while daisy's workers fill the outputs."""

import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import voxflow as gp
from tests.helpers import left_behind, source
from voxflow.nodes.scanning import with_daisy
from voxflow.pipeline.engine import UnhealthyBlock
from voxflow.pipeline.engine.workers import WorkerStalled
from voxflow.stores import open_dataset

RAW = gp.ArrayKey("RAW")
REFERENCE = gp.BatchRequest({RAW: gp.Roi((0, 0), (4, 4))})
BLOCKS = 5 * 6


class Leave(gp.BatchFilter):
    """Leaves a line for every block, with the process that made it; slowly, where it is told to."""

    def __init__(self, folder):
        self.folder = str(folder)

    def process(self, batch, request):
        with open(Path(self.folder) / "made", "a") as file:
            file.write(f"{os.getpid()} {tuple(map(int, request[RAW].roi.begin))}\n")
        if (Path(self.folder) / "slowly").exists():
            time.sleep(0.2)


class LoadsOnlyHere(gp.BatchFilter):
    """Cannot be given to another process."""

    def __init__(self):
        self.process_id = os.getpid()

    def __setstate__(self, state):
        if os.getpid() != state["process_id"]:
            raise LookupError("there is no such thing here")
        self.__dict__.update(state)

    def process(self, batch, request):
        pass


def scan(folder, node, name="out.zarr", **options):
    data = np.arange(20 * 24).reshape(20, 24)
    nodes = source(RAW, data, (1, 1)) + node + gp.ZarrWrite({RAW: "raw"}, folder, name)
    options.setdefault("progress", gp.ScanCallback())
    options.setdefault("num_workers", 2)
    report = gp.scan(nodes, REFERENCE, **options)
    np.testing.assert_array_equal(open_dataset(Path(folder) / name, "raw").read(), data)
    return report


def test_this_process_makes_the_first_block_and_no_more(tmp_path):
    scan(tmp_path, Leave(tmp_path))
    made = [line.split(" ")[0] for line in (tmp_path / "made").read_text().splitlines()]
    assert made.count(str(os.getpid())) == 1
    assert len(made) == BLOCKS


def test_what_no_worker_can_load_is_told_at_once(tmp_path):
    policy = gp.ScanPolicy(restarts=1)
    with pytest.raises(LookupError, match="there is no such thing here"):
        scan(tmp_path, LoadsOnlyHere(), policy=policy)
    assert left_behind() == []


@pytest.mark.parametrize(
    "error", [pytest.param(ZeroDivisionError, marks=pytest.mark.slow), KeyboardInterrupt]
)
def test_a_callback_that_raises_stops_the_workers(tmp_path, error):
    class Bad(gp.ScanCallback):
        def update(self, num_processed):
            if num_processed > 3:
                raise error("cannot draw")

    (tmp_path / "slowly").touch()
    with pytest.raises(error, match="cannot draw"):
        scan(tmp_path, Leave(tmp_path), progress=Bad())
    (tmp_path / "slowly").unlink()
    made = (tmp_path / "made").read_text().splitlines()
    assert len(made) < BLOCKS
    assert left_behind() == []
    assert scan(tmp_path, Leave(tmp_path), num_workers=1).done_before > 3


@pytest.mark.slow
def test_only_workers_that_are_stopped_are_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(with_daisy, "_STOPPED", 0.2)
    (tmp_path / "slowly").touch()
    with subprocess.Popen(["sleep", "60"]) as other:
        try:
            other.send_signal(signal.SIGSTOP)
            scan(tmp_path, Leave(tmp_path))
            assert other.poll() is None
        finally:
            other.kill()


class Deadly(gp.BatchFilter):
    """Takes the process with it where it makes one of the blocks."""

    def process(self, batch, request):
        if request[RAW].roi.begin == (4, 4):
            os._exit(3)


def test_a_block_that_takes_its_worker_with_it_is_told_in_one_line(tmp_path):
    with pytest.raises(gp.ScanFailed, match=f"1 of {BLOCKS} blocks failed") as info:
        scan(tmp_path, Deadly(), policy=gp.ScanPolicy(retries=0))
    (failure,) = info.value.failures
    assert failure["type"] == "WorkerDied"
    assert "exited with code 3" in failure["text"]
    assert "\n" not in failure["text"]


class KilledOnce(Leave):
    """Is killed as it writes: what a writer begins then stays under another name."""

    def process(self, batch, request):
        super().process(batch, request)
        left = Path(self.folder) / "out.zarr" / "raw" / f"1.{'0123456789abcdef' * 2}.partial"
        if request[RAW].roi.begin == (4, 4) and not (Path(self.folder) / "killed").exists():
            (Path(self.folder) / "killed").touch()
            left.touch()
            os.kill(os.getpid(), signal.SIGKILL)


def test_what_a_worker_left_that_was_killed_is_removed(tmp_path):
    scan(tmp_path, KilledOnce(tmp_path))
    assert (tmp_path / "killed").exists()
    assert not list((tmp_path / "out.zarr" / "raw").glob("*.partial"))


@pytest.mark.slow
def test_names_and_folders_may_be_anything(tmp_path, monkeypatch):
    name = 'it\'s a "name" {command} $HOME.zarr'
    folder = tmp_path / 'a folder\'s "name"'
    folder.mkdir()
    monkeypatch.chdir(folder)
    # Relative, and workers that begin elsewhere.
    command = "env -C / DAISY_HOST=127.0.0.1 {command}"
    monkeypatch.setenv("DAISY_HOST", "127.0.0.1")
    scan(".", Leave("."), name, worker_command=command, record="the record")
    assert (folder / "made").exists()
    assert (folder / "the record" / "manifest.json").exists()
    scan(".", Leave("."), name, num_workers=2, record="the record")


class Skips(Leave):
    """Says of the first blocks that they are not worth another try, or of all that it fails."""

    def __init__(self, folder, rows=0):
        super().__init__(folder)
        self.rows = rows

    def process(self, batch, request):
        super().process(batch, request)
        if not self.rows:
            raise RuntimeError("there is a mistake")
        if request[RAW].roi.begin[1] < 4 * self.rows:
            raise UnhealthyBlock("nothing is there")


def test_workers_elsewhere_look_for_the_first_block_that_can_be_made(tmp_path, monkeypatch):
    monkeypatch.setenv("DAISY_HOST", "127.0.0.1")
    with pytest.raises(gp.ScanFailed, match="15 of 30 blocks failed, 15 are done"):
        scan(tmp_path, Skips(tmp_path, 3), worker_command="{command}")
    made = [line.split(" ", 1) for line in (tmp_path / "made").read_text().splitlines()]
    done = [place for _, place in made if int(place.split(",")[1][:-1]) >= 12]
    assert len(set(done)) == BLOCKS // 2
    assert len(done) <= BLOCKS // 2 + 1  # one is made while the first one is written
    assert len(made) <= BLOCKS + 5


def test_a_mistake_is_told_as_it_is_by_workers_elsewhere(tmp_path, monkeypatch):
    monkeypatch.setenv("DAISY_HOST", "127.0.0.1")
    with pytest.raises(RuntimeError, match="there is a mistake"):
        scan(tmp_path, Skips(tmp_path), worker_command="{command}")


class Waits(gp.BatchFilter):
    """Of ours, so that a thread makes its blocks."""

    __module__ = "voxflow.waits"

    def __init__(self):
        self.over = threading.Event()

    def process(self, batch, request):
        self.over.wait(60)


@pytest.mark.parametrize("num_workers", [1, 2])
def test_a_first_block_that_stalls_is_told(tmp_path, num_workers):
    node = Waits()
    nodes = source(RAW, np.arange(20 * 24).reshape(20, 24), (1, 1)) + node
    writer = gp.ZarrWrite({RAW: "raw"}, tmp_path, "out.zarr")
    scanned = gp.Scan(
        REFERENCE, num_workers, progress_callback=gp.ScanCallback(), stall_timeout=0.5
    )
    try:
        with pytest.raises(WorkerStalled):
            with gp.build(nodes + writer + scanned) as pipeline:
                pipeline.request_batch(gp.BatchRequest())
    finally:
        node.over.set()
