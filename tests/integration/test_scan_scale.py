"""Scans of large volumes take the memory of small ones; many blocks and workers leave nothing."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import psutil
import pytest

import voxflow as gp
from voxflow.stores import open_dataset

SCRIPT = Path(__file__).parent / "scripts" / "scan_large.py"
RAW = gp.ArrayKey("RAW")


@pytest.fixture
def memory_folder():
    """A folder in memory, where there is one: disks are too slow for gigabytes."""
    parent = "/dev/shm" if os.path.isdir("/dev/shm") else None
    folder = tempfile.mkdtemp(dir=parent)
    yield folder
    shutil.rmtree(folder)


def most_memory(folder, shape):
    """What a scan of a volume takes, and what it said beforehand, in MB."""
    folder = f"{folder}/{shape}"
    os.mkdir(folder)
    subprocess.run([sys.executable, SCRIPT, folder, shape, "make"], check=True)
    found = subprocess.run(
        [sys.executable, SCRIPT, folder, shape], check=True, capture_output=True, text=True
    )
    *_, last = found.stdout.splitlines()
    a, b = (open_dataset(f"{folder}/{name}.zarr", name) for name in ("raw", "out"))
    part = (slice(100, 150), slice(500, 700), slice(-300, None))
    part = tuple(slice(*cut.indices(n)[:2]) for cut, n in zip(part, a.shape, strict=True))
    np.testing.assert_array_equal(a.read(part), b.read(part))
    shutil.rmtree(folder)
    return int(last), found.stdout


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_memory_does_not_depend_on_the_volume(memory_folder):
    small, _ = most_memory(memory_folder, "256x1024x1024")
    large, said = most_memory(memory_folder, "512x2048x2048")
    print(f"256x1024x1024: {small} MB, 512x2048x2048: {large} MB; {said.splitlines()[0]}")
    assert abs(large - small) < 0.1 * small


def blocks_of_one(folder, count, workers):
    side = round(count ** (1 / 2))
    data = np.arange(side * side, dtype=np.uint32).reshape(side, side)
    source = gp.ArraySource(RAW, data, spec=gp.ArraySpec(voxel_size=(1, 1)))
    pipeline = source + gp.ZarrWrite({RAW: "raw"}, folder, "out.zarr", chunks=(side, 1))
    reference = gp.BatchRequest({RAW: gp.Roi((0, 0), (1, 1))})
    return pipeline, reference, data


class Watch(gp.ScanCallback):
    """Looks at this process and its family now and then."""

    def __init__(self):
        self.seen = []

    def update(self, num_processed):
        if num_processed % 500 == 0:
            me = psutil.Process()
            self.seen.append(
                (me.memory_info().rss, me.num_fds(), me.num_threads(), len(me.children()))
            )


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_ten_thousand_blocks_leave_nothing(tmp_path):
    pipeline, reference, data = blocks_of_one(tmp_path, 10**4, 1)
    watch = Watch()
    before = set(os.listdir("/dev/shm"))
    report = gp.scan(pipeline, reference, progress=watch)
    assert report.blocks == 10**4
    np.testing.assert_array_equal(open_dataset(tmp_path / "out.zarr", "raw").read(), data)
    memory, files, threads, children = map(np.array, zip(*watch.seen[2:], strict=True))
    print(f"memory {memory[0] >> 20} to {memory[-1] >> 20} MB, files {files.min()}-{files.max()}")
    assert memory[-1] - memory[0] < 20 << 20
    assert np.ptp(files) <= 2
    assert np.ptp(threads) <= 2
    assert np.ptp(children) == 0
    assert len(os.listdir(report.record)) <= 4
    assert set(os.listdir("/dev/shm")) <= before


@pytest.mark.parametrize(
    ("workers", "seeds"),
    [
        (3, range(2)),
        pytest.param(8, range(2, 7), marks=[pytest.mark.slow, pytest.mark.timeout(300)]),
    ],
)
def test_misaligned_blocks_are_written_as_one_process_writes_them(tmp_path, workers, seeds):
    for seed in seeds:
        rng = np.random.default_rng(seed)
        shape = rng.integers(20, 40, 3)
        block = rng.integers(5, 12, 3)
        chunks = tuple(map(int, rng.integers(3, 9, 3)))
        data = rng.integers(0, 2**60, shape).astype(np.uint64)
        voxel_size = gp.Coordinate(40, 4, 4)
        whole = gp.Roi((40, -8, 12), gp.Coordinate(shape) * voxel_size)
        place = gp.ArraySpec(whole, voxel_size)
        reference = gp.BatchRequest({RAW: gp.Roi((0, 0, 0), gp.Coordinate(block) * voxel_size)})
        for count in (1, workers):
            folder = tmp_path / f"{seed}-{count}"
            pipeline = gp.ArraySource(RAW, gp.Array(data, place)) + gp.ZarrWrite(
                {RAW: "raw"}, folder, "out.zarr", "zstd:1", chunks=chunks
            )
            gp.scan(pipeline, reference, num_workers=count, progress=gp.ScanCallback())
            found = open_dataset(folder / "out.zarr", "raw").read()
            np.testing.assert_array_equal(found, data)
