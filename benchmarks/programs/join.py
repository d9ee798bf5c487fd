"""Graphs of the blocks of a volume that are joined to segments."""

import contextlib
import time
from pathlib import Path

import numpy as np
from serve import serve


class Joining:
    """Files of graphs, in folders."""

    def __init__(self, folder, side):
        self.folder, self.side = Path(folder), side

    def join(self, name, counts):
        """By a mutex watershed; the most bytes of it, beside what was there before (Linux)."""
        from voxflow.segmentation import MutexWatershed
        from voxflow.segmentation.nodes import graph_path
        from voxflow.segmentation.segment_numbers import SegmentNumbers
        from voxflow.segmentation.volume_graph import Graphs

        counts = tuple(counts)

        def read(place, part):
            path = graph_path(self.folder / name, int(np.ravel_multi_index(place, counts)))
            with np.load(path) as file:
                return file[part]

        Path("/proc/self/clear_refs").write_text("5")
        before, fragments = memory("VmRSS"), 0
        begun, cpu = time.perf_counter(), time.process_time()
        volume = tuple(self.side * count for count in counts)
        graphs = Graphs((self.side,) * len(counts), volume, read, self.folder)
        joined = MutexWatershed().join(graphs)
        numbers = SegmentNumbers(joined.segments, 0, self.folder)
        for _, names in joined.blocks:
            fragments += len(numbers(names))
        seconds = time.perf_counter() - begun, time.process_time() - cpu
        took = {"wall": seconds[0], "cpu": seconds[1], "took": memory("VmHWM") - before}
        return {**took, "fragments": fragments, "objects": len(numbers)}


def memory(which):
    """What the system says of this process, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(which)).split()[1])


@contextlib.contextmanager
def work(library, **options):
    yield Joining(**options)


serve(work)
