import pickle

import numpy as np
import pytest
from scipy import stats
from spatial_reference import Region

from voxflow.ops.maps import Compose, ControlPointDisplacement, Elastic, SectionShifts, draw_elastic

ROI = Region((400, 80, 40), (800, 400, 400))
SIZE = (40, 4, 4)
NOTHING = Elastic((160, 160, 160), (0, 0, 0))


def draws(n, params, roi=ROI):
    return [draw_elastic(np.random.default_rng(seed), roi, SIZE, params) for seed in range(n)]


def parts(spatial_map):
    return spatial_map.maps if isinstance(spatial_map, Compose) else [spatial_map]


def only(kind, maps):
    return [p for m in maps for p in parts(m) if isinstance(p, kind)]


@pytest.mark.parametrize("dtype", ["f4", "u1", "u8"])
@pytest.mark.parametrize("roi", [ROI, Region((400, 81.5, 40.25), (800, 400, 400))])
def test_nothing_to_draw_is_the_identity_bit_for_bit(dtype, roi):
    spatial_map = draws(1, NOTHING, roi)[0]
    assert spatial_map.is_identity
    data = np.random.default_rng(0).integers(0, 255, (20, 100, 100)).astype(dtype)
    order = "nearest" if dtype == "u8" else "linear"
    got = spatial_map.resample(data, roi.offset, SIZE, roi.offset, data.shape, order=order)
    np.testing.assert_array_equal(got, data)
    end = tuple(o + s for o, s in zip(roi.offset, roi.shape, strict=True))
    assert spatial_map.source(roi, SIZE) == (roi.offset, end)


def test_the_same_generator_gives_the_same_map_and_no_global_state_is_touched():
    params = Elastic((160, 80, 80), (2, 8, 8), (0, 1), (0.9, 1.1), 0.2, 0.2, 5)
    before = np.random.get_state()[1].copy()
    first, second = draws(1, params)[0], draws(1, params)[0]
    places = np.random.default_rng(1).uniform(0, 1000, (50, 3))
    np.testing.assert_array_equal(first.pull(places), second.pull(places))
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_the_field_is_shared_by_all_regions_of_a_request():
    params = Elastic((160, 80, 80), (0, 8, 8), (0, 1), (1, 1), 0.2, 0.2, 5)
    spatial_map = draws(1, params)[0]
    data = np.random.default_rng(0).random((60, 500, 500)).astype("f4")
    begin = (-400, -500, -500)
    whole = spatial_map.resample(data, begin, SIZE, ROI.offset, (20, 100, 100))
    part = spatial_map.resample(data, begin, SIZE, (600, 120, 200), (7, 30, 40))
    np.testing.assert_allclose(part, whole[5:12, 10:40, 40:80], atol=1e-5)


def test_angles_and_scales_are_uniform_in_their_intervals():
    maps = draws(400, Elastic((160, 80, 80), (0, 0, 0), (0.1, 0.7), (0.8, 1.3)))
    matrices = [parts(m)[-1].matrix for m in maps]
    scales = np.array([1 / m[0, 0] for m in matrices])
    angles = np.array([np.arctan2(m[1, 2], m[1, 1]) for m in matrices])
    assert stats.kstest(scales, stats.uniform(0.8, 0.5).cdf).pvalue > 1e-3
    assert stats.kstest(angles, stats.uniform(0.1, 0.6).cdf).pvalue > 1e-3


def test_control_points_are_normal_and_as_many_as_fit():
    fields = only(ControlPointDisplacement, draws(30, Elastic((300, 80, 1000), (3, 0, 8))))
    values = np.stack([field.displacements for field in fields])
    assert values.shape[1:] == (3, 3, 5, 1)
    assert stats.kstest(values[:, 0].ravel() / 3, "norm").pvalue > 1e-3
    assert stats.kstest(values[:, 2].ravel() / 8, "norm").pvalue > 1e-3
    assert not values[:, 1].any()
    assert fields[0].begin == [400, 80, 40]
    assert fields[0].end == [1200, 480, 440]


def test_misalignment_is_uniform_whole_voxels_and_as_frequent_as_asked_for():
    slips = only(
        SectionShifts, draws(300, Elastic((160, 80, 80), (0, 0, 0), prob_slip=0.3, max_misalign=4))
    )
    offsets = np.concatenate([slip.offsets for slip in slips])
    steps = offsets / SIZE
    assert not offsets[:, 0].any()
    np.testing.assert_array_equal(steps, np.rint(steps))
    moved = steps[steps.any(1)][:, 1:].astype(int).ravel()
    counts = np.bincount(moved + 4, minlength=9)
    counts[4] = counts[[3, 5]].mean()  # (0, 0) cannot be told from no slip
    assert len(counts) == 9
    assert stats.chisquare(counts).pvalue > 1e-3
    assert abs(steps.any(1).mean() - 0.3 * 80 / 81) < 0.02
    assert slips[0].begin == 400
    assert slips[0].thickness == 40


def test_a_shift_moves_all_that_follow():
    params = Elastic((160, 80, 80), (0, 0, 0), prob_shift=0.1, max_misalign=50)
    for table in only(SectionShifts, draws(20, params)):
        changes = np.diff(table.offsets, axis=0).any(1)
        assert changes.mean() < 0.5
        last = np.flatnonzero(changes)[-1] if changes.any() else 0
        assert (table.offsets[last + 1 :] == table.offsets[-1]).all()


def test_displacement_is_added_in_the_frame_of_the_source():
    params = Elastic((160, 80, 80), (0, 0, 0), (1.2, 1.2), (1.1, 1.1), 1.0, 0.0, 10)
    spatial_map = draws(1, params)[0]
    offsets = only(SectionShifts, [spatial_map])[0].offsets
    turned = parts(spatial_map)[-1].matrix
    steps = (offsets @ turned.T) / SIZE
    np.testing.assert_allclose(steps, np.rint(steps), atol=1e-9)


def test_rotation_is_true_in_world_units():
    spatial_map = draws(1, Elastic((160, 80, 80), (0, 0, 0), (0.5, 0.5)))[0]
    places = np.random.default_rng(0).uniform(0, 1000, (40, 3))
    center = np.array([800, 280, 240])
    distances = np.linalg.norm(spatial_map.pull(places) - center, axis=1)
    np.testing.assert_allclose(distances, np.linalg.norm(places - center, axis=1))


@pytest.mark.parametrize("ndim", [1, 2])
def test_fewer_axes_than_the_region(ndim):
    spatial_map = draws(1, Elastic((80,) * ndim, (8,) * ndim, (0.5, 0.5)))[0]
    assert spatial_map.ndim == ndim
    begin, end = spatial_map.source(ROI, SIZE)
    assert (begin[0], end[0]) == (400, 1200)


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="one entry for each"):
        Elastic((1, 2), (1,))
    with pytest.raises(ValueError, match="must be above 0"):
        Elastic((0,), (1,))
    with pytest.raises(ValueError, match="prob_slip"):
        Elastic((1, 1, 1), (1, 1, 1), prob_slip=0.6, prob_shift=0.6)
    with pytest.raises(ValueError, match="3 axes only"):
        Elastic((1, 1), (1, 1), prob_slip=0.5, max_misalign=3)
    with pytest.raises(ValueError, match="empty region"):
        draw_elastic(np.random.default_rng(), Region((0,), (0,)), (1,), Elastic((1,), (1,)))


def test_maps_can_be_shipped_to_workers():
    params = Elastic((160, 80, 80), (2, 8, 8), (0, 1), (0.9, 1.1), 0.2, 0.2, 5)
    spatial_map = draws(1, params)[0]
    places = np.random.default_rng(1).uniform(0, 1000, (50, 3))
    again = pickle.loads(pickle.dumps(spatial_map))
    np.testing.assert_array_equal(again.pull(places), spatial_map.pull(places))
