import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from voxflow.ops.rasterize import Ball, draw_balls, draw_peaks, lines, peak_reach, voxels_of
from voxflow.pipeline.geometry import Coordinate

# -- where a node lies -----------------------------------------------------------------------------

sizes = st.sampled_from([1, 2, 7, Fraction(49, 5), Fraction(1, 3), Fraction(5, 2), 40])


@given(sizes, st.integers(-2000, 2000), st.floats(0.01, 0.99), st.sampled_from(["f4", "f8"]))
def test_a_location_inside_of_a_voxel(size, number, part, dtype):
    place = np.array([[(number + part) * float(size)]], dtype)
    assert voxels_of(place, Coordinate(size)).tolist() == [[number]]


@given(sizes, st.integers(-2000, 2000), st.sampled_from(["f4", "f8"]))
@example(Fraction(49, 5), 3, "f4")
def test_a_location_on_a_face_is_in_the_upper_voxel(size, number, dtype):
    face = np.array([[float(number * Fraction(size))]], dtype)
    assert voxels_of(face, Coordinate(size)).tolist() == [[number]]
    below = np.nextafter(face, np.array(-np.inf, dtype), dtype=dtype)
    assert voxels_of(below, Coordinate(size)).tolist() == [[number - 1]]


def test_whole_locations_and_several_axes():
    places = np.array([[-1, 0, 5], [4, -4, 9]])
    found = voxels_of(places, Coordinate(2, 4, 5))
    assert found.dtype == np.int64
    assert found.tolist() == [[-1, 0, 1], [2, -1, 1]]
    assert voxels_of(np.empty((0, 2), np.float32), Coordinate(1, 1)).shape == (0, 2)


# -- lines -----------------------------------------------------------------------------------------


def line_by_hand(begin, end):
    """Exact fractions, one step after the other."""
    delta = [e - b for b, e in zip(begin, end, strict=True)]
    steps = max(map(abs, delta))
    return [
        tuple(
            (b + Fraction(t * d, max(steps, 1)) + Fraction(1, 2)).__floor__()
            for b, d in zip(begin, delta, strict=True)
        )
        for t in range(steps + 1)
    ]


@st.composite
def segments(draw):
    dims = draw(st.integers(1, 4))
    points = st.tuples(*[st.integers(-15, 15)] * dims)
    ends = draw(st.lists(st.tuples(points, points), max_size=5))
    low = draw(st.tuples(*[st.integers(-15, 5)] * dims))
    high = tuple(a + draw(st.integers(0, 30)) for a in low)
    return dims, ends, low, high


@given(segments())
def test_lines_in_a_box(case):
    dims, ends, low, high = case
    begin, end = np.array(ends, np.int64).reshape(-1, 2, dims).swapaxes(0, 1)
    voxels, which = lines(begin, end, low, high)
    expected = [
        (number, voxel)
        for number, (b, e) in enumerate(ends)
        for voxel in line_by_hand(b, e)
        if all(a <= v < z for a, v, z in zip(low, voxel, high, strict=True))
    ]
    assert list(zip(which.tolist(), map(tuple, voxels.tolist()), strict=True)) == expected


@given(segments())
def test_a_line_is_the_same_from_either_end(case):
    dims, ends, low, high = case
    begin, end = np.array(ends, np.int64).reshape(-1, 2, dims).swapaxes(0, 1)
    there, back = lines(begin, end, low, high)[0], lines(end, begin, low, high)[0]
    assert sorted(there.tolist()) == sorted(back.tolist())


def test_between_two_voxels_a_line_takes_the_upper_one():
    for shift in (0, 1, -7):
        begin, end = np.array([[0, 0]]) + shift, np.array([[4, 2]]) + shift
        expected = [[0, 0], [1, 1], [2, 1], [3, 2], [4, 2]]
        for ends in ((begin, end), (end, begin)):
            voxels = lines(*ends, (-20, -20), (20, 20))[0] - shift
            assert sorted(voxels.tolist()) == expected


def test_only_what_is_in_the_box_of_a_long_line_is_made():
    far = 10**9
    voxels, _ = lines(np.array([[-far, -far]]), np.array([[far, far]]), (0, 0), (3, 3))
    assert voxels.tolist() == [[0, 0], [1, 1], [2, 2]]


# -- balls -----------------------------------------------------------------------------------------


def distances(shape, voxel, radius):
    """Squared, in units of the radius, exactly."""
    found = np.empty(shape, object)
    for place in np.ndindex(*shape):
        found[place] = sum(
            (Fraction(int(p) - int(v)) / Fraction(r)) ** 2
            for p, v, r in zip(place, voxel, radius, strict=True)
        )
    return found


@st.composite
def scenes(draw, max_dims=3):
    dims = draw(st.integers(1, max_dims))
    shape = tuple(draw(st.integers(1, 7)) for _ in range(dims))
    voxels = draw(st.lists(st.tuples(*[st.integers(0, n - 1) for n in shape]), max_size=4))
    radius = tuple(draw(st.sampled_from([0.5, 1, 1.5, 2, 2.5, 5])) for _ in range(dims))
    colors = [draw(st.integers(1, 3)) for _ in voxels]
    labels = draw(st.none() | st.integers(0, 2**32))
    if labels is not None:
        rng = np.random.default_rng(labels)
        labels = rng.integers(0, 3, shape).astype(np.uint64) + np.uint64(2**63)
    return shape, np.array(voxels, np.int64).reshape(-1, dims), radius, colors, labels


def balls_by_hand(shape, voxels, radius, colors, labels, inner, dtype):
    out = np.zeros(shape, dtype)
    for color in sorted(set(colors)):
        outside, inside = np.zeros(shape, bool), np.zeros(shape, bool)
        for voxel, own in zip(voxels, colors, strict=True):
            if own != color:
                continue
            squared = distances(shape, voxel, radius)
            held = np.ones(shape, bool) if labels is None else labels == labels[tuple(voxel)]
            outside |= (squared <= 1) & held
            if inner is not None:
                inside |= (squared <= Fraction(inner) ** 2) & held
        out[outside & ~inside] = color
    return out


@given(
    scenes(),
    st.sampled_from([None, 0.25, 0.5, 0.75]),
    st.sampled_from(["u1", "u8", "i4", "f4"]),
)
def test_balls(scene, inner, dtype):
    shape, voxels, radius, colors, labels = scene
    out = np.zeros(shape, dtype)
    draw_balls(out, voxels, np.array(colors, dtype), radius, inner, labels)
    expected = balls_by_hand(shape, voxels, radius, colors, labels, inner, dtype)
    np.testing.assert_array_equal(out, expected)


@given(st.lists(st.sampled_from([0.1, 0.3, 0.9, 1, 2, 7 / 3, 10]), min_size=1, max_size=3))
def test_a_ball_holds_all_that_is_no_further(radius):
    ball = Ball.of(radius)
    exact = [Fraction(r).limit_denominator(10**6) for r in radius]
    span = [range(-int(r) - 1, int(r) + 2) for r in radius]
    inside = {
        place
        for place in itertools.product(*span)
        if sum((p / r) ** 2 for p, r in zip(place, exact, strict=True)) <= 1
    }
    drawn = {
        (*row, x)
        for row, half in zip(ball.rows.tolist(), ball.halves.tolist(), strict=True)
        for x in range(-half, half + 1)
    }
    assert drawn == inside
    assert ball.reach == tuple(max(abs(place[a]) for place in inside) for a in range(len(radius)))


def test_what_lies_on_the_sphere_belongs_to_it():
    # 3-4-5 and 8-15-17, in units that floating point cannot hold
    for legs, hypotenuse in (((3, 4), 5), ((8, 15), 17)):
        for unit in (0.1, 0.7, 1 / 3):
            out = np.zeros((41, 41), np.uint8)
            radius = hypotenuse * unit / unit
            draw_balls(out, np.array([[20, 20]]), np.ones(1, np.uint8), [radius, radius])
            assert out[20 + legs[0], 20 + legs[1]] == out[20 - legs[1], 20 - legs[0]] == 1


def test_background_stays_and_nothing_is_drawn_for_nothing():
    out = np.full((3, 3), 9, np.uint8)
    draw_balls(out, np.empty((0, 2), np.int64), np.empty(0, np.uint8), 2)
    draw_balls(out, np.empty((0, 2), np.int64), np.empty(0, np.uint8), 2, 0.5)
    assert (out == 9).all()
    draw_balls(out, np.array([[1, 1]]), np.ones(1, np.uint8), (5, 5), 0.5)
    assert out.tolist() == [[9, 9, 9]] * 3


# -- peaks -----------------------------------------------------------------------------------------


def peaks_by_hand(shape, voxels, sigma):
    """The sum of Gaussians that end at four standard deviations."""
    out = np.zeros(shape)
    for voxel in {tuple(v) for v in voxels.tolist()}:
        product = np.ones(shape)
        for axis, (middle, s) in enumerate(zip(voxel, sigma, strict=True)):
            away = np.arange(shape[axis]) - middle
            line = np.exp(-(away**2) / (2 * s**2)) * (abs(away) <= int(4 * s + 0.5))
            product *= line.reshape([-1 if a == axis else 1 for a in range(len(shape))])
        out += product
    return out / out.max() if len(voxels) else out


@given(scenes())
def test_peaks(scene):
    shape, voxels, sigma, _, labels = scene
    out = np.zeros(shape, np.float32)
    draw_peaks(out, voxels, sigma, labels)
    if labels is None:
        expected = peaks_by_hand(shape, voxels, sigma)
    else:
        expected = np.zeros(shape)
        own = labels[tuple(voxels.T)]
        for label in np.unique(own):
            part = peaks_by_hand(shape, voxels[own == label], sigma)
            expected[labels == label] = part[labels == label]
    np.testing.assert_allclose(out, expected, atol=2e-6)


def test_a_voxel_that_is_there_twice_counts_once():
    once, twice = np.zeros((2, 12), np.float32)
    draw_peaks(once, np.array([[2], [6]]), 1.5)
    draw_peaks(twice, np.array([[2], [6], [2]]), 1.5)
    np.testing.assert_array_equal(once, twice)


def test_peaks_reach_as_far_as_they_say():
    out = np.zeros(41, np.float32)
    draw_peaks(out, np.array([[20]]), 2.4)
    assert np.flatnonzero(out).tolist() == list(range(20 - 10, 20 + 11))
    assert peak_reach([2.4]) == (10,)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint64])
def test_colors_to_the_last_bit(dtype):
    largest = np.iinfo(dtype).max
    out = np.zeros((2, 5), dtype)
    draw_balls(out, np.array([[0, 1]]), np.array([largest], dtype), (1, 1))
    assert out.tolist() == [[largest] * 3 + [0, 0], [0, largest, 0, 0, 0]]
