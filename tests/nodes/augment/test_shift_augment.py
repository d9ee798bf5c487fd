import random

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

import voxflow as gp
from tests.helpers import asking, ramp, served, source
from tests.nodes.augment.registered import IDS, POINTS, RAMP, center_of, volume, voxel_of
from voxflow.nodes.augment import shift_augment

RAW = gp.ArrayKey("RAW")
WORLD = gp.Roi((60, -180, -180), (200, 384, 384))
INNER = gp.Roi((80, 0, 0), (160, 24, 24))
COARSE, FINE = gp.Coordinate(20, 4, 4), gp.Coordinate(10, 6, 4)


def shifted(seed=1, sizes=(COARSE, FINE), roi=INNER, **kwargs):
    node = gp.ShiftAugment(**{"prob_slip": 0.2, "prob_shift": 0.3, "sigma": 12, **kwargs})
    return served(volume(WORLD, *sizes) + node, asking(RAMP=roi, IDS=roi, points=roi), seed)


@hypothesis.settings(max_examples=15)
@hypothesis.given(seed=st.integers(0, 2**32))
def test_sections_are_moved_as_a_whole_with_channels_and_mixed_voxel_sizes(seed):
    batch = shifted(seed)
    assert batch[RAMP].data.shape == (3, 8, 6, 6)
    moved = batch[RAMP].data - ramp(INNER, COARSE)
    assert not moved[0].any()
    for axis, step in ((1, 12), (2, 4)):  # the least common multiples of the voxel sizes
        by_section = moved[axis].reshape(8, -1)
        assert (np.ptp(by_section, axis=1) == 0).all()
        np.testing.assert_array_equal(by_section[:, 0] % step, 0)
        fine = center_of(batch[IDS].data, WORLD, FINE) - ramp(INNER, FINE)
        np.testing.assert_allclose(
            fine[axis].reshape(16, -1), by_section[:, :1].repeat(2, 0).repeat(24, 1), atol=1e-6
        )
    for number, place in zip(batch[POINTS].ids.tolist(), batch[POINTS].locations, strict=True):
        assert batch[IDS].data[voxel_of(place, batch[IDS])] == number


def test_slips_are_alone_and_shifts_stay():
    def steps(seed, **kwargs):
        batch = shifted(seed, sizes=(COARSE, COARSE), **kwargs)
        return (batch[RAMP].data - ramp(INNER, COARSE))[1:, :, 0, 0]

    slips = np.array([steps(seed, prob_slip=0.3, prob_shift=0) for seed in range(40)])
    still = ~slips.any(axis=1)
    assert 0.6 < still.mean() < 0.8
    shifts = np.array([steps(seed, prob_slip=0, prob_shift=0.3) for seed in range(40)])
    jumps = np.diff(shifts, axis=2, prepend=0)
    assert 0.2 < jumps.any(axis=1).mean() < 0.4
    # once misaligned, hardly any section is back at 0
    assert shifts[:, :, -1].any(axis=1).mean() > 0.8
    np.testing.assert_allclose(slips[slips != 0].std(), 12, rtol=0.25)
    both = np.array([steps(seed, prob_slip=0.5, prob_shift=0.5) for seed in range(10)])
    assert np.abs(both).max() > 12


def test_sigma_for_each_axis_and_other_axes():
    batch = shifted(3, sizes=(COARSE, COARSE), prob_slip=1, prob_shift=0, sigma=(0, 0, 40))
    moved = batch[RAMP].data - ramp(INNER, COARSE)
    assert not moved[:2].any()
    assert moved[2].any()
    world = gp.Roi((-600, 0), (1200, 60))
    node = gp.ShiftAugment(1, 0, 5, shift_axis=1)
    pipeline = source(RAW, ramp(world, (2, 3)), (2, 3), world.offset, True) + node
    flat = served(pipeline, asking(RAW=gp.Roi((0, 6), (10, 30))))[RAW].data
    gone = flat - ramp(gp.Roi((0, 6), (10, 30)), (2, 3))
    assert not gone[1].any()
    assert (np.ptp(gone[0], axis=0) == 0).all()
    assert np.ptp(gone[0][0]) > 0


def test_p_and_nothing_drawn():
    plain = ramp(INNER, COARSE)
    np.testing.assert_array_equal(shifted(p=0)[RAMP].data, plain)
    np.testing.assert_array_equal(shifted(prob_slip=0, prob_shift=0)[RAMP].data, plain)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"sigma": 0}, "above 0 along an axis"),
        ({"sigma": (0, 0, 0)}, "above 0 along an axis"),
        ({"sigma": (0, -1, 1)}, "not to be negative"),
        ({"sigma": (1, 1, 1)}, "give sigma .* a 0 for shift_axis 0"),
        ({"sigma": (0, 1), "shift_axis": 2}, "for shift_axis 2"),
        ({"shift_axis": -1}, "not to be negative"),
        ({"prob_slip": 0.6, "prob_shift": 0.6}, "more than 1 together"),
        ({"prob_slip": -1}, "probability"),
    ],
)
def test_mistakes_are_found_at_once(kwargs, message):
    with pytest.raises(ValueError, match=message):
        gp.ShiftAugment(**{"sigma": 1, **kwargs})


def test_mistakes_in_a_request():
    with pytest.raises(gp.PipelineRequestError, match="no array is asked for"):
        served(volume(WORLD, COARSE, COARSE) + gp.ShiftAugment(1, 0, 9), asking(points=INNER))
    odd = asking(RAMP=INNER, IDS=gp.Roi((230, 0, 0), (20, 24, 24)))
    with pytest.raises(gp.PipelineRequestError, match="no whole number of sections of 20"):
        served(volume(WORLD, COARSE, FINE) + gp.ShiftAugment(1, 0, 9), odd)
    with pytest.raises(gp.PipelineSetupError, match="give a sigma for each"):
        served(volume(WORLD, COARSE, COARSE) + gp.ShiftAugment(1, 0, (0, 9)), asking(RAMP=INNER))


# -- gunpowder's names for the steps -------------------------------------------------------------


def test_the_array_of_shifts_follows_from_the_global_seeds():
    random.seed(4)
    np.random.seed(4)
    sigmas = (0.0, 9.0, 30.0)
    got = gp.ShiftAugment.construct_global_shift_array(5, sigmas, 0.3, 0.4, (4, 3, 10))
    # what gunpowder 1.4.4 draws
    want = [[0, 3, -30], [0, -3, -50], [0, 6, 10], [0, 12, 10], [0, 9, -20]]
    assert got.tolist() == want
    assert got.dtype == np.int64


def test_steps_by_hand_do_what_the_node_does(monkeypatch):
    """Rolled and cropped, against the map of the node."""
    batch_roi, size = gp.Roi((80, 0, 0), (160, 24, 24)), COARSE
    moves = [(4, 0), (-8, 12), (0, 0), (20, -4), (0, 4), (8, 8), (0, 0), (-4, -4)]
    shifts = np.array([(0, *move) for move in moves])
    sub = gp.ShiftAugment.get_sub_shift_array(batch_roi, batch_roi, shifts, 0, size)
    np.testing.assert_array_equal(sub, shifts)
    part = gp.Roi((120, 0, 0), (60, 24, 24))
    np.testing.assert_array_equal(
        gp.ShiftAugment.get_sub_shift_array(batch_roi, part, shifts, 0, size), shifts[2:5]
    )
    upstream = gp.ShiftAugment.compute_upstream_roi(batch_roi, shifts)
    assert upstream == gp.Roi((80, -20, -12), (160, 52, 40))
    node = gp.ShiftAugment(sigma=1)
    node.ndim = 3
    data = ramp(upstream, size)
    got = node.shift_and_crop(data, batch_roi.shape, shifts, size)
    np.testing.assert_array_equal(
        got - ramp(batch_roi, size), -shifts.T[:, :, None, None] * np.ones((1, 8, 6, 6))
    )
    monkeypatch.setattr(shift_augment, "draw_shifts", lambda *_: shifts)
    of_node = served(volume(WORLD, size, size) + gp.ShiftAugment(1, 0, 9), asking(RAMP=INNER))
    np.testing.assert_array_equal(got, of_node[RAMP].data)
    with pytest.raises(ValueError, match="a multiple"):
        node.shift_and_crop(data, batch_roi.shape, shifts[:3], size)
    inside = np.array([[85.0, 10, 10], [105, 10, 10], [105, 2, 2], [145, 5, 5]])
    none = np.zeros((0, 2), int)
    graph = gp.Graph.from_arrays([1, 2, 3, 4], inside, none, gp.GraphSpec(upstream))
    moved = gp.ShiftAugment.shift_points(graph, batch_roi, shifts, 0, size)
    assert moved is graph
    assert moved.spec.roi == batch_roi
    assert dict(zip(moved.ids.tolist(), moved.locations.tolist(), strict=True)) == {
        1: [85, 14, 10],
        2: [105, 2, 22],
    }


def test_a_pipeline_that_is_built_knows_its_axes():
    node = gp.ShiftAugment(0.5, 0.1, 7.0)
    pipeline = volume(WORLD, COARSE, COARSE) + node
    with gp.build(pipeline, seed=1):
        assert node.ndim == 3
        assert node.shift_sigmas == (0.0, 7.0, 7.0)
        request = asking(RAMP=INNER)
        node.prepare(request)
        assert request[RAMP].roi != INNER
