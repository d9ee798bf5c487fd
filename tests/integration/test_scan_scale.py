"""Scans of large volumes take the memory of small ones; many blocks and workers leave nothing."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import psutil
import pytest

import voxflow as gp
from tests.helpers import left_behind
from voxflow.stores import open_dataset

SCRIPT = Path(__file__).parent / "scripts" / "scan_large.py"
RAW = gp.ArrayKey("RAW")


SMALL, LARGE = "256x1024x1024", "512x2048x2048"


@pytest.fixture(scope="module")
def volumes():
    """Folders with volumes, in memory where there is such a place: disks are too slow for them."""
    parent = "/dev/shm" if os.path.isdir("/dev/shm") else None
    folder = tempfile.mkdtemp(dir=parent)
    for shape in (SMALL, LARGE):
        os.mkdir(f"{folder}/{shape}")
        subprocess.run([sys.executable, SCRIPT, f"{folder}/{shape}", shape, "make"], check=True)
    yield folder
    shutil.rmtree(folder)


def most_memory(folder, shape, threads="0"):
    """What a scan of a volume takes, in MiB: in all, above what it had, and as it said."""
    folder = f"{folder}/{shape}"
    found = subprocess.run(
        [sys.executable, SCRIPT, folder, shape, "scan", threads],
        check=True,
        capture_output=True,
        text=True,
        env={name: value for name, value in os.environ.items() if "MALLOC" not in name},
    )
    said, *_, last = found.stdout.splitlines()
    a, b = (open_dataset(f"{folder}/{name}.zarr", name) for name in ("raw", "out"))
    part = (slice(100, 150), slice(500, 700), slice(-300, None))
    part = tuple(slice(*cut.indices(n)[:2]) for cut, n in zip(part, a.shape, strict=True))
    np.testing.assert_array_equal(a.read(part), b.read(part))
    before, most = map(int, last.split())
    number, unit = re.search(r"at most about ([\d.]+) (MiB|GiB)", said).groups()
    room = float(number) * {"MiB": 1, "GiB": 1024}[unit]
    print(f"{shape}: {most} MiB, {most - before} above what it had; at most {room:.0f} it said")
    return most, most - before, room


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_memory_does_not_depend_on_the_volume(volumes):
    small, above, said = most_memory(volumes, SMALL)
    large, above_of_large, said_of_large = most_memory(volumes, LARGE)
    assert abs(large - small) < 0.1 * small
    assert said == said_of_large
    assert max(above, above_of_large) < said


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_scan_takes_no_more_than_it_says_where_threads_have_heaps_already(volumes):
    _, above, said = most_memory(volumes, LARGE, threads="6")
    assert above < said


def blocks_of_one(folder, count, chunks):
    side = round(count ** (1 / 2))
    data = np.arange(1, side * side + 1, dtype=np.uint32).reshape(side, side)
    source = gp.ArraySource(RAW, data, spec=gp.ArraySpec(voxel_size=(1, 1)))
    pipeline = source + gp.ZarrWrite({RAW: "raw"}, folder, "out.zarr", chunks=chunks)
    reference = gp.BatchRequest({RAW: gp.Roi((0, 0), (1, 1))})
    return pipeline, reference, data


class Watch(gp.ScanCallback):
    """Looks at this process, its family, and a folder now and then."""

    def __init__(self, folder, every=500):
        self.folder, self.every = folder, every
        self.seen = []
        self.following = every

    def update(self, num_processed):
        if num_processed >= self.following:
            self.following = num_processed + self.every
            family = [psutil.Process(), *psutil.Process().children(recursive=True)]
            with contextlib.suppress(psutil.NoSuchProcess):  # a worker that ends just now
                self.seen.append(
                    (
                        sum(member.memory_info().rss for member in family),
                        sum(member.num_fds() for member in family),
                        sum(member.num_threads() for member in family),
                        len(family),
                        sum(1 for _ in self.folder.rglob("*")),
                        len(os.listdir("/dev/shm")),
                    )
                )


def growth(numbers):
    """How much the most in the last third is above the most in the first."""
    part = len(numbers) // 3
    return numbers[-part:].max() - numbers[:part].max()


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("workers", "chunks"),
    [(1, (100, 1)), (2, (100, 1)), (2, (1, 1))],
    ids=["one", "two hand over", "two write"],
)
def test_ten_thousand_blocks_leave_nothing(tmp_path, workers, chunks):
    pipeline, reference, data = blocks_of_one(tmp_path, 10**4, chunks)
    watch = Watch(tmp_path / "out.zarr" / "raw" / ".scan")
    before = set(os.listdir("/dev/shm"))
    report = gp.scan(pipeline, reference, num_workers=workers, progress=watch)
    assert report.blocks == 10**4
    np.testing.assert_array_equal(open_dataset(tmp_path / "out.zarr", "raw").read(), data)
    # The first are from before all workers are there, the last from when they end.
    seen = watch.seen[3:-1]
    assert len(seen) > 5
    memory, files, threads, family, notes, shared = map(np.array, zip(*seen, strict=True))
    print(
        f"{report.seconds:.0f} s; memory {memory[0] >> 20} to {memory[-1] >> 20} MB, "
        f"files {files.min()}-{files.max()}, threads {threads.min()}-{threads.max()}, "
        f"processes {family.min()}-{family.max()}, in the record {notes.min()}-{notes.max()}, "
        f"in shared memory {shared.min()}-{shared.max()}"
    )
    assert growth(memory) < 20 << 20
    assert growth(files) <= 2
    assert growth(threads) <= 2
    assert np.ptp(family) == 0
    assert growth(notes) <= 2
    assert growth(shared) <= 2
    assert sum(path.is_file() for path in report.record.rglob("*")) <= 4 + 4 * workers
    assert set(os.listdir("/dev/shm")) <= before
    assert left_behind() == []


@pytest.mark.parametrize(
    ("workers", "seeds"),
    [
        pytest.param(3, range(1), marks=pytest.mark.slow),
        pytest.param(8, range(1, 7), marks=[pytest.mark.slow, pytest.mark.timeout(300)]),
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
