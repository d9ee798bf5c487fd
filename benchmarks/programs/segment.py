"""Affinities of a volume that becomes segments: at once and block by block."""

import contextlib
import json
import shutil
import time
from pathlib import Path

import numpy as np
from serve import serve
from watch import Watch, memory

THRESHOLD = 0.7


class Segmented:
    """A volume in a file and, if it is there, in memory."""

    def __init__(self, library, folder, block=()):
        self.library, self.folder, self.block = library, Path(folder), block
        self.neighborhood = json.loads((self.folder / "neighborhood.json").read_text())
        path = self.folder / "affinities.npy"
        self.affinities = np.load(path) if path.exists() else None
        direct = [sum(map(abs, offset)) == 1 for offset in self.neighborhood]
        self.near = None if self.affinities is None else self.affinities[direct]
        self.near_offsets = [n for n, use in zip(self.neighborhood, direct, strict=True) if use]

    def mutex(self, count):
        """In memory, by a mutex watershed."""
        for _ in range(count):
            if self.library.__name__ == "mwatershed":
                found = self.library.agglom(self.affinities / 255 - 0.5, self.neighborhood)
            else:
                found = self._segment(self.affinities, "MutexWatershed")
        return {"objects": len(np.unique(found))}

    def watershed(self, count):
        """In memory, by a watershed and agglomeration by mean affinity."""
        for _ in range(count):
            if self.library.__name__ == "waterz":
                near = (self.near / 255).astype(np.float32)
                found = next(iter(self.library.agglomerate(near, [1 - THRESHOLD])))
            else:
                found = self._segment(self.near, "Watershed", threshold=THRESHOLD)
        return {"objects": len(np.unique(found))}

    def _segment(self, affinities, method, **options):
        import voxflow.segmentation as segmentation

        offsets = self.neighborhood[: len(affinities)]
        how = getattr(segmentation, method)(**options)
        return segmentation.segment(affinities, how, neighborhood=offsets)

    def mutex_blockwise(self, count):
        """From a file into a file, by a mutex watershed."""
        return self._blockwise(count, "MutexWatershed")

    def watershed_blockwise(self, count):
        """From a file into a file, by a watershed and agglomeration."""
        tile = min(64, *self.block)
        return self._blockwise(count, "Watershed", threshold=THRESHOLD, tile=tile)

    def _blockwise(self, count, method, **options):
        """And the most bytes that this process had in each step (Linux)."""
        import voxflow.segmentation as segmentation

        how = getattr(segmentation, method)(**options)
        name = "affinities" if method == "MutexWatershed" else "near"
        source, target = (self.folder / "a.zarr", name), (self.folder / "out.zarr", "segments")
        begun, cpu = time.perf_counter(), time.process_time()
        for _ in range(count):
            for path in self.folder.glob("out.zarr*"):
                shutil.rmtree(path)
            peaks = peaks_of_steps(self.library)
            report = segmentation.segment_blockwise(
                source, target, how, block=self.block, progress=peaks
            )
            peaks.note()
        seconds = time.perf_counter() - begun, time.process_time() - cpu
        counts = {"edges": report.edges, "fragments": report.fragments, "objects": report.segments}
        return {"wall": seconds[0], "cpu": seconds[1], "peaks": peaks.found, **counts}


def peaks_of_steps(voxflow):
    """What listens to scans, and notes the most memory of each and of what lies between them.

    Of all memory, and of that which is not of files.
    """

    class Peaks(voxflow.ScanCallback):
        def __init__(self):
            self.found, self.watch = [], Watch()
            self.clear()

        def start(self, _):
            if len(self.found) == 2:
                self.note()  # of the join

        def stop(self):
            if len(self.found) < 3:
                self.note()

        def note(self):
            self.found.append((memory("VmHWM"), self.watch.most))
            self.clear()

        def clear(self):
            Path("/proc/self/clear_refs").write_text("5")
            self.watch.clear()

    return Peaks()


@contextlib.contextmanager
def work(library, **options):
    yield Segmented(library, **options)


np.seterr(all="ignore")
serve(work)
