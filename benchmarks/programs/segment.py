"""Affinities of a volume that becomes segments: at once and block by block."""

import contextlib
import shutil
import time
from pathlib import Path

import numpy as np
from serve import serve


class Segmented:
    """A volume in a file and in memory."""

    def __init__(self, vf, folder, block, load):
        import voxflow.segmentation

        self.vf, self.segmentation = vf, voxflow.segmentation
        self.source, self.target = (f"{folder}/a.zarr", "affinities"), (f"{folder}/out.zarr", "s")
        self.block = block
        dataset = vf.stores.open_dataset(*self.source)
        self.neighborhood = dataset.attrs["affinity_neighborhood"]
        self.affinities = dataset.read() if load else None

    def ours(self):
        """In memory."""
        self.segmentation.segment(self.affinities, neighborhood=self.neighborhood)

    def mwatershed(self):
        """In memory, by mwatershed."""
        import mwatershed

        mwatershed.agglom(self.affinities / 255 - 0.5, self.neighborhood)

    def blockwise(self):
        """From a file into a file, and the most bytes that this process had in memory (Linux)."""
        for path in Path(self.target[0]).parent.glob("out.zarr*"):
            shutil.rmtree(path)
        begun = time.perf_counter()
        report = self.segmentation.segment_blockwise(
            self.source, self.target, block=self.block, progress=self.vf.ScanCallback()
        )
        wall = time.perf_counter() - begun
        status = Path("/proc/self/status").read_text().splitlines()
        peak = 1024 * next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
        return {
            "wall": wall,
            "peak_bytes": peak,
            "edges": report.edges,
            "fragments": report.fragments,
            "steps": report.seconds,
        }


@contextlib.contextmanager
def work(library, folder, block, load):
    yield Segmented(library, folder, block, load)


np.seterr(all="ignore")
serve(work)
