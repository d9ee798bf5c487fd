import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import voxflow as gp
from tests.helpers import GraphSource, asking, served, source, specs
from voxflow.ops.rasterize import draw_balls, lines

POINTS, DRAWN, MASK = gp.GraphKey("points"), gp.ArrayKey("DRAWN"), gp.ArrayKey("MASK")
Settings = gp.RasterizationSettings


class Skeleton(gp.BatchProvider):
    """A graph with attributes, as it is: edges that leave a region keep their outer ends."""

    def __init__(self, nodes, edges=(), roi=((0, 0), (20, 20)), dtype=np.float32):
        spec = gp.GraphSpec(None if roi is None else gp.Roi(*roi), dtype=dtype)
        self.graph = gp.Graph(nodes, edges, spec)

    def setup(self):
        self.provides(POINTS, self.graph.spec)

    def provide(self, request):
        batch = gp.Batch()
        if POINTS in request:
            batch[POINTS] = self.graph.crop(request[POINTS].roi)
        return batch


def drawn(upstream, settings=None, voxel_size=(1, 1), roi=((0, 0), (12, 12)), dtype=None):
    array_spec = gp.ArraySpec(voxel_size=voxel_size, dtype=dtype)
    pipeline = upstream + gp.RasterizeGraph(POINTS, DRAWN, array_spec, settings)
    return served(pipeline, asking(DRAWN=roi))[DRAWN].data


def nodes(*places, **attrs):
    return [
        gp.Node(i, place, attrs={name: v[i] for name, v in attrs.items() if v[i] is not None})
        for i, place in enumerate(places)
    ]


# -- settings --------------------------------------------------------------------------------------


def test_settings_are_kept_as_gunpowder_keeps_them():
    settings = Settings(2, inner_radius_fraction=0.3)
    assert settings.radius.tolist() == [2]
    assert settings.radius.dtype == np.float64
    assert settings.inner_radius_fraction == 0.7
    assert (settings.mode, settings.mask, settings.fg_value, settings.bg_value) == (
        "ball",
        None,
        1,
        0,
    )
    assert settings.edges is True
    assert settings.color_attr is None
    with pytest.raises(AttributeError):
        settings.colour_attr = "a slip"


@pytest.mark.parametrize("radius", [0, -1, (1, 0), np.inf, np.nan])
def test_no_radius(radius):
    with pytest.raises(ValueError, match="above zero"):
        Settings(radius)


def test_mistakes_in_settings():
    for fraction in (0, 1, 1.5):
        with pytest.raises(ValueError, match="between 0 and 1"):
            Settings(1, inner_radius_fraction=fraction)
    for extra in ({"inner_radius_fraction": 0.5}, {"color_attr": "id"}):
        with pytest.raises(ValueError, match="neither hollow nor coloured"):
            Settings(1, "peak", **extra)


# -- what is promised ------------------------------------------------------------------------------


def test_defaults():
    skeleton = Skeleton(nodes((3, 3)))
    with specs(skeleton + gp.RasterizeGraph(POINTS, DRAWN)) as spec:
        assert spec[DRAWN].roi == gp.Roi((0, 0), (20, 20))
        assert spec[DRAWN].voxel_size == (1, 1)
        assert spec[DRAWN].dtype == np.uint8
        assert spec[DRAWN].interpolatable is False
    peaks = gp.RasterizeGraph(POINTS, DRAWN, settings=Settings(2, "peak"))
    with specs(skeleton + peaks) as spec:
        assert spec[DRAWN].dtype == np.float32
        assert spec[DRAWN].interpolatable is True
    with specs(
        skeleton + gp.RasterizeGraph(POINTS, DRAWN, gp.ArraySpec(voxel_size=(3, 3)))
    ) as spec:
        assert spec[DRAWN].roi == gp.Roi((0, 0), (18, 18))  # what lies in the graph's


def test_the_given_spec_is_not_changed():
    given_spec = gp.ArraySpec(voxel_size=(2, 2))
    drawn_spec = given_spec.copy()
    with specs(Skeleton([]) + gp.RasterizeGraph(POINTS, DRAWN, given_spec)):
        assert given_spec == drawn_spec


@pytest.mark.parametrize(
    ("spec", "settings", "error", "text"),
    [
        (None, Settings(1, "square"), RuntimeError, "unknown raster mode 'square'"),
        (gp.ArraySpec(voxel_size=(1, 1, 1)), None, ValueError, "number of dimensions"),
        (None, Settings((1, 1, 1)), ValueError, "number of dimensions"),
        (None, Settings(1, fg_value=256), ValueError, "256 does not fit into uint8"),
        (None, Settings(1, bg_value=0.5), ValueError, "0.5 does not fit into uint8"),
        (gp.ArraySpec(dtype="uint8"), Settings(1, "peak"), TypeError, "floating point"),
    ],
)
def test_mistakes_are_found_at_setup(spec, settings, error, text):
    pipeline = Skeleton([]) + gp.RasterizeGraph(POINTS, DRAWN, spec, settings)
    with pytest.raises(error, match=text), gp.build(pipeline):
        pass


def test_an_unbounded_graph_needs_a_voxel_size():
    skeleton = Skeleton(nodes((3, 3)), roi=None)
    with (
        pytest.raises(ValueError, match="voxel_size"),
        gp.build(skeleton + gp.RasterizeGraph(POINTS, DRAWN)),
    ):
        pass
    assert drawn(skeleton, Settings(0.5))[3, 3] == 1


# -- balls -----------------------------------------------------------------------------------------


def test_golden():
    data = drawn(Skeleton(nodes((2, 2), (2, 7)), [(0, 1)]), Settings(1), roi=((0, 0), (5, 10)))
    assert data.tolist() == [
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 1, 1, 1, 1, 1, 1, 0, 0],
        [0, 1, 1, 1, 1, 1, 1, 1, 1, 0],
        [0, 0, 1, 1, 1, 1, 1, 1, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ]
    alone = drawn(
        Skeleton(nodes((2, 2), (2, 7)), [(0, 1)]),
        Settings(1, edges=False, fg_value=7, bg_value=3),
        roi=((1, 0), (3, 10)),
    )
    assert alone.tolist() == [
        [3, 3, 7, 3, 3, 3, 3, 7, 3, 3],
        [3, 7, 7, 7, 3, 3, 7, 7, 7, 3],
        [3, 3, 7, 3, 3, 3, 3, 7, 3, 3],
    ]


def test_hollow():
    data = drawn(
        Skeleton(nodes((3, 3))), Settings(3, inner_radius_fraction=0.5), roi=((0, 0), (7, 7))
    )
    assert data.tolist() == [
        [0, 0, 0, 1, 0, 0, 0],
        [0, 1, 1, 1, 1, 1, 0],
        [0, 1, 0, 0, 0, 1, 0],
        [1, 1, 0, 0, 0, 1, 1],
        [0, 1, 0, 0, 0, 1, 0],
        [0, 1, 1, 1, 1, 1, 0],
        [0, 0, 0, 1, 0, 0, 0],
    ]


def test_a_location_below_zero_is_in_the_voxel_below():
    skeleton = Skeleton(nodes((-0.5, 3), (-3.2, 5)), roi=((-10, -10), (30, 30)))
    data = drawn(skeleton, Settings(0.5), roi=((-5, 0), (10, 10)))
    assert np.argwhere(data).tolist() == [[1, 5], [4, 3]]


def test_fractional_voxels():
    skeleton = Skeleton(nodes((29.4, 19.5), (9.79, 0)), roi=((0, 0), (98, 98)))
    data = drawn(skeleton, Settings(4), (9.8, 9.8), ((0, 0), (49, 49)))
    assert np.argwhere(data).tolist() == [[0, 0], [3, 1]]
    wide = drawn(skeleton, Settings(9.8), (9.8, 9.8), ((0, 0), (49, 49)))
    assert wide[3].tolist() == [1, 1, 1, 0, 0]


def test_a_temporary_node_is_only_the_end_of_a_line():
    end = gp.Node(1, (3, 9), temporary=True)
    data = drawn(Skeleton([*nodes((3, 3)), end], [(0, 1)]), Settings(0.5))
    assert np.argwhere(data).tolist() == [[3, x] for x in range(3, 10)]
    alone = drawn(Skeleton([*nodes((3, 3)), end], [(0, 1)]), Settings(0.5, edges=False))
    assert np.argwhere(alone).tolist() == [[3, 3]]


def test_an_edge_that_leaves_is_drawn_as_far_as_it_is_inside():
    skeleton = Skeleton(nodes((3, 3), (17, 3)), [(0, 1)])
    data = drawn(skeleton, Settings(0.5), roi=((0, 0), (12, 12)))
    assert np.argwhere(data).tolist() == [[y, 3] for y in range(3, 12)]
    # and from the other side, whose node lies outside
    assert (
        drawn(skeleton, Settings(0.5), roi=((10, 0), (10, 10)))[:, 3].tolist() == [1] * 8 + [0] * 2
    )


@st.composite
def skeletons(draw):
    dims = draw(st.integers(2, 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    voxel_size = tuple(draw(st.sampled_from([1, 2, 3.5, 9.8])) for _ in range(dims))
    shape = (9, 7, 8)[:dims]
    offset = tuple(draw(st.integers(-3, 3)) for _ in range(dims))
    size = np.array(voxel_size)
    low = np.array(offset) * size
    count = draw(st.integers(1, 6))
    places = low + rng.uniform(0, 0.999, (count, dims)) * np.array(shape) * size
    edges = {tuple(sorted(pair)) for pair in rng.integers(0, count, (count // 2, 2)).tolist()}
    roi = gp.Roi(offset, shape) * gp.Coordinate(voxel_size)
    radius = draw(st.sampled_from([0.4, 1, 2.2])) * float(size.min())
    inner = draw(st.sampled_from([None, 0.3]))
    begin = [int(rng.integers(0, n)) for n in shape]
    part = gp.Roi(
        begin, [int(rng.integers(1, n - b + 1)) for n, b in zip(shape, begin, strict=True)]
    )
    sub = part * gp.Coordinate(voxel_size) + roi.offset
    return places, sorted(edges), voxel_size, roi, radius, inner, part, sub


@settings(max_examples=60)
@given(skeletons())
def test_against_voxels_and_lines_drawn_by_hand_and_a_part_is_the_part_of_the_whole(case):
    places, edges, voxel_size, roi, radius, inner, part, sub = case
    how = Settings(radius, inner_radius_fraction=inner)
    skeleton = Skeleton(nodes(*places), edges, (roi.offset, roi.shape), np.float64)
    whole = drawn(skeleton, how, voxel_size, (roi.offset, roi.shape))
    size = np.array([float(v) for v in voxel_size])
    origin = np.floor(np.array([float(o) for o in roi.offset]) / size + 0.5).astype(int)
    voxels = np.floor(places / size).astype(int) - origin
    pairs = np.array(edges, int).reshape(-1, 2)
    on_lines, _ = lines(voxels[pairs[:, 0]], voxels[pairs[:, 1]], 0 * origin, whole.shape)
    expected = np.zeros(whole.shape, np.uint8)
    middles = np.concatenate([voxels, on_lines])
    thickness = None if inner is None else 1 - (1 - inner)
    draw_balls(expected, middles, np.ones(len(middles), np.uint8), radius / size, thickness)
    np.testing.assert_array_equal(whole, expected)
    # Edges are kept whole by a source that knows both ends; the part must not see the difference
    # unless an edge passes with both ends far away, which no request can know of.
    near = [edge for edge in edges if (np.abs(voxels[edge[0]] - voxels[edge[1]]) <= 1).all()]
    skeleton = Skeleton(nodes(*places), near, (roi.offset, roi.shape), np.float64)
    whole = drawn(skeleton, how, voxel_size, (roi.offset, roi.shape))
    piece = drawn(skeleton, how, voxel_size, (sub.offset, sub.shape))
    np.testing.assert_array_equal(piece, whole[part.to_slices()])


# -- colours ---------------------------------------------------------------------------------------


def test_colors():
    skeleton = Skeleton(
        nodes((3, 3), (3, 5), (9, 9), c=[3, 2, None]),
        [gp.Edge(0, 1, {"c": 4}), gp.Edge(1, 2)],
    )
    data = drawn(skeleton, Settings(0.5, color_attr="c"))
    assert {tuple(p): data[tuple(p)] for p in np.argwhere(data)} == {
        (3, 3): 4,
        (3, 4): 4,
        (3, 5): 4,
    }
    without = drawn(skeleton, Settings(0.5, color_attr="c", edges=False))
    assert {tuple(p): without[tuple(p)] for p in np.argwhere(without)} == {(3, 3): 3, (3, 5): 2}


def test_a_node_is_part_of_the_edge_that_it_is_on():
    skeleton = Skeleton(nodes((3, 3), (3, 5), (3, 8), c=[9, 9, 9]), [gp.Edge(0, 1, {"c": 4})])
    row = drawn(skeleton, Settings(0.5, color_attr="c"))[3]
    assert row.tolist() == [0, 0, 0, 4, 4, 4, 0, 0, 9, 0, 0, 0]


def test_where_colors_meet_the_larger_one_stays_whatever_the_order():
    places = (3, 3), (3, 5)
    first = drawn(Skeleton(nodes(*places, c=[2, 9])), Settings(2, color_attr="c"))
    second = drawn(Skeleton(nodes(*places[::-1], c=[9, 2])), Settings(2, color_attr="c"))
    np.testing.assert_array_equal(first, second)
    assert first[3].tolist() == [0, 2, 2, 9, 9, 9, 9, 9, 0, 0, 0, 0]


def test_one_and_zero_stand_for_foreground_and_background():
    skeleton = Skeleton(nodes((1, 1), (1, 5), (1, 9), c=[1, 0, 6]))
    how = Settings(0.5, color_attr="c", fg_value=4, bg_value=7)
    assert drawn(skeleton, how)[1].tolist() == [7, 4, 7, 7, 7, 7, 7, 7, 7, 6, 7, 7]


def test_ids_as_colors_to_the_last_bit():
    ids = [2**63 + 5, 2**53 + 1, 2**64 - 1]
    skeleton = Skeleton(nodes((1, 1), (1, 5), (1, 9), c=ids))
    data = drawn(skeleton, Settings(0.5, color_attr="c"), dtype=np.uint64)
    assert data[1, [1, 5, 9]].tolist() == ids
    partly = Skeleton(nodes((1, 1), (1, 5), (1, 9), c=[2**63 + 5, None, 2**64 - 1]))
    data = drawn(partly, Settings(0.5, color_attr="c"), dtype=np.uint64)
    assert data[1, [1, 5, 9]].tolist() == [2**63 + 5, 0, 2**64 - 1]


@pytest.mark.parametrize("color", [300, -1, 1.5, "red"])
def test_a_color_that_the_array_cannot_hold(color):
    with pytest.raises(ValueError, match=r"'c' of points has values that uint8 cannot hold"):
        drawn(Skeleton(nodes((1, 1), c=[color])), Settings(1, color_attr="c"))


def test_an_attribute_that_nobody_has():
    assert not drawn(Skeleton(nodes((1, 1))), Settings(1, color_attr="c")).any()


# -- masks -----------------------------------------------------------------------------------------


def masked(skeleton, settings, labels, voxel_size=(1, 1), offset=None, **rest):
    pair = (skeleton, source(MASK, labels, voxel_size, offset))
    return drawn(pair + gp.MergeProvider(), settings, voxel_size, **rest)


LABELS = np.zeros((20, 20), np.uint64)
LABELS[:, :4] = 2**63
LABELS[:, 4:7] = 2**63 + 1


def test_a_ball_stays_in_the_label_of_its_node():
    data = masked(Skeleton(nodes((3, 3), (8, 5), (3, 9))), Settings(2, mask=MASK), LABELS)
    assert data[3].tolist() == [0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0]  # not on label 0, at column 9
    assert data[8].tolist() == [0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0]


def test_a_line_stays_in_the_labels_of_its_ends():
    labels = np.repeat(np.array([1, 2, 3, 0, 1], np.uint8), 4)[None].repeat(20, axis=0)
    row = masked(
        Skeleton(nodes((3, 1), (3, 18)), [(0, 1)]),
        Settings(0.5, mask=MASK),
        labels,
        roi=((0, 0), (20, 20)),
    )[3]
    np.testing.assert_array_equal(row, [0, *[1] * 3, *[0] * 12, *[1] * 3, 0])


def test_a_line_from_label_to_label():
    labels = np.repeat(np.array([1, 3, 2], np.uint8), 4)[None].repeat(12, axis=0)
    skeleton = Skeleton(nodes((3, 1), (3, 10), (9, 6)), [(0, 1)])
    data = masked(skeleton, Settings(0.5, mask=MASK), labels)
    assert data[3].tolist() == [0, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 0]
    assert data[9].tolist() == [0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0]


def test_hollow_balls_and_peaks_in_a_mask():
    ring = masked(
        Skeleton(nodes((3, 3))), Settings(3, mask=MASK, inner_radius_fraction=0.5), LABELS
    )
    assert ring[3].tolist() == [1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    peaks = masked(Skeleton(nodes((3, 3), (3, 4))), Settings(1, "peak", mask=MASK), LABELS)
    free = drawn(Skeleton(nodes((3, 3))), Settings(1, "peak"))
    np.testing.assert_allclose(peaks[:, :4], free[:, :4], atol=1e-6)
    np.testing.assert_allclose(peaks[3, 3:5], 1)


def test_a_mask_that_ends():
    # the node's own voxel is not in the mask: nothing says where it may be drawn
    small = np.ones((4, 20), np.uint8)
    data = masked(
        Skeleton(nodes((2, 2), (6, 2))), Settings(3, mask=MASK), small, roi=((0, 0), (4, 5))
    )
    assert data[:, 2].tolist() == [1, 1, 1, 1]
    assert data[3].tolist() == [1, 1, 1, 1, 1]


def test_masks_that_do_not_fit():
    coarse = source(MASK, LABELS, (2, 2))
    pipeline = (Skeleton([]), coarse) + gp.MergeProvider()
    how = Settings(1, mask=MASK)
    node = gp.RasterizeGraph(POINTS, DRAWN, gp.ArraySpec(voxel_size=(1, 1)), how)
    with pytest.raises(ValueError, match="needs a mask for each voxel"), gp.build(pipeline + node):
        pass
    floating = source(MASK, LABELS.astype(np.float32), (1, 1))
    pipeline = (Skeleton([]), floating) + gp.MergeProvider()
    with pytest.raises(TypeError, match="AsType"), gp.build(pipeline + node):
        pass
    channels = (Skeleton(nodes((3, 3))), source(MASK, LABELS[None], (1, 1))) + gp.MergeProvider()
    with pytest.raises(gp.PipelineRequestError, match="Squeeze"):
        drawn(channels, how)


# -- peaks -----------------------------------------------------------------------------------------


def test_peaks():
    data = drawn(Skeleton(nodes((6, 6))), Settings((2, 1), "peak"))
    away = np.arange(12) - 6
    expected = np.exp(-(away[:, None] ** 2) / 8) * np.exp(-(away[None] ** 2) / 2)
    expected[:, (abs(away) > 4)] = 0
    np.testing.assert_allclose(data, expected, atol=1e-6)
    assert data.dtype == np.float32


def test_peaks_between_two_values():
    plain = drawn(Skeleton(nodes((6, 6))), Settings(1, "peak"))
    scaled = drawn(Skeleton(nodes((6, 6))), Settings(1, "peak", fg_value=3, bg_value=-1))
    np.testing.assert_allclose(scaled, 4 * plain - 1, atol=1e-6)


def test_peaks_come_in_from_outside():
    # beyond two standard deviations, where gunpowder no longer looks
    skeleton = Skeleton(nodes((6, 6), (6, 15)))
    whole = drawn(skeleton, Settings(2, "peak"), roi=((0, 0), (12, 20)))
    np.testing.assert_allclose(drawn(skeleton, Settings(2, "peak")), whole[:, :12], atol=1e-6)


# -- requests --------------------------------------------------------------------------------------


def test_the_graph_can_be_asked_for_too():
    pipeline = Skeleton(nodes((3, 3), (15, 15))) + gp.RasterizeGraph(
        POINTS, DRAWN, settings=Settings(3)
    )
    batch = served(pipeline, asking(DRAWN=((0, 0), (14, 14)), points=((0, 0), (5, 5))))
    assert batch[POINTS].ids.tolist() == [0]
    assert batch[DRAWN].data[13, 13] == 1


def test_where_there_is_no_graph_there_is_background():
    skeleton = Skeleton(nodes((3, 3)), roi=((0, 0), (5, 5)))
    spec = gp.ArraySpec(gp.Roi((0, 0), (40, 40)))
    pipeline = skeleton + gp.RasterizeGraph(POINTS, DRAWN, spec, Settings(1, bg_value=2))
    assert (served(pipeline, asking(DRAWN=((20, 20), (5, 5))))[DRAWN].data == 2).all()
    everywhere = served(pipeline, asking(DRAWN=((0, 0), (40, 40))))[DRAWN].data
    assert (everywhere == 1).sum() == 5


def test_a_plain_source_of_points():
    points = GraphSource(POINTS, {2**64 - 1: (2, 2), 7: (9, 9)}, gp.Roi((0, 0), (12, 12)))
    assert np.argwhere(drawn(points, Settings(0.5))).tolist() == [[2, 2], [9, 9]]
