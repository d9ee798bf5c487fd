"""Contingency tables: each pair of ids is counted, at once, in blocks, under a mask."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxflow.evaluation.contingency import Contingency, PairCounter, contingency

DTYPES = ["u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "?", ">u4", ">i8"]


def plainly(truth, found, mask=None):
    """Slow and plain: a dict of pairs, in Python's integers."""
    keep = np.ones(truth.shape, bool) if mask is None else mask != 0
    pairs = zip(truth[keep].tolist(), found[keep].tolist(), strict=True)
    return {(int(a), int(b)): n for (a, b), n in sorted(Counter(pairs).items())}


def as_dict(table):
    rows = zip(table.truth.tolist(), table.found.tolist(), table.voxels.tolist(), strict=True)
    return {(a, b): n for a, b, n in rows}


@st.composite
def segmentations(draw):
    shape = tuple(draw(st.lists(st.integers(1, 7), min_size=1, max_size=4)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))

    def labels():
        dtype = np.dtype(draw(st.sampled_from(DTYPES)))
        most = 1 if dtype.kind == "b" else int(np.iinfo(dtype).max)
        ids = [0, 1, most, most // 2, max(most - 1, 0)][: draw(st.integers(1, 5))]
        return np.array(ids, dtype)[rng.integers(0, len(ids), shape)].repeat(2, -1)

    truth = labels()
    mask = rng.integers(0, 3, truth.shape) if draw(st.booleans()) else None
    return truth, labels(), mask


@given(segmentations())
def test_pairs_are_counted(arrays):
    truth, found, mask = arrays
    table = contingency(truth, found, mask=mask)
    expected = plainly(truth, found, mask)
    assert as_dict(table) == expected
    assert list(as_dict(table)) == list(expected)  # in the order of ids
    assert table.total == sum(expected.values())


@given(segmentations())
def test_each_position_has_its_pair(arrays):
    truth, found, mask = arrays
    table = contingency(truth, found, mask=mask)
    assert table.positions().shape == (len(table.truth), truth.ndim)
    for a, b, place in zip(table.truth, table.found, table.positions(), strict=True):
        assert (int(truth[*place]), int(found[*place])) == (a, b)
        assert mask is None or mask[*place]


@settings(max_examples=30)
@given(segmentations(), st.data())
def test_blocks_in_any_order_give_the_table_of_the_whole(arrays, data):
    truth, found, mask = arrays
    axis = data.draw(st.integers(0, truth.ndim - 1))
    cut = data.draw(st.integers(0, truth.shape[axis]))
    counters = [PairCounter(truth.shape), PairCounter(truth.shape)]
    for counter, part in zip(counters, [slice(cut, None), slice(0, cut)], strict=True):
        where = (slice(None),) * axis + (part,)
        offset = [0] * truth.ndim
        offset[axis] = part.start
        known = None if mask is None else mask[where]
        counter.add(truth[where], found[where], mask=known, offset=offset)
    summed = counters[0].table() + counters[1].table()
    counters[0].merge(counters[1])
    for table in (summed, counters[0].table()):
        assert as_dict(table) == plainly(truth, found, mask)
        for a, b, place in zip(table.truth, table.found, table.positions(), strict=True):
            assert (int(truth[*place]), int(found[*place])) == (a, b)


def test_tables_grow():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2**64 - 1, 5000, np.uint64, endpoint=True)
    found = rng.integers(0, 7, 5000, np.uint64)
    twice = PairCounter((10000,))
    twice.add(truth, found)
    twice.add(truth[::-1], found[::-1], offset=(5000,))
    assert as_dict(twice.table()) == {k: 2 * n for k, n in plainly(truth, found).items()}


def test_the_position_is_the_middle_of_the_longest_row():
    truth = np.zeros((3, 20), np.uint8)
    truth[0, 1:3] = truth[1, 5:14] = 4
    table = contingency(truth, truth)
    assert table.positions()[1].tolist() == [1, 9]
    assert table.runs[1] == 9


def test_views_are_counted_as_they_are():
    truth = np.arange(48).reshape(6, 8)[::2, ::-1]
    found = (truth // 3).astype("u1").T.copy().T
    found.flags.writeable = False
    assert as_dict(contingency(truth, found)) == plainly(truth, found)


def test_nothing_has_no_pairs():
    for shape in [(0,), (3, 0), (0, 4, 4)]:
        table = contingency(np.zeros(shape, "u8"), np.zeros(shape, "u8"))
        assert (len(table.truth), table.total) == (0, 0)
        assert table.positions().shape == (0, len(shape))


def test_ids_are_left_out():
    truth, found = np.array([0, 0, 2**64 - 1, 3], "u8"), np.array([1, 9, 9, 9], "u8")
    table = contingency(truth, found)
    assert as_dict(table.without([0])) == {(3, 9): 1, (2**64 - 1, 9): 1}
    assert as_dict(table.without(found=[9])) == {(0, 1): 1}
    assert as_dict(table.without([2**64 - 1, 3], [1])) == {(0, 9): 1}
    with pytest.raises(ValueError, match="between 0 and"):
        table.without([-1])


@pytest.mark.parametrize("dtype", ["f4", "f8", "c8"])
def test_floats_are_refused(dtype):
    ids = np.ones(3, "u8")
    with pytest.raises(TypeError, match=r"segmentation is .*astype.*--scores"):
        contingency(ids, ids.astype(dtype))
    with pytest.raises(TypeError, match=r"the truth is"):
        contingency(ids.astype(dtype), ids)


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "i8"])
@pytest.mark.parametrize("other", ["u1", "u8", "i4"])
def test_negative_ids_are_refused_with_their_place(dtype, other):
    truth = np.ones((2, 3), dtype)
    truth[1, 2] = -1
    with pytest.raises(ValueError, match=r"truth has the id -1 at voxel \(1, 2\).*ignore"):
        contingency(truth, np.ones((2, 3), other))
    counter = PairCounter((9, 9))
    with pytest.raises(ValueError, match=r"segmentation has the id -1 at voxel \(4, 7\)"):
        counter.add(np.ones((2, 3), other), truth, offset=(3, 5))
    known = truth > 0
    assert contingency(truth, np.ones((2, 3), other), mask=known).total == 5


def test_what_does_not_fit_is_refused():
    ids = np.ones((2, 3), "u8")
    with pytest.raises(ValueError, match="their shapes are"):
        contingency(ids, ids.T)
    with pytest.raises(ValueError, match="their shapes are"):
        contingency(ids, ids, mask=ids[:1])
    with pytest.raises(ValueError, match=r"at \(0, 1\) is not inside of \(2, 3\)"):
        PairCounter((2, 3)).add(ids, ids, offset=(0, 1))
    with pytest.raises(ValueError, match="not of a volume"):
        PairCounter((2, 3, 1)).add(ids, ids)
    with pytest.raises(ValueError, match="no part of one"):
        PairCounter((2, 3)).merge(PairCounter((3, 3)))
    with pytest.raises(ValueError, match="not parts of one"):
        contingency(ids, ids) + contingency(ids[0], ids[0])


def test_a_table_can_be_made_of_columns():
    ones = np.ones(1, "i8")
    table = Contingency(ones.astype("u8"), ones.astype("u8"), 5 * ones, ones, 0 * ones, (5,))
    assert (table + table).total == 10
