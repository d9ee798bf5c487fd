"""Where the blocks of a scan lie, and what belongs to each."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import voxflow as gp
from tests.helpers import asking
from voxflow.nodes.scanning.blocks import ScanBlocks

RAW, OUT = gp.ArrayKey("RAW"), gp.ArrayKey("OUT")


@given(
    st.lists(
        st.tuples(st.integers(1, 17), st.integers(1, 9), st.integers(-9, 9)), min_size=1, max_size=3
    ),
    st.data(),
)
def test_blocks_cover_and_stay_inside(sides, data):
    shape = [max(extent, block) for extent, block, _ in sides]
    block = [block for _, block, _ in sides]
    offset = gp.Coordinate(begin for _, _, begin in sides)
    whole = gp.Roi(offset, shape)
    offered = gp.ProviderSpec({RAW: gp.ArraySpec(whole, (1,) * len(shape))})
    reference = gp.BatchRequest(
        {RAW: gp.Roi([data.draw(st.integers(-5, 5)) for _ in sides], block)}
    )
    begin = [data.draw(st.integers(0, n - 1)) for n in shape]
    extent = [data.draw(st.integers(1, n - b)) for n, b in zip(shape, begin, strict=True)]
    part = gp.Roi(offset + gp.Coordinate(begin), extent)

    def blocks(request):
        request = gp.BatchRequest(request, random_seed=1)
        found = ScanBlocks(reference, request, offered)
        rois = [block[RAW].roi for block in found]
        assert len(rois) == len(found) == len(set(rois))
        return rois

    everything, needed = blocks({}), blocks({RAW: part})
    assert blocks({RAW: whole}) == everything
    assert [roi for roi in everything if roi in set(needed)] == needed

    def owner(rois, region):
        owners = np.full(shape, -1)
        for roi in reversed(rois):
            assert whole.contains(roi)
            owners[(roi - offset).to_slices()] = everything.index(roi)
        return owners[(region - offset).to_slices()]

    owners = owner(everything, whole)
    assert owners.min() >= 0
    np.testing.assert_array_equal(owner(needed, part), owner(everything, part))
    # Nothing is computed that is not needed.
    assert set(owner(everything, part).ravel()) == {everything.index(roi) for roi in needed}


def test_keys_of_different_sizes_share_their_blocks():
    reference = asking(RAW=((0,), (40,)), OUT=((10,), (20,)))
    offered = gp.ProviderSpec(
        {RAW: gp.ArraySpec(gp.Roi((0,), (100,)), (2,)), OUT: gp.ArraySpec(voxel_size=(4,))}
    )
    # Whatever is asked for, the blocks are those of the whole: OUT lies on its grid of 4.
    request = gp.BatchRequest(random_seed=1)
    found = [
        (b[RAW].roi.begin[0], b[OUT].roi.begin[0]) for b in ScanBlocks(reference, request, offered)
    ]
    assert found == [(0, 10), (20, 30), (40, 50), (60, 70)]
    request = gp.BatchRequest({OUT: gp.Roi((52,), (4,))}, random_seed=1)
    blocks = ScanBlocks(reference, request, offered)
    assert [b[OUT].roi.begin[0] for b in blocks] == [50]
    assert blocks.covered[OUT] == gp.Roi((10,), (80,))


def test_shifts_stay_on_all_voxel_grids():
    offered = gp.ProviderSpec(
        {
            RAW: gp.ArraySpec(gp.Roi((1,), (100,)), (1,)),
            OUT: gp.ArraySpec(gp.Roi((0,), (102,)), (3,)),
        }
    )
    reference = asking(RAW=((0,), (20,)), OUT=((0,), (18,)))
    request = gp.BatchRequest(random_seed=1)
    begins = [b[OUT].roi.begin[0] for b in ScanBlocks(reference, request, offered)]
    assert begins == [3, 21, 39, 57, 75, 81]
    reference = asking(RAW=((0,), (2,)), OUT=((0,), (18,)))
    with pytest.raises(ValueError, match="meet every"):
        ScanBlocks(reference, request, offered)


@given(
    st.lists(
        st.tuples(st.integers(1, 17), st.integers(1, 9), st.integers(1, 5)), min_size=1, max_size=3
    )
)
def test_what_belongs_to_the_blocks_is_everything_once(sides):
    shape = [max(extent, block) for extent, block, _ in sides]
    block = [block for _, block, _ in sides]
    voxel_size = gp.Coordinate(size for *_, size in sides)
    whole = gp.Roi((0,) * len(shape), shape) * voxel_size
    offered = gp.ProviderSpec({RAW: gp.ArraySpec(whole, voxel_size)})
    reference = gp.BatchRequest({RAW: gp.Roi((0,) * len(shape), block) * voxel_size})
    blocks = ScanBlocks(reference, gp.BatchRequest(random_seed=1), offered)
    seen = np.zeros(shape, int)
    for request in blocks:
        own = request.write_rois[RAW]
        assert request[RAW].roi.contains(own)
        # Borders of what blocks own lie on the grid of the stride.
        assert not any(own.begin % blocks.stride)
        seen[(own / voxel_size).to_slices()] += 1
    np.testing.assert_array_equal(seen, 1)


def test_a_part_of_many_blocks_is_not_listed():
    whole = gp.Roi((0, 0, 0), (10**6,) * 3)
    offered = gp.ProviderSpec({RAW: gp.ArraySpec(whole, (1, 1, 1))})
    reference = gp.BatchRequest({RAW: gp.Roi((0, 0, 0), (10, 10, 10))})
    part = gp.BatchRequest({RAW: gp.Roi((5, 5, 5), (10**6 - 5,) * 3)}, random_seed=1)
    blocks = ScanBlocks(reference, part, offered)
    assert len(blocks) == blocks.total == 10**15
    assert blocks.request(10**15 - 1)[RAW].roi.end == (10**6,) * 3
    part = gp.BatchRequest({RAW: gp.Roi((5, 25, 10**6 - 15), (10, 5, 12))}, random_seed=1)
    blocks = ScanBlocks(reference, part, offered)
    assert [tuple(b[RAW].roi.begin) for b in blocks] == [
        (z, 20, x) for x in (10**6 - 20, 10**6 - 10) for z in (0, 10)
    ]


def test_of_an_axis_without_bounds_only_what_is_needed_is_there():
    offered = gp.ProviderSpec({RAW: gp.ArraySpec(gp.Roi((None,), (None,)), (1,))})
    reference = gp.BatchRequest({RAW: gp.Roi((3,), (10,))})
    for begin in range(-25, 25):
        for extent in (1, 9, 10, 11, 20):
            part = gp.Roi((begin,), (extent,))
            request = gp.BatchRequest({RAW: part}, random_seed=1)
            owned = [b.write_rois[RAW] for b in ScanBlocks(reference, request, offered)]
            assert all(not own.intersect(part).empty for own in owned)
            assert sum(own.intersect(part).size for own in owned) == extent
            assert all((own.begin[0] - 3) % 10 == 0 for own in owned)
