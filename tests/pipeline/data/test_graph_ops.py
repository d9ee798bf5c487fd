from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from voxflow.pipeline.data import graph_ids
from voxflow.pipeline.data import graph_ops as ops
from voxflow.pipeline.geometry import Roi

UINT64_MAX = 2**64 - 1


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([1, 2], np.int64),
        (range(3), np.int64),
        (np.array([1, 2], np.uint8), np.int64),
        (np.array([7], np.uint64), np.int64),
        ([2**63 - 1, -(2**63)], np.int64),
        ([2**63, 0], np.uint64),
        ([UINT64_MAX, 2**53 + 1], np.uint64),
        ([np.uint64(UINT64_MAX), np.int32(3), True], np.uint64),
        ([], np.int64),
        (np.array([]), np.int64),
    ],
)
def test_ids_are_read_exactly(values, dtype):
    ids = graph_ids.as_ids(values)
    assert ids.dtype == dtype
    assert ids.tolist() == [int(value) for value in values]


@pytest.mark.parametrize("values", [[1.0], ["a"], [None], np.array([1.5]), np.array(["a"])])
def test_ids_that_are_no_integers(values):
    with pytest.raises(TypeError, match="ids of nodes are integers"):
        graph_ids.as_ids(values)


@pytest.mark.parametrize("values", [[-1, 2**63], [2**64], [-(2**63) - 1]])
def test_ids_beyond_64_bits(values):
    with pytest.raises(ValueError, match="do not fit into 64 bits"):
        graph_ids.as_ids(values)


def test_as_ids_copies():
    given_ids = np.array([1, 2])
    graph_ids.as_ids(given_ids)[0] = 5
    assert given_ids[0] == 1


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ([], [0, 1]),
        ([4, 2], [5, 6]),
        ([-7], [0, 1]),
        ([-1], [0, 1]),
        ([2**63 - 2], [2**63 - 1, 2**63]),
        ([2**63 - 1], [2**63, 2**63 + 1]),
        ([-1, 2**63 - 1, 1], [0, 2]),
        ([0, 2, UINT64_MAX], [1, 3]),
        ([UINT64_MAX - 2], [UINT64_MAX - 1, UINT64_MAX]),
        ([UINT64_MAX - 1], [0, 1]),
    ],
)
def test_fresh_ids(ids, expected):
    fresh = graph_ids.fresh_ids(graph_ids.as_ids(ids), 2)
    assert fresh.tolist() == expected
    assert fresh.dtype in (np.int64, np.uint64)


def test_check_unique_names_ids():
    graph_ids.check_unique(np.array([3, 1, 2]))
    with pytest.raises(ValueError, match="1 ids belong to more than one node: 3"):
        graph_ids.check_unique(np.array([3, 1, 3, 3]))
    with pytest.raises(ValueError, match=r"6 ids .*: 0, 1, 2, 3, 4, \.\.\."):
        graph_ids.check_unique(np.repeat(np.arange(6), 2))


def test_rows_of_tells_large_ids_apart():
    ids = np.array([2**64 - 1, 2**63, 2**53 + 1, 2**53], np.uint64)
    assert graph_ids.rows_of(ids, ids).tolist() == [0, 1, 2, 3]
    assert graph_ids.rows_of(ids, np.array([[2**53 + 1, 2**53 + 2]])).tolist() == [[2, -1]]
    assert graph_ids.rows_of(np.array([-1, 2**53]), np.array([2**64 - 1], np.uint64)).tolist() == [
        -1
    ]
    assert graph_ids.rows_of(np.array([], np.int64), np.array([1])).tolist() == [-1]


BOUNDS = st.one_of(
    st.integers(-(2**22), 2**22),
    st.decimals(-1000, 1000, places=2).map(Fraction),
)


@given(
    dtype=st.sampled_from([np.float32, np.float64, np.int32, np.int64]),
    begin=BOUNDS,
    shape=BOUNDS.map(abs).filter(bool),
    near=st.integers(-3, 3),
)
@example(dtype=np.float32, begin=Fraction(49, 5), shape=1, near=0)
@example(dtype=np.float32, begin=-10, shape=10, near=0)
def test_inside_agrees_with_roi_contains(dtype, begin, shape, near):
    roi = Roi((begin,), (shape,))
    points = []
    for bound in (roi.begin[0], roi.end[0], roi.center[0]):
        point = dtype(bound) if dtype in (np.float32, np.float64) else dtype(int(bound))
        for _ in range(abs(near)):
            point = (
                np.nextafter(point, dtype(np.sign(near) * np.inf))
                if dtype in (np.float32, np.float64)
                else dtype(point + np.sign(near))
            )
        points.append([point])
    locations = np.array(points, dtype)
    expected = [roi.contains(tuple(point)) for point in locations]
    assert ops.inside(locations, roi).tolist() == expected


def test_inside_is_exact_where_float32_is_not():
    places = np.array([[2**24], [2**24 + 2], [2**24 + 4]], np.float32)
    assert ops.inside(places, Roi((2**24 + 1,), (3,))).tolist() == [False, True, False]
    assert ops.inside(places, Roi((2**24,), (1,))).tolist() == [True, False, False]


def test_inside_of_unbounded_and_empty_regions():
    points = np.array([[0, 5], [-1e30, 4.9], [3, 6.0]])
    assert ops.inside(points, Roi((None, 5), (None, 1))).tolist() == [True, False, False]
    assert ops.inside(points, Roi((0, 0), (0, 9))).tolist() == [False] * 3
    empty = Roi((0,), (1,)).intersect(Roi((5,), (1,)))
    assert ops.inside(points[:, :1], empty).tolist() == [False] * 3
    whole = np.array([[2**31 - 1], [-(2**31)]], np.int32)
    assert ops.inside(whole, Roi((None,), (None,))).tolist() == [True, True]
    assert ops.inside(whole, Roi((-(2**40),), (2**41,))).tolist() == [True, True]
    assert ops.inside(np.array([[1]], np.float16), Roi((0,), (10**6,))).tolist() == [True]


def test_inside_refuses_other_dimensions():
    with pytest.raises(ValueError, match="has 1 dimensions, the locations have 2"):
        ops.inside(np.zeros((1, 2)), Roi((0,), (1,)))


@given(
    dtype=st.sampled_from([np.float32, np.float64]),
    offset=st.tuples(*[st.integers(-1000, 1000)] * 2),
    shape=st.tuples(*[st.integers(1, 1000)] * 2),
    seed=st.integers(0, 2**32 - 1),
)
def test_crossings_lie_inside_on_the_line_and_the_face(dtype, offset, shape, seed):
    roi = Roi(offset, shape)
    rng = np.random.default_rng(seed)
    inner = (rng.uniform(0.01, 0.99, (20, 2)) * shape + offset).astype(dtype)
    outer = (rng.uniform(-2, 3, (20, 2)) * shape + offset).astype(dtype)
    keep = ~ops.inside(outer, roi)
    inner, outer = inner[keep], outer[keep]
    points = ops.crossings(inner, outer, roi)
    assert points.dtype == dtype
    assert ops.inside(points, roi).all()
    size = 1000 * 4
    close = 8 * np.finfo(dtype).eps * size
    gap = np.minimum(abs(points - roi.begin), abs(points - np.array(roi.end, float))).min(axis=1)
    assert (gap <= close).all()
    way, whole = points.astype(float) - inner, outer.astype(float) - inner
    area = way[:, 0] * whole[:, 1] - way[:, 1] * whole[:, 0]
    length = np.linalg.norm(whole, axis=1)
    assert (abs(area) <= close * np.maximum(length, 1) * 2).all()
    assert ((way * whole).sum(axis=1) >= -close * length).all()


@pytest.mark.parametrize("end", [0, -10, 10])
def test_crossing_of_an_upper_face_at_or_below_zero(end):
    roi = Roi((end - 10,), (10,))
    points = ops.crossings(np.array([[end - 5.0]]), np.array([[end + 5.0]]), roi)
    assert points[0, 0] == np.nextafter(float(end), -np.inf)


def test_crossings_of_whole_numbers():
    points = ops.crossings(np.array([[2, 2]]), np.array([[12, 7]]), Roi((0, 0), (10, 10)))
    assert points.tolist() == [[9, 6]]


def test_components_are_numbered_by_their_first_nodes():
    edges = np.array([[5, 1], [0, 4], [3, 3]])
    assert ops.components(6, edges).tolist() == [0, 1, 2, 3, 0, 1]
    assert ops.components(0, np.empty((0, 2), int)).tolist() == []
    assert ops.components(2, np.empty((0, 2), int)).tolist() == [0, 1]


def test_as_locations():
    assert ops.as_locations([(1, 2)], np.dtype("f4")).dtype == np.float32
    assert ops.as_locations([(Fraction(1, 2), 2)], None).tolist() == [[0.5, 2]]
    assert ops.as_locations([(1.0, 2.0)], np.dtype(int)).tolist() == [[1, 2]]
    with pytest.raises(ValueError, match=r"\(1\.5, 2\.0\) cannot be held as int64"):
        ops.as_locations([(1.5, 2)], np.dtype(int))
    with pytest.raises(ValueError, match=r"shape \(2,\), expected \(N, dims\)"):
        ops.as_locations([1, 2], None)
    with pytest.raises(ValueError, match=r"shape \(1, 2\), expected \(3, 2\)"):
        ops.as_locations([(1, 2)], None, 2, 3)
    with pytest.raises(ValueError, match=r"1 locations are not finite.* row 1: \(nan, 2\.0\)"):
        ops.as_locations([(1, 2), (np.nan, 2)], None)
    with pytest.raises(TypeError, match="locations are numbers"):
        ops.as_locations([("a", "b")], None)


def test_as_pairs():
    assert ops.as_pairs([(1, 2**64 - 1)]).tolist() == [[1, 2**64 - 1]]
    assert ops.as_pairs([]).shape == ops.as_pairs(np.array([])).shape == (0, 2)
    with pytest.raises(ValueError, match="pair of ids, got one of 3"):
        ops.as_pairs([(1, 2), (1, 2, 3)])
    with pytest.raises(ValueError, match=r"shape \(2,\), expected \(E, 2\)"):
        ops.as_pairs(np.array([1, 2]))


def test_has_duplicates():
    edges = np.array([[0, 1], [1, 0]])
    assert not ops.has_duplicates(edges, 2, directed=True)
    assert ops.has_duplicates(edges, 2, directed=False)
    assert not ops.has_duplicates(edges[:0], 2, directed=False)


def test_as_offset():
    assert ops.as_offset(3, 2).tolist() == [3, 3]
    assert ops.as_offset((Fraction(1, 2), 2), 2).tolist() == [0.5, 2]
    with pytest.raises(ValueError, match="of 2 dimensions cannot be shifted"):
        ops.as_offset((1, 2, 3), 2)
    with pytest.raises(ValueError, match="cannot be shifted"):
        ops.as_offset((1, None), 2)
