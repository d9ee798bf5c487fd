"""Graphs of the blocks of a volume that are joined to segments."""

import contextlib
import time
from pathlib import Path

import numpy as np
from serve import serve
from watch import Watch, memory


class Joining:
    """Files of graphs, in folders."""

    def __init__(self, folder, side):
        self.folder, self.side, self.watch = Path(folder), side, Watch()

    def join(self, name, counts):
        """By a mutex watershed; the most bytes that were not of files, and before (Linux)."""
        from voxflow.segmentation import MutexWatershed
        from voxflow.segmentation.nodes import graph_path
        from voxflow.segmentation.segment_numbers import SegmentNumbers
        from voxflow.segmentation.volume_graph import Graphs

        counts = tuple(counts)

        def read(place, part):
            path = graph_path(self.folder / name, int(np.ravel_multi_index(place, counts)))
            with np.load(path) as file:
                return file[part]

        self.watch.clear()
        before, fragments = memory("RssAnon"), 0
        begun, cpu = time.perf_counter(), time.process_time()
        volume = tuple(self.side * count for count in counts)
        graphs = Graphs((self.side,) * len(counts), volume, read, self.folder)
        joined = MutexWatershed().join(graphs)
        numbers = SegmentNumbers(joined.segments, 0, self.folder)
        for _, names in joined.blocks:
            fragments += len(numbers(names))
        seconds = time.perf_counter() - begun, time.process_time() - cpu
        took = {"wall": seconds[0], "cpu": seconds[1], "most": self.watch.most, "before": before}
        return {**took, "fragments": fragments, "objects": len(numbers)}


@contextlib.contextmanager
def work(library, **options):
    yield Joining(**options)


serve(work)
