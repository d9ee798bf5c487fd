import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import voxflow as gp
from tests.helpers import ids, source
from voxflow.nodes.sinks.layout import (
    Cells,
    aligned,
    all_axes,
    block_on_grid,
    by_key,
    shared_axes,
    stride_of,
)
from voxflow.stores import create_dataset, open_dataset
from voxflow.stores.metadata import Geometry

RAW, LABELS = gp.ArrayKey("RAW"), gp.ArrayKey("LABELS")


def blocks_along(extent, block, stride):
    """Begin of each block of one axis; the last one is moved back."""
    last = extent - block
    return [min(begin, last) for begin in range(0, last + stride, stride)]


def owned_along(extent, block, stride):
    """What each block owns of one axis: the first that holds a voxel owns it."""
    ends = [begin + block for begin in blocks_along(extent, block, stride)]
    return list(zip([0, *ends], ends, strict=False))


@st.composite
def scans(draw, most=3):
    """Sizes along each axis, in voxels: extent, block, stride (of another, smaller array)."""
    axes = []
    for _ in range(draw(st.integers(1, most))):
        block = draw(st.integers(1, 9))
        stride = draw(st.integers(1, block))
        extent = draw(st.integers(block, min(30, block + 6 * stride)))  # or it would be slow
        axes.append((extent, block, stride))
    return axes


class Scanned:
    """A pipeline with a writer, and the requests of a scan's blocks, each with what it owns."""

    def __init__(self, axes, lead, store, **options):
        self.size = gp.Coordinate((9.8, 4, 3)[: len(axes)])
        self.begin = self.size * gp.Coordinate((2, -1, 5)[: len(axes)])
        shape = (*lead, *(extent for extent, _, _ in axes))
        self.data = (np.arange(math.prod(shape)) % 251 + 1).reshape(shape).astype(np.uint8)
        self.axes = axes
        self.writer = gp.DatasetWrite({RAW: "raw"}, store, **options)
        both = (
            source(RAW, self.data, self.size, self.begin),
            source(LABELS, np.zeros(shape, np.uint8), self.size, self.begin),
        )
        self.pipeline = both + gp.MergeProvider() + self.writer

    def requests(self):
        begins = itertools.product(*(blocks_along(*axis) for axis in self.axes))
        owned = itertools.product(*(owned_along(*axis) for axis in self.axes))
        for begin, owns in zip(begins, owned, strict=True):
            request = gp.BatchRequest()
            request[RAW] = self.roi([(b, b + block) for b, (_, block, _) in self.both(begin)])
            request[LABELS] = self.roi([(b, b + stride) for b, (*_, stride) in self.both(begin)])
            request.write_rois = {RAW: self.roi(owns)}
            yield request, owns

    def both(self, begin):
        return zip(begin, self.axes, strict=True)

    def roi(self, bounds):
        begin, end = zip(*bounds, strict=True)
        begin, end = gp.Coordinate(begin), gp.Coordinate(end)
        return gp.Roi(begin, end - begin) * self.size + self.begin

    def grid(self):
        """How far blocks are from one another, and where the first border is, in world units."""
        stride = gp.Coordinate([stride for *_, stride in self.axes]) * self.size
        first = gp.Coordinate([block for _, block, _ in self.axes]) * self.size
        return stride, self.begin + first


def touched_by(owns, chunks):
    """The cells of a grid that a block touches."""
    return itertools.product(
        *(range(b // c, (e - 1) // c + 1) for (b, e), c in zip(owns, chunks, strict=True))
    )


def shares(requests, chunks):
    """Whether two blocks touch one cell."""
    owners = {}
    for _, owns in requests:
        if all(e > b for b, e in owns):
            for cell in touched_by(owns, chunks):
                if owners.setdefault(cell, owns) != owns:
                    return True
    return False


def agree(axes, said, true):
    """Whether it is told of all that is shared; of no more, where all blocks are a stride long."""
    assert bool(said) >= true
    if all(block == stride for _, block, stride in axes):
        assert bool(said) == true


@settings(max_examples=20, deadline=None)
@given(scans(), st.sampled_from([(), (2,), (2, 3)]), st.randoms(use_true_random=False))
def test_no_two_blocks_share_a_chunk_whichever_is_first(axes, lead, random):
    store = {}
    scan = Scanned(axes, lead, store)
    requests = list(scan.requests())
    random.shuffle(requests)
    with gp.build(scan.pipeline):
        shared = shared_axes(
            scan.writer._planned(RAW, *scan.grid()), scan.writer.spec[RAW].roi, *scan.grid()
        )
        for request, _ in requests:
            scan.pipeline.request_batch(request)
        made = open_dataset(store, "raw", missing_chunks="fill")
        np.testing.assert_array_equal(made.read(), scan.data)
        target = scan.writer._output.targets[RAW]
        after = shared_axes(target.cells, scan.writer.spec[RAW].roi, *scan.grid())
    assert made.chunks[: len(lead)] == lead
    true = shares(scan.requests(), made.chunks[len(lead) :])
    agree(axes, after, true)
    # Only where blocks have no fitting part of at least a quarter in common.
    steps = [math.gcd(block, stride) for _, block, stride in axes]
    poor = [4 * step < min(stride, n) for step, (n, _, stride) in zip(steps, axes, strict=True)]
    assert not true or any(poor)
    assert not shared or any(poor)


@settings(max_examples=60, deadline=None)
@given(scans(2), st.data())
def test_whether_blocks_share_chunks_is_told_of_a_dataset_that_is_there(axes, data):
    chunks = [data.draw(st.integers(1, 12)) for _ in axes]
    before = [data.draw(st.integers(0, 5)) for _ in axes]  # the dataset begins earlier
    scan = Scanned(axes, (), {})
    create_dataset(
        scan.writer.store,
        "raw",
        [extent + more for (extent, *_), more in zip(axes, before, strict=True)],
        "u1",
        chunks=chunks,
        geometry=Geometry(scan.size, scan.begin - scan.size * gp.Coordinate(before)),
    )
    moved = [
        (request, [(b + more, e + more) for (b, e), more in zip(owns, before, strict=True)])
        for request, owns in scan.requests()
    ]
    with gp.build(scan.pipeline):
        cells = scan.writer._existing("raw").cells
        whole = scan.writer.spec[RAW].roi
        shared = shared_axes(cells, whole, *scan.grid())
        agree(axes, shared, shares(moved, chunks))
        stride, origin = aligned(scan.grid()[0], cells), cells.begin
        assert shared_axes(cells, whole, stride, origin) == []


def test_what_a_block_of_no_scan_writes_is_the_block():
    part, whole = gp.Roi((8, 0), (12, 10)), gp.Roi((0, 0), (40, 40))
    assert block_on_grid(part, whole, gp.Coordinate(4, 1), None) == (3, 10)
    request = gp.BatchRequest({RAW: part})
    assert stride_of(request, gp.ProviderSpec()) is None


def test_the_stride_is_in_whole_voxels_of_all_arrays():
    offered = gp.ProviderSpec(
        {RAW: gp.ArraySpec(voxel_size=(4, 4)), LABELS: gp.ArraySpec(voxel_size=(6, 2))}
    )
    request = gp.BatchRequest({RAW: gp.Roi((0, 0), (40, 28)), LABELS: gp.Roi((0, 0), (48, 26))})
    request.write_rois = {}
    assert stride_of(request, offered) == (36, 24)


def test_sizes_of_the_spatial_axes_keep_channels_together():
    assert all_axes(None, (3, 8, 8), 2, "chunks") is None
    assert all_axes((4, 2), (0, 3, 8, 8), 2, "chunks") == (1, 3, 4, 2)
    assert all_axes((1, 4, 2), (3, 8, 8), 2, "chunks") == (1, 4, 2)
    with pytest.raises(ValueError, match=r"shards=\(4,\) does not fit shape \(3, 8, 8\)"):
        all_axes((4,), (3, 8, 8), 2, "shards")


def test_options_for_all_or_by_key():
    assert by_key(None, [RAW], "scale") == {}
    assert by_key((4, 4), [RAW, LABELS], "chunks") == {RAW: (4, 4), LABELS: (4, 4)}
    assert by_key({RAW: 2, LABELS: None}, [RAW, LABELS], "scale") == {RAW: 2}
    with pytest.raises(ValueError, match="scale speaks of LABELS, which is not written here"):
        by_key({LABELS: 2}, [RAW], "scale")


def test_one_block_alone_shares_nothing():
    cells = Cells(gp.Coordinate(0), gp.Coordinate(7))
    assert shared_axes(cells, gp.Roi((0,), (20,)), gp.Coordinate(20), gp.Coordinate(0)) == []
    assert shared_axes(cells, gp.Roi((0,), (21,)), gp.Coordinate(20), gp.Coordinate(0)) == [0]


def test_helpers_cover_each_voxel_once():
    counts = np.zeros(23, int)
    for begin, end in owned_along(23, 7, 5):
        counts[begin:end] += 1
    assert (counts == 1).all()
    assert ids(gp.Roi((0,), (3,)), (1,)).tolist() == [1, 2, 3]
