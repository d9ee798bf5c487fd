"""What a scan costs by itself: blocks of one voxel, from a source that has them ready."""

import contextlib
import importlib
import time
from pathlib import Path

import numpy as np
from scan import quiet
from serve import serve


class Blocks:
    """Scans over lines of voxels, each of which is a block."""

    def __init__(self, gp):
        self.gp, self.key = gp, gp.ArrayKey("RAW")
        self.reference = gp.BatchRequest()
        self.reference[self.key] = gp.ArraySpec(gp.Roi((0,) * 3, (1,) * 3))

    def run(self, count=1):
        """Scan so many blocks, in one go; how much memory was added meanwhile."""
        side = round(count ** (1 / 3))
        shape = (side, side, -(-count // side**2))
        scan = self.gp.Scan(self.reference, progress_callback=quiet(self.gp))
        pipeline = source(self.gp, self.key, shape) + scan
        with self.gp.build(pipeline):
            before, start = resident(), time.perf_counter()
            pipeline.request_batch(self.gp.BatchRequest())
            wall = time.perf_counter() - start
            added = resident() - before
        return {"wall": wall * count / np.prod(shape), "added": added}

    def plan(self, count=1):
        """Only find out which blocks there are, and go through their numbers (voxflow)."""
        scanning = importlib.import_module(self.gp.Scan.__module__)
        spec = self.gp.ArraySpec(self.gp.Roi((0,), (count,)), (1,), dtype=np.uint8)
        offered, reference = self.gp.ProviderSpec({self.key: spec}), self.gp.BatchRequest()
        reference[self.key] = self.gp.ArraySpec(self.gp.Roi((0,), (1,)))
        before, start = resident(), time.perf_counter()
        blocks = scanning.ScanBlocks(reference, self.gp.BatchRequest(), offered)
        numbers = getattr(blocks, "numbers", None) or blocks._numbers
        if sum(1 for _ in numbers) != count:
            raise RuntimeError(f"there are {len(blocks)} blocks, not {count}")
        return {"wall": time.perf_counter() - start, "added": resident() - before}


def source(gp, key, shape):
    """Always the same voxel."""
    data = np.zeros((1, 1, 1), np.uint8)

    class Ready(gp.BatchProvider):
        def setup(self):
            roi = gp.Roi((0,) * 3, shape)
            self.provides(key, gp.ArraySpec(roi, (1, 1, 1), dtype=np.uint8))

        def provide(self, request):
            batch, spec = gp.Batch(), self.spec[key].copy()
            spec.roi = request[key].roi
            batch[key] = gp.Array(data, spec)
            return batch

    return Ready()


def resident():
    """Bytes that this process has in memory (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@contextlib.contextmanager
def open_work(gp):
    yield Blocks(gp)


if __name__ == "__main__":
    serve(open_work)
