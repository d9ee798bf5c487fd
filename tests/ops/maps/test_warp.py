from math import radians

import numpy as np
import pytest
from spatial_reference import Region

from voxflow.ops.maps import Affine, Compose, Perspective
from voxflow.ops.maps.warp import WarpRanges

ROI = Region((0, 0, 0), (690, 1665, 1665))
EDGES = (
    np.stack(np.meshgrid(*[np.linspace(0, s, 9) for s in ROI.shape], indexing="ij"))
    .reshape(3, -1)
    .T
)
CENTER = np.array(ROI.shape) / 2


def drawn(ranges, seed, roi=ROI):
    maps, matrix, moved = ranges.draw(np.random.default_rng(seed), roi)
    return maps, matrix, moved, Compose([*maps, Affine(matrix, np.array(roi.shape) / 2, moved)])


def test_nothing_to_draw_is_the_identity():
    for ndim in (1, 2, 3):
        roi = Region((0,) * ndim, (10,) * ndim)
        maps, matrix, moved, whole = drawn(WarpRanges(), 1, roi)
        assert not maps
        assert not moved.any()
        np.testing.assert_array_equal(matrix, np.eye(ndim))
        assert whole.is_identity


def test_no_section_is_turned_further_than_the_rotation_says():
    ranges = WarpRanges(rotation=(-radians(15), radians(15)), twist=radians(15))
    angles = []
    for seed in range(300):
        whole = drawn(ranges, seed)[3]
        for z in (0.0, 345.0, 690.0):
            step = np.diff(whole.pull([[z, 800.0, 832.5], [z, 800.0, 833.5]]), axis=0)[0]
            angles.append(np.arctan2(step[1], step[2]))
    most = np.abs(angles).max()
    assert radians(13) < most < radians(15.01)
    assert np.std(angles[1::3]) > radians(3)


def test_a_twist_alone_turns_the_ends_against_each_other():
    whole = drawn(WarpRanges(twist=0.2), 5)[3]
    turns = []
    for z in (0.0, 345.0, 690.0):
        step = np.diff(whole.pull([[z, 832.5, 832.5], [z, 832.5, 833.5]]), axis=0)[0]
        turns.append(np.arctan2(step[1], step[2]))
    assert turns[1] == pytest.approx(0, abs=1e-6)
    assert turns[0] == pytest.approx(-turns[2])
    assert 0 < abs(turns[2]) < 0.2


def test_what_is_drawn_lies_in_its_range():
    ranges = WarpRanges(shear=(-0.05, 0.05), scale=((1, 1.1),) * 3, shift=(-0.2, 0.2), linear=0.0)
    many = [drawn(ranges, seed) for seed in range(500)]
    matrices = np.array([matrix for _, matrix, _, _ in many])
    zoom = 1 / np.diagonal(matrices, axis1=1, axis2=2)
    assert (zoom >= 1).all()
    assert (zoom <= 1.1).all()
    assert (zoom.std(axis=0) > 0.02).all()
    lean = np.arctan(matrices[:, 2, 1] / matrices[:, 2, 2])
    assert 0.045 < np.abs(lean).max() < 0.056
    assert not matrices[:, 1, 2].any()
    moved = np.array([moved for _, _, moved, _ in many]) / ROI.shape
    assert not moved[:, 0].any()
    assert 0.19 < np.abs(moved[:, 1:]).max() <= 0.2
    alike = (
        1
        / np.array([drawn(WarpRanges(scale=(0.8, 1.2)), s)[1] for s in range(50)])[
            :, [0, 1, 2], [0, 1, 2]
        ]
    )
    np.testing.assert_allclose(alike[:, 1], alike[:, 2])
    np.testing.assert_array_equal(alike[:, 0], 1)


def test_z_is_locked_or_mixed():
    ranges = {"rotation": "any", "linear": 0.1, "perspective": 0.001}
    for seed in range(20):
        locked = drawn(WarpRanges(**ranges), seed)[3]
        np.testing.assert_allclose(locked.pull(EDGES)[:, 0], EDGES[:, 0], atol=1e-9)
        mixed = drawn(WarpRanges(**ranges, lock_z=False), seed)[3]
        assert np.abs(mixed.pull(EDGES)[:, 0] - EDGES[:, 0]).max() > 10


def test_a_perspective_stays_clear_of_the_horizon():
    for seed in range(100):
        maps = drawn(WarpRanges(perspective=1.0, lock_z=False), seed)[0]
        (tilt,) = maps
        assert isinstance(tilt, Perspective)
        depth = 1 + (EDGES - CENTER) @ tilt.slope
        assert 0.25 - 1e-9 <= depth.min() < 0.3
        np.testing.assert_allclose(tilt.points(tilt.pull(EDGES)), EDGES, atol=1e-6)


def test_parts_are_drawn_by_chance():
    ranges = WarpRanges(rotation=(0.1, 0.2), scale=(0.8, 0.9), shift=(0.1, 0.2), chance=0.5)
    many = [drawn(ranges, seed) for seed in range(400)]
    turned = np.mean([matrix[1, 2] != 0 for _, matrix, _, _ in many])
    scaled = np.mean([abs(np.linalg.det(matrix) - 1) > 1e-9 for _, matrix, _, _ in many])
    moved = np.mean([moved.any() for _, _, moved, _ in many])
    for often in (turned, scaled, moved):
        assert 0.4 < often < 0.6


def test_the_region_that_elektronn_1_reads():
    ranges = WarpRanges(
        rotation=(-radians(15), radians(15)),
        shear=(-radians(3), radians(3)),
        scale=((1, 1.1),) * 3,
        stretch=0.1,
        twist=radians(15),
    )
    most = np.zeros(3)
    for seed in range(600):
        seen = drawn(ranges, seed)[3].pull(EDGES)
        most = np.maximum(most, np.ptp(seen, axis=0) / ROI.shape)
    assert (most[1:] <= 1.46).all()
    assert (most[1:] > 1.2).all()
    assert most[0] <= 1.0
