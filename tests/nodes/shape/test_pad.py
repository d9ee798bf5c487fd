import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

import voxflow as gp
from tests.helpers import GraphSource, asking, served, source, specs

RAW, LABELS, POINTS = gp.ArrayKey("RAW"), gp.ArrayKey("LABELS"), gp.GraphKey("points")
SIZE = gp.Coordinate(5, 9.8)
OFFSET = gp.Coordinate(10, 0)
DATA = np.arange(1, 2 * 4 * 3 + 1).reshape(2, 4, 3)  # two channels of 4 by 3 voxels
ROI = gp.Roi(OFFSET, SIZE * gp.Coordinate(4, 3))


def volume(data=DATA):
    return source(RAW, data, SIZE, OFFSET)


def voxels(begin, shape):
    """A region in voxels, counted from the begin of the data."""
    return gp.Roi(OFFSET + SIZE * gp.Coordinate(begin), SIZE * gp.Coordinate(shape))


@pytest.mark.parametrize(
    ("size", "roi"),
    [
        (SIZE, voxels((-1, -1), (6, 5))),
        ((10, 0), voxels((-2, 0), (8, 3))),
        (0, ROI),
        (None, gp.Roi((None, None), (None, None))),
        ((None, 9.8), gp.Roi((None, -9.8), (None, 49))),
    ],
)
def test_offers_the_larger_region(size, roi):
    with specs(volume() + gp.Pad(RAW, size)) as spec:
        assert spec[RAW].roi == roi


@hypothesis.given(
    begin=st.tuples(st.integers(-9, 9), st.integers(-9, 9)),
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    mode=st.sampled_from(["constant", "reflect", "symmetric", "edge"]),
)
def test_every_region_is_that_part_of_the_whole(begin, shape, mode):
    whole = np.pad(DATA, ((0, 0), (20, 20), (20, 20)), mode)
    batch = served(volume() + gp.Pad(RAW, None, mode), asking(RAW=voxels(begin, shape)))
    low = np.array(begin) + 20
    high = low + shape
    wanted = whole[:, low[0] : high[0], low[1] : high[1]]
    np.testing.assert_array_equal(batch[RAW].data, wanted)
    assert batch[RAW].data.dtype == DATA.dtype


def test_fills_with_the_value():
    batch = served(volume() + gp.Pad(RAW, SIZE, value=7), asking(RAW=voxels((-1, 0), (2, 1))))
    np.testing.assert_array_equal(batch[RAW].data[..., 0], [[7, 1], [7, 13]])


@pytest.mark.parametrize("mode", ["constant", "reflect"])
def test_reads_only_what_it_needs(mode):
    seen = []

    class Spy(gp.BatchFilter):
        def process(self, batch, request):
            seen.append(batch[RAW].data.shape)

    served(volume() + Spy() + gp.Pad(RAW, None, mode), asking(RAW=voxels((-9, 1), (10, 1))))
    assert seen == [(2, 1, 1) if mode == "constant" else (2, 4, 1)]


@pytest.mark.parametrize("mode", ["constant", "reflect"])
def test_a_single_voxel(mode):
    pipeline = volume(DATA[:, :1, :1]) + gp.Pad(RAW, None, mode)
    batch = served(pipeline, asking(RAW=voxels((-1, 0), (3, 1))))
    assert batch[RAW].data[0, :, 0].tolist() == ([0, 1, 0] if mode == "constant" else [1, 1, 1])


@pytest.mark.parametrize("mode", ["constant", "reflect"])
def test_an_unbounded_region_has_nothing_to_pad(mode):
    pipeline = volume() + gp.Pad(RAW, None) + gp.Pad(RAW, SIZE, mode, 3)
    batch = served(pipeline, asking(RAW=voxels((-1, 0), (2, 1))))
    np.testing.assert_array_equal(batch[RAW].data[0, :, 0], [0, 1])


def test_pads_twice_on_the_way():
    pipeline = volume() + gp.Pad(RAW, SIZE, value=1) + gp.Pad(RAW, SIZE, value=2)
    batch = served(pipeline, asking(RAW=voxels((-2, 0), (3, 1))))
    assert batch[RAW].data[0, :, 0].tolist() == [2, 1, 1]


def test_several_keys_each_by_its_own():
    labels = source(LABELS, np.full((4, 3), 5), SIZE, OFFSET)
    pipeline = (
        (volume(), labels)
        + gp.MergeProvider()
        + gp.Pad(RAW, None, "reflect")
        + gp.Pad(LABELS, SIZE * 3)
    )
    request = asking(RAW=voxels((-2, -2), (3, 3)), LABELS=voxels((-3, 0), (10, 1)))
    batch = served(pipeline, request)
    assert batch[RAW].data[0].tolist() == [[9, 8, 7], [6, 5, 4], [3, 2, 1]]
    assert batch[LABELS].data.ravel().tolist() == [0, 0, 0, 5, 5, 5, 5, 0, 0, 0]
    alone = served(pipeline, asking(LABELS=voxels((-3, 0), (1, 1))))
    assert RAW not in alone


def test_graphs_only_get_more_room():
    graph = GraphSource(POINTS, {1: (5, 5), 2: (9, 9)}, gp.Roi((0, 0), (10, 10)), [(1, 2)])
    for size in (20, None):
        batch = served(graph + gp.Pad(POINTS, size), asking(points=((-10, -10), (16, 16))))
        assert batch[POINTS].spec.roi == gp.Roi((-10, -10), (16, 16))
        assert batch[POINTS].inside(gp.Roi((-10, -10), (16, 16))).sum() == 1
        batch = served(graph + gp.Pad(POINTS, size), asking(points=((-10, -10), (5, 5))))
        assert batch[POINTS].num_vertices() == 0


def test_the_source_is_left_alone():
    data = DATA.copy()
    whole = served(volume(data) + gp.Pad(RAW, None, value=1), asking(RAW=ROI))
    whole[RAW].data[:] = 0
    np.testing.assert_array_equal(data, DATA)


@pytest.mark.parametrize(
    ("args", "text"),
    [
        ((RAW, 5, "wrap"), "mode has to be one of constant, .*, got 'wrap'"),
        ((RAW, (5, -5)), r"Crop makes them smaller"),
        ((RAW, -1), r"Crop makes them smaller"),
    ],
)
def test_arguments_are_checked_at_once(args, text):
    with pytest.raises(ValueError, match=text):
        gp.Pad(*args)


@pytest.mark.parametrize(
    ("pad", "text"),
    [
        (gp.Pad(RAW, (5, 5)), r"by \(5, 5\) world units.*voxels of \(5, 9.8\)"),
        (gp.Pad(RAW, (5,)), "2 axes; give one number"),
        (gp.Pad(LABELS, 5), "no spec for LABELS"),
        (gp.Pad(RAW, None, value=-1), "with -1, which uint8 cannot hold"),
        (gp.Pad(RAW, None, value=0.5), "with 0.5, which uint8 cannot hold"),
    ],
)
def test_what_does_not_fit_is_said_at_setup(pad, text):
    pipeline = volume(DATA.astype(np.uint8)) + pad
    with pytest.raises(gp.PipelineSetupError, match=text), gp.build(pipeline):
        pass


@pytest.mark.parametrize("deferred", [True, False])
@pytest.mark.parametrize("begin", [(-20, 0), (0, -1), (1, 0)])
def test_what_does_not_fit_is_said_of_any_block_if_the_dtype_is_not_known_before(begin, deferred):
    class Untold(gp.BatchFilter):
        def setup(self):
            spec = self.spec[RAW].copy()
            spec.dtype = None
            self.updates(RAW, spec)

        def process(self, batch, request):
            if not deferred:
                batch[RAW] = gp.Array(batch[RAW].data.copy(), batch[RAW].spec)

    pipeline = volume(DATA.astype(np.uint8)) + Untold() + gp.Pad(RAW, None, value=0.5)
    request = asking(RAW=voxels(begin, (3, 3)))
    if begin == (1, 0):
        assert served(pipeline, request)[RAW].data.shape == (2, 3, 3)
    else:
        with pytest.raises(gp.PipelineRequestError) as info:
            served(pipeline, request)
        assert "fill RAW with 0.5, which uint8 cannot hold" in str(
            info.value.__cause__ or info.value
        )


def test_a_nonspatial_array_has_no_region():
    array = gp.Array(np.zeros(3), gp.ArraySpec(nonspatial=True))
    with (
        pytest.raises(gp.PipelineSetupError, match="RAW, which has no region"),
        gp.build(gp.ArraySource(RAW, array) + gp.Pad(RAW, 5)),
    ):
        pass


@hypothesis.given(
    begin=st.tuples(st.integers(-9, 9), st.integers(-9, 9)),
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    dtype=st.sampled_from([np.uint8, np.float32]),
)
def test_the_mean_of_the_border_is_that_of_the_whole(begin, shape, dtype):
    data = DATA.astype(dtype)
    border = np.delete(data.reshape(2, -1), [4, 7], axis=1)
    mean = np.rint(border.mean(1)) if dtype == np.uint8 else border.mean(1)
    whole = np.broadcast_to(mean.astype(dtype)[:, None, None], (2, 44, 43)).copy()
    whole[:, 20:24, 20:23] = data
    padded = volume(data) + gp.Pad(RAW, None, "border-mean")
    batch = served(padded, asking(RAW=voxels(begin, shape)))
    low = np.array(begin) + 20
    high = low + shape
    np.testing.assert_array_equal(batch[RAW].data, whole[:, low[0] : high[0], low[1] : high[1]])


def test_labels_have_no_mean():
    ids = source(RAW, DATA, SIZE, OFFSET, interpolatable=False)
    with pytest.raises(gp.PipelineSetupError, match="holds labels"):
        served(ids + gp.Pad(RAW, None, "border-mean"), asking(RAW=ROI))
    with pytest.raises(gp.PipelineSetupError, match="it has no end"):
        served(volume() + gp.Pad(RAW, None) + gp.Pad(RAW, 0, "border-mean"), asking(RAW=ROI))


@pytest.mark.parametrize("mode", ["constant", "reflect", "edge", "border-mean"])
@pytest.mark.parametrize("begin", [(-2, -1), (6, 0)], ids=["partly", "wholly outside"])
def test_a_placeholder_may_reach_beyond_what_there_is(mode, begin):
    other = source(LABELS, np.ones((4, 3)), SIZE, OFFSET)
    image = source(RAW, DATA, SIZE, OFFSET, interpolatable=True)
    pipeline = (image, other) + gp.MergeProvider() + gp.Pad(RAW, None, mode)
    placeholder = gp.ArraySpec(voxels(begin, (3, 2)), placeholder=True)
    with gp.build(pipeline):
        batch = pipeline.request_batch(gp.BatchRequest({RAW: placeholder, LABELS: ROI}))
    assert [key for key, _ in batch.items()] == [LABELS]
    assert batch[LABELS].spec.roi == ROI


def test_a_placeholder_of_a_graph_may_reach_beyond_it():
    points = gp.Graph([gp.Node(1, (12, 3))], [], gp.GraphSpec(ROI))
    inputs = (volume(), gp.GPGraphSource(POINTS, points))
    pipeline = inputs + gp.MergeProvider() + gp.Pad(POINTS, 1000)
    placeholder = gp.GraphSpec(voxels((-2, -1), (3, 9)), placeholder=True)
    with gp.build(pipeline):
        batch = pipeline.request_batch(gp.BatchRequest({POINTS: placeholder, RAW: ROI}))
    assert [key for key, _ in batch.items()] == [RAW]
