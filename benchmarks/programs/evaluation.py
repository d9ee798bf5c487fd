"""Scores of segmentations: ours, scikit-image's, and numpy's count of pairs."""

import contextlib
import time

import numpy as np
from serve import serve
from watch import memory

BLOCK = (64, 256, 256)


def neurites(shape, size, seed=0):
    """Boxes of ids, as uint64: runs of about `size` voxels."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(1, 2**16, [-(-n // size) for n in shape], np.uint64)
    for axis in range(len(shape)):
        ids = ids.repeat(size, axis)
    return np.ascontiguousarray(ids[tuple(slice(n) for n in shape)])


class Tiled:
    """An array that is larger than memory: one block, with other ids in each place."""

    dtype, chunks = np.dtype(np.uint64), BLOCK

    def __init__(self, block, count):
        self.block = block
        self.shape = (block.shape[0] * count, *block.shape[1:])

    def __getitem__(self, region):
        first = region[0].start // BLOCK[0]
        tiles = [self.block + np.uint64(2**16 * (first + i)) for i in range(self._tiles(region))]
        return tiles[0] if len(tiles) == 1 else np.concatenate(tiles)

    def _tiles(self, region):
        return (region[0].stop - region[0].start) // BLOCK[0]


class Evaluation:
    """Pairs of segmentations, and who scores them."""

    def __init__(self, voxflow, shape, size):
        self.voxflow = voxflow
        self.truth, self.found = neurites(shape, size), neurites(shape, size + 3, 1)
        self.truth[self.truth > 60000] = 0

    def run(self, count):
        """Both scores, of 64-bit ids as they are."""
        evaluation = self.voxflow.evaluation
        for _ in range(count):
            table = evaluation.contingency(self.truth, self.found).without([0])
            information = evaluation.variation_of_information(table)
            error = evaluation.adapted_rand(table).error
        return {"scores": [*information, error]}

    def skimage(self, count):
        """Both scores, of ids that are small already, from one table."""
        from skimage.metrics import adapted_rand_error, variation_of_information
        from skimage.metrics._contingency_table import contingency_table

        for _ in range(count):
            table = contingency_table(
                self.truth, self.found, ignore_labels=(0,), sparse_type="array"
            )
            error = adapted_rand_error(table=table)[0]
            shares = table / table.sum()
            information = variation_of_information(self.truth, self.found, table=shares)
        return {"scores": [*information, error]}

    def numpy(self, count):
        """The table alone, by sorting."""
        for _ in range(count):
            pairs = np.stack([self.truth.ravel(), self.found.ravel()], axis=1)
            np.unique(pairs.view("u8,u8"), return_counts=True)
        return {"scores": []}

    def stream(self, blocks):
        """Evaluate a volume of so many blocks; seconds and the most memory of this process."""
        ours = [neurites(BLOCK, size, size) for size in (40, 43)]
        self.voxflow.evaluation.evaluate(*(Tiled(block, 2) for block in ours))
        start, cpu = time.perf_counter(), time.process_time()
        self.voxflow.evaluation.evaluate(*(Tiled(block, blocks) for block in ours))
        seconds = time.perf_counter() - start, time.process_time() - cpu
        return {"wall": seconds[0], "cpu": seconds[1], "memory": memory("VmHWM")}


@contextlib.contextmanager
def work(library, **options):
    yield Evaluation(library, **options)


serve(work)
