"""A mask of 10 billion voxels, and what sampling from stacks and cubes comes to as a whole."""

import gc
import threading
import time
from collections import Counter

import numpy as np
import psutil
import pytest

import voxflow as gp
from tests.helpers import ramp, source

RAW, MASK, ITEM = gp.ArrayKey("RAW"), gp.ArrayKey("MASK"), gp.ArrayKey("ITEM")


class Boxes:
    """A mask that is computed: set in boxes."""

    dtype = np.dtype(np.uint8)

    def __init__(self, shape, boxes):
        self.shape, self.boxes = shape, boxes

    def __getitem__(self, region):
        begin = np.array([cut.start for cut in region])
        found = np.zeros([cut.stop - cut.start for cut in region], np.uint8)
        for low, high in self.boxes:
            low, high = np.maximum(low - begin, 0), np.minimum(high - begin, found.shape)
            if (low < high).all():
                found[tuple(map(slice, low, high))] = 1
        return found


class Peak:
    """The most memory that this process takes meanwhile, beyond what it took before."""

    def __enter__(self):
        gc.collect()
        self._process, self._done = psutil.Process(), threading.Event()
        self._before = self._process.memory_info().rss
        self.most = 0
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self):
        while not self._done.wait(0.01):
            self.most = max(self.most, self._process.memory_info().rss - self._before)

    def __exit__(self, *_):
        self._done.set()
        self._thread.join()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_mask_of_ten_billion_voxels_is_drawn_from_evenly_in_little_memory():
    shape = (10_000, 1000, 1000)
    rng = np.random.default_rng(0)
    corners = [rng.integers((0, 0, 0), np.array(shape) - 40) for _ in range(100)]
    corners += [np.array((0, 0, 0)), np.array(shape) - 12]
    boxes = [(corner, np.minimum(corner + 12, shape)) for corner in corners]
    node = gp.RandomLocation(1.0, MASK)
    spec = gp.ArraySpec(voxel_size=(40, 4, 4))
    request = gp.BatchRequest({MASK: gp.Roi((0, 0, 0), (40 * 11, 4 * 11, 4 * 11))})
    with Peak() as peak, gp.build(gp.ArraySource(MASK, Boxes(shape, boxes), spec=spec) + node):
        start = time.perf_counter()
        found = Counter()
        for seed in range(5000):
            asked = gp.BatchRequest(request.array_specs, random_seed=seed)
            found[tuple(node.draw(asked, asked.rng("x")))] += 1
        print(f"{time.perf_counter() - start:.0f} s")
    print(f"{peak.most / 1e6:.0f} MB")
    # In a box of 12 voxels a window of 11 has two places along each axis.
    offsets = [np.array((i, j, k)) for i in (0, 1) for j in (0, 1) for k in (0, 1)]
    good = {tuple(map(int, (c + o) * (40, 4, 4))) for c in corners for o in offsets}
    assert set(found) <= good
    expected = 5000 / len(good)
    chi2 = sum((found[place] - expected) ** 2 / expected for place in good)
    assert chi2 < len(good) + 4 * np.sqrt(2 * len(good))
    assert {tuple(map(int, c * (40, 4, 4))) for c in (corners[-2],)} <= set(found)
    assert peak.most < 300e6


def test_slices_of_a_cube_come_in_all_three_orientations():
    roi = gp.Roi((0, 0, 0), (60, 60, 60))
    cube = source(RAW, ramp(roi, (2, 2, 2)), (2, 2, 2))
    orders = {(0, 1, 2): 1, (1, 0, 2): 1, (2, 1, 0): 1}
    turn = gp.SimpleAugment(mirror_only=[], transpose_probs=orders)
    request = gp.BatchRequest({RAW: gp.Roi((0, 0, 0), (2, 20, 20))})
    across = Counter()
    with gp.build(cube + gp.RandomLocation() + turn, seed=1) as built:
        for _ in range(600):
            patch = built.request_batch(request)[RAW].data
            assert patch.shape == (3, 1, 10, 10)
            (flat,) = (axis for axis in range(3) if np.ptp(patch[axis]) == 0)
            across[flat] += 1
    assert all(abs(across[axis] - 200) < 4 * np.sqrt(600 * 2 / 9) for axis in range(3))


def test_patches_of_a_stack_are_patches_of_one_image():
    images = np.random.default_rng(0).integers(0, 255, (5, 12, 14), np.uint8)
    stack = source(RAW, images, (1, 4, 4)) + gp.ItemValues(ITEM, np.arange(5), RAW)
    request = gp.BatchRequest({RAW: gp.Roi((0, 0, 0), (1, 48, 56))})
    request[ITEM] = gp.ArraySpec(nonspatial=True)
    seen = Counter()
    with gp.build(stack + gp.RandomLocation(), seed=1) as built:
        for _ in range(500):
            batch = built.request_batch(request)
            item = int(batch[ITEM].data)
            np.testing.assert_array_equal(batch[RAW].data[0], images[item])
            seen[item] += 1
    assert sorted(seen) == list(range(5))
    assert all(abs(n - 100) < 4 * np.sqrt(80) for n in seen.values())
