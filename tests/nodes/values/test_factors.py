import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import voxflow as gp
from tests.helpers import ids, served, source, specs

SOURCE, TARGET = gp.ArrayKey("SOURCE"), gp.ArrayKey("TARGET")


def sampled(node, data, size, offset, roi=None):
    pipeline = source(SOURCE, data, size, offset) + node
    with gp.build(pipeline):
        asked = gp.BatchRequest({TARGET: roi or pipeline.spec[TARGET].roi})
        return pipeline.request_batch(asked)[TARGET]


@st.composite
def cases(draw):
    dims = draw(st.integers(1, 3))
    factor = gp.Coordinate(draw(st.integers(1, 4)) for _ in range(dims))
    size = gp.Coordinate(draw(st.sampled_from([1, 2, 9.8, 40])) for _ in range(dims))
    first = gp.Coordinate(draw(st.integers(-5, 5)) for _ in range(dims))
    shape = tuple(draw(st.integers(8, 12)) for _ in range(dims))
    data = ids(gp.Roi((0,) * dims, shape), (1,) * dims)
    lead = (2,) if draw(st.booleans()) else ()
    return np.broadcast_to(data, lead + shape).copy(), size, first, factor


@settings(max_examples=50, deadline=None)
@given(cases())
def test_every_nth_voxel_counted_from_the_grid(case):
    data, size, first, factor = case
    got = sampled(gp.DownSample(SOURCE, factor, TARGET), data, size, first * size)
    coarse = got.spec.voxel_size
    assert coarse == size * factor
    assert got.data.dtype == data.dtype
    for at in np.ndindex(*got.data.shape[-len(size) :]):
        begin = got.spec.roi.offset + gp.Coordinate(at) * coarse
        there = tuple(begin / size - first)
        np.testing.assert_array_equal(got.data[(..., *at)], data[(..., *there)])


@settings(max_examples=50, deadline=None)
@given(cases(), st.data())
def test_each_voxel_as_often_as_it_is_to_be(case, more):
    data, size, first, factor = case
    whole = sampled(gp.UpSample(SOURCE, factor, TARGET), data, size, first * size)
    wanted = data
    for axis, times in enumerate(factor, data.ndim - len(size)):
        wanted = wanted.repeat(times, axis)
    np.testing.assert_array_equal(whole.data, wanted)
    assert whole.data.dtype == data.dtype
    fine, there = whole.spec.voxel_size, whole.spec.roi
    assert fine * factor == size
    low = gp.Coordinate(more.draw(st.integers(0, n - 1)) for n in there.shape / fine)
    roi = gp.Roi(there.offset + low * fine, there.shape - low * fine)
    part = sampled(gp.UpSample(SOURCE, factor, TARGET), data, size, first * size, roi)
    np.testing.assert_array_equal(part.data, whole.crop(roi).data)


def test_one_factor_is_for_all_axes():
    data = np.arange(24).reshape(2, 3, 4)
    whole = gp.Roi((0, 0), (12, 16))
    for node, wanted in (
        (gp.DownSample(SOURCE, 2, TARGET), data[:, :2:2, ::2]),
        (gp.UpSample(SOURCE, 2, TARGET), data.repeat(2, 1).repeat(2, 2)),
    ):
        roi = whole.snap_to_grid((8, 8), "shrink") if isinstance(node, gp.DownSample) else whole
        np.testing.assert_array_equal(sampled(node, data, (4, 4), None, roi).data, wanted)


@pytest.mark.parametrize("node", [gp.DownSample, gp.UpSample])
def test_once_is_a_copy(node):
    data = np.arange(4)
    got = sampled(node(SOURCE, 1, TARGET), data, (1,), None)
    assert got.data.flags.writeable
    got.data[:] = 0
    assert data.tolist() == [0, 1, 2, 3]


def test_the_offer_is_in_whole_voxels():
    data = np.zeros(10, np.int16)
    with specs(
        source(SOURCE, data, (2,), (2,), interpolatable=True) + gp.DownSample(SOURCE, 3, TARGET)
    ) as spec:
        assert spec[TARGET].roi == gp.Roi((6,), (12,))
        assert (spec[TARGET].dtype, spec[TARGET].interpolatable) == (np.int16, True)


@pytest.mark.parametrize("node", [gp.DownSample, gp.UpSample])
def test_mistakes(node):
    with pytest.raises(TypeError, match="target has to be an ArrayKey, got 'RAW'"):
        node(SOURCE, 2, "RAW")
    with pytest.raises(TypeError, match="takes whole factors"):
        node(SOURCE, (2, 1.5), TARGET)
    with pytest.raises(ValueError, match="takes factors from 1 on, got 0"):
        node(SOURCE, 0, TARGET)
    with pytest.raises(gp.PipelineSetupError, match=r"factors \(2, 2\), but SOURCE has 1 spatial"):
        sampled(node(SOURCE, (2, 2), TARGET), np.zeros(4), (1,), None)


def test_a_source_smaller_than_a_voxel():
    with pytest.raises(gp.PipelineSetupError, match=r"makes voxels of \(9,\), but SOURCE are only"):
        sampled(gp.DownSample(SOURCE, 9, TARGET), np.zeros(4), (1,), None)


def test_endless_sources_stay_endless():
    pipeline = source(SOURCE, np.arange(9), (1,)) + gp.RandomLocation()
    pipeline = pipeline + gp.DownSample(SOURCE, 2, TARGET)
    with specs(pipeline) as spec:
        assert spec[TARGET].roi.unbounded
    assert len(served(pipeline, gp.BatchRequest({TARGET: gp.Roi((0,), (8,))}))[TARGET].data) == 4
