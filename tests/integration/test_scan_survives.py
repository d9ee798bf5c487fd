"""Scans that are killed, again and again, end with the same files as one that is not."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest

SCRIPT = Path(__file__).parent / "scripts" / "scan_killed.py"


def start(folder, workers, pause, *more):
    command = [sys.executable, str(SCRIPT), str(folder), str(workers), str(pause), *more]
    return subprocess.Popen(
        command,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def family(process):
    try:
        parent = psutil.Process(process.pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def contents(folder):
    array = folder / "out.zarr"
    return {
        str(path.relative_to(array)): path.read_bytes()
        for path in sorted(array.rglob("*"))
        if path.is_file() and ".scan" not in path.parts
    }


def runs(folder):
    """How often each block was begun, and how often it was made."""
    lines = (folder / "runs").read_text().splitlines()
    begun = Counter(line.partition(" ")[2] for line in lines if line.startswith("begun"))
    made = Counter(line.partition(" ")[2] for line in lines if line.startswith("made"))
    return begun, made


def wait_for_lines(folder, count):
    """Wait until so much was begun and made."""
    end = time.monotonic() + 100
    log = folder / "runs"
    while not log.exists() or len(log.read_text().splitlines()) < count:
        assert time.monotonic() < end
        time.sleep(0.02)


def kill_at_random_moments(folder, workers, kills, rng, pause):
    """Start a scan, kill all of its processes at once, and start it again; then let it end."""
    killed = 0
    while killed < kills:
        process = start(folder, workers, pause)
        if killed == 0:  # so that something is done
            wait_for_lines(folder, 3)
        time.sleep(rng.uniform(0.3, 2.5))
        members = family(process)
        if process.poll() is not None:  # all is done
            process.communicate()
            break
        if rng.random() < 0.3 and len(members) > 1:
            # A worker alone, before all.
            with contextlib.suppress(psutil.NoSuchProcess):
                rng.choice(members[1:]).send_signal(signal.SIGKILL)
            time.sleep(rng.uniform(0, 0.5))
            killed += 1
        for member in members:
            try:
                member.send_signal(signal.SIGKILL)
            except psutil.NoSuchProcess:
                continue
        process.communicate()
        killed += 1
        for member in members:
            member.wait(timeout=60)
    process = start(folder, workers, 0.0)
    output, _ = process.communicate(timeout=110)
    assert process.returncode == 0
    return killed, output.split()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of a scan that was not disturbed, and the number of its blocks."""
    folder = tmp_path_factory.mktemp("whole")
    process = start(folder, 1, 0.0)
    output, _ = process.communicate(timeout=110)
    assert process.returncode == 0
    blocks, before = output.split()
    assert before == "0"
    return folder, int(blocks)


def check(whole, tmp_path, workers, kills, seed, pause):
    wanted, blocks = contents(whole[0]), whole[1]
    folder = tmp_path / "killed"
    folder.mkdir()
    rng = random.Random(seed)
    killed, (total, before) = kill_at_random_moments(folder, workers, kills, rng, pause)
    assert int(total) == blocks
    assert killed >= kills
    assert int(before) > 0  # it did go on
    found = contents(folder)
    assert found.keys() == wanted.keys()
    assert all(found[name] == wanted[name] for name in wanted)
    begun, _ = runs(folder)
    assert len(begun) == blocks
    # A kill hits at most the blocks that are on their way in a process, made or in the making.
    assert max(begun.values()) <= 1 + killed
    assert sum(begun.values()) - blocks <= killed * 4 * workers
    return killed, sum(begun.values()) - blocks


@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_a_scan_goes_on_after_a_kill(whole, tmp_path, workers):
    check(whole, tmp_path, workers, 2, seed=workers, pause=0.2)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("workers", [1, 2])
def test_a_scan_goes_on_after_twenty_kills(whole, tmp_path, workers):
    killed, again = check(whole, tmp_path, workers, 20, seed=10 + workers, pause=0.4 * workers)
    print(f"{workers} workers: {killed} kills, {again} blocks ran again")


def test_a_finished_scan_returns_at_once(whole):
    folder, blocks = whole
    process = start(folder, 2, 0.0)
    output, _ = process.communicate(timeout=110)
    assert output.split() == [str(blocks), str(blocks)]
    begun, _ = runs(folder)
    assert set(begun.values()) == {1}


@pytest.mark.parametrize(
    ("workers", "kind", "everyone"),
    [
        pytest.param(1, "zarr", True, marks=pytest.mark.slow),
        pytest.param(1, "zarr", False, marks=pytest.mark.slow),  # one is all
        pytest.param(2, "zarr", True, marks=pytest.mark.slow),
        (2, "zarr", False),
        pytest.param(2, "hdf", True, marks=pytest.mark.slow),
        (2, "hdf", False),
    ],
)
def test_an_interrupt_leaves_nothing_and_can_go_on(tmp_path, workers, kind, everyone):
    more = ("hdf",) if kind == "hdf" else ()
    process = start(tmp_path, workers, 0.3, *more)
    wait_for_lines(tmp_path, 9)
    members = family(process)
    if everyone:  # as a terminal does
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.send_signal(signal.SIGINT)
    process.communicate(timeout=110)
    assert process.returncode != 0
    _, alive = psutil.wait_procs(members, timeout=30)
    assert not alive
    process = start(tmp_path, 1, 0.0, *more)
    output, _ = process.communicate(timeout=110)
    assert process.returncode == 0
    blocks, before = map(int, output.split())
    assert 0 < before < blocks
    begun, _ = runs(tmp_path)
    assert len(begun) == blocks
    assert max(begun.values()) <= 2
