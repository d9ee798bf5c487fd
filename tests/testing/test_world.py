"""The worlds that nodes are tried in are what they say, and differ as they should."""

import numpy as np
import pytest

import voxflow as gp
from voxflow.testing import draw_world, ramp
from voxflow.testing.world import middle, part_of

AXES = ("x", "yx", "cyx", "zyx", "czyx", "tzyx")


def worlds(axes, count=20):
    return [draw_world(axes, seed) for seed in range(count)]


@pytest.mark.parametrize("axes", AXES)
def test_the_seed_says_all(axes):
    one, again, other = draw_world(axes, 3), draw_world(axes, 3), draw_world(axes, 4)
    for key, array in one.arrays.items():
        assert array.spec == again.arrays[key].spec
        np.testing.assert_array_equal(array.data, again.arrays[key].data)
    np.testing.assert_array_equal(one.point_places, again.point_places)
    assert one.arrays[one.raw].data.tobytes() != other.arrays[one.raw].data.tobytes()


@pytest.mark.parametrize("axes", AXES)
def test_upstream_serves_all_of_it(axes):
    for world in worlds(axes, 5):
        request = gp.BatchRequest({key: a.spec.roi for key, a in world.arrays.items()})
        request[world.points] = world.roi
        pipeline = world.upstream
        with gp.build(pipeline, seed=1):
            batch = pipeline.request_batch(request)
        for key, array in world.arrays.items():
            np.testing.assert_array_equal(batch[key].data, array.data)
            assert array.data.ndim == world.ndim + (
                "c" in axes and key in (world.raw, world.floats)
            )
        assert sorted(batch[world.points].ids) == sorted(world.point_ids)


def test_worlds_differ_in_what_nodes_get_wrong():
    drawn = worlds("zyx", 40)
    assert any(any(type(n) is not int for n in w.voxel_size) for w in drawn)
    assert any(len(set(w.voxel_size)) == 3 for w in drawn)
    assert {n % 2 for w in drawn for n in w.arrays[w.raw].shape} == {0, 1}
    assert any(w.arrays[w.labels].spec.voxel_size != w.voxel_size for w in drawn)
    assert any(w.arrays[w.labels].spec.roi != w.roi for w in drawn)
    assert {w.arrays[w.raw].dtype.name for w in drawn} == {"uint8", "uint16"}
    assert {w.arrays[w.floats].dtype.name for w in drawn} == {"float32", "float64"}
    assert all(any(w.roi.begin) for w in drawn)
    assert all(2**64 - 1 in w.arrays[w.labels].data for w in drawn)
    assert max(max(w.point_ids) for w in drawn) > 2**63


@pytest.mark.parametrize("axes", AXES)
def test_inner_is_on_every_grid_and_well_inside(axes):
    for world in worlds(axes):
        for array in world.arrays.values():
            assert array.spec.roi.contains(world.inner)
            assert world.inner.snap_to_grid(array.spec.voxel_size) == world.inner


def test_a_coded_world_says_where_each_voxel_is():
    world = draw_world("zyx", 1).coded()
    ids, places = world.arrays[world.labels].data, world.arrays[world.floats].data
    assert len(np.unique(ids)) == ids.size
    np.testing.assert_array_equal(places, ramp(world.roi, world.voxel_size))
    step = np.array([float(n) for n in world.voxel_size])
    np.testing.assert_allclose(places[:, 0, 0, 0], [float(n) for n in world.roi.begin] + step / 2)


def test_parts_are_inside_and_on_the_grid():
    rng, size = np.random.default_rng(0), gp.Coordinate(9.8, 4)
    for extent in ((1, 1), (2, 5), (9, 4)):
        roi = gp.Roi((-98, 8), size * gp.Coordinate(extent))
        assert roi.contains(middle(roi, size))
        assert not middle(roi, size).empty
        for _ in range(20):
            part = part_of(roi, size, rng)
            assert roi.contains(part)
            assert not part.empty
            assert part.snap_to_grid(size) == part
