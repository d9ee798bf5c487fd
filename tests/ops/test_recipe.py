"""Recipes do at once what their parts do one after the other."""

import copy
import pickle
from dataclasses import replace

import h5py
import numpy as np
import pytest
import spatial_reference as reference
from hypothesis import given, settings
from hypothesis import strategies as st

import voxflow as gp
from voxflow.ops.maps import Affine, Compose, ControlPointDisplacement, SectionShifts
from voxflow.ops.maps.affine import mirror_transpose, rotation
from voxflow.ops.recipe import Recipe
from voxflow.ops.value_range import value_range
from voxflow.ops.values import Clip, Contrast, Scale
from voxflow.pipeline.data.deferred import Borrowed

SIZE = gp.Coordinate(40, 4, 4)


def array(data, offset=(0, 0, 0), **spec):
    data = np.asarray(data)
    shape = gp.Coordinate(data.shape[-3:]) * SIZE
    return gp.Array(data, gp.ArraySpec(gp.Roi(offset, shape), SIZE, **spec))


def maps(rng, extent):
    """A random map about the middle of a region that moves things by a few voxels."""
    middle = np.array(extent) / 2
    kind = rng.integers(5)
    if kind == 0:
        return rotation(rng.uniform(-0.2, 0.2), middle)
    if kind == 1:
        points = rng.normal(0, 2.0, (3, 2, 3, 3))
        points[0] = 0
        return ControlPointDisplacement(points, (0, 0, 0), extent)
    if kind == 2:
        offsets = rng.integers(-1, 2, (int(extent[0] // 40), 3)) * np.array([0, 4, 4])
        return SectionShifts(offsets, 0, 40)
    if kind == 3:
        return mirror_transpose(middle, rng.random(3) < 0.5, [0, 2, 1])
    return Affine(np.diag([1, *rng.uniform(0.9, 1.1, 2)]), middle)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(["linear", "nearest"]), st.integers(1, 3))
def test_what_is_missing_is_mirrored(seed, order, upto):
    rng = np.random.default_rng(seed)
    data = rng.integers(1, 200, (2, 6, 20, 20)).astype(np.uint8)
    extent = (240.0, 80.0, 80.0)
    chain = Compose([maps(rng, extent) for _ in range(upto)])
    around = np.pad(data, [(0, 0), *[(40, 40)] * 3], mode="symmetric")
    offset, shape = (-40, -40, -4), (8, 30, 21)
    want = chain.resample(around, (-1600, -160, -160), SIZE, offset, shape, order=order)
    there = array(data)
    seen = chain, (0, 0, 0), offset, shape, order
    recipe = Recipe.of(there).seen_through(*seen, mirror="symmetric")
    np.testing.assert_array_equal(recipe.make(), want)
    missing = Recipe.of(there).seen_through(*seen)
    assert (missing.make() == 0).any()
    assert there.data is data
    # a map that comes later, for which it was read, sees of the mirrored data, too
    later = Affine(np.eye(3), [0.0] * 3, [0.0, 8.0, 0.0])
    again = replace(recipe, partial=True).seen_through(later, offset, offset, shape, order)
    assert again.mirror
    np.testing.assert_array_equal(again.make()[:, :, :-2], want[:, :, 2:])
    # else it finds nothing beyond what was made
    apart = recipe.seen_through(later, offset, offset, shape, order).make()
    np.testing.assert_array_equal(apart[:, :, :-2], want[:, :, 2:])
    assert not apart[:, :, -2:].any()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(["linear", "nearest", "majority"]))
def test_a_part_that_reaches_beyond_is_mirrored_where_it_is_looked_up(seed, order):
    rng = np.random.default_rng(seed)
    data = rng.integers(0, 200, (1, 24, 30)).astype("f8" if order == "linear" else "u2")
    part = Recipe.of(array(data)).part((0, -20, -9), (1, 50, 50), (0, 0, 0))
    padded = np.pad(data, [(0, 0), (20, 6), (9, 11)], mode="reflect")
    np.testing.assert_array_equal(part.make(), padded)
    turn = rotation(rng.uniform(0, 6), (100.0, 100.0))
    seen = turn, (0, 0, 0), (0, 68, 68), (1, 16, 16), order
    got = part.seen_through(*seen, within=True)
    assert np.may_share_memory(got.data, data)
    want = Recipe.of(array(padded)).seen_through(*seen).make()
    np.testing.assert_allclose(got.make(), want, atol=1e-9)
    # What lies beyond the part is not there, unless it is known that nobody looks.
    apart = part.seen_through(turn, (0, 0, 0), (0, -40, -40), (1, 70, 70), order)
    assert (apart.make() == 0).any()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(["u1", "f4", "f8"]), st.booleans())
def test_maps_in_a_row_resample_once(seed, dtype, changed_before):
    rng = np.random.default_rng(seed)
    data = (rng.random((6, 60, 60)) * 200).astype(dtype)
    extent = (240.0, 240.0, 240.0)
    chain = [maps(rng, extent) for _ in range(rng.integers(1, 4))]
    recipe = Recipe.of(array(data))
    values = data.astype(np.float64)
    if changed_before:
        recipe = recipe.changed([Scale(0.01, -1.0)], "f4")
        values = values * 0.01 - 1.0
    for one in chain:
        recipe = recipe.seen_through(one, (0, 0, 0), (0, 0, 0), (6, 60, 60), "linear")
    whole = Compose(chain[::-1])
    got = recipe.make()
    want = reference.resample(whole, values, (0, 0, 0), SIZE, (0, 0, 0), (6, 60, 60), "linear")
    inside = (slice(None), slice(20, 40), slice(20, 40))  # nothing from outside of the data here
    assert got.dtype == recipe.dtype
    tolerance = 0.51 if dtype == "u1" and not changed_before else 2e-3
    np.testing.assert_allclose(got[inside], want[inside], atol=tolerance)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32))
def test_labels_through_maps_in_a_row(seed):
    rng = np.random.default_rng(seed)
    data = rng.integers(0, 2**64 - 1, (6, 60, 60), np.uint64)
    chain = [maps(rng, (240.0, 240.0, 240.0)) for _ in range(2)]
    recipe = Recipe.of(array(data))
    for one in chain:
        recipe = recipe.seen_through(one, (0, 0, 0), (0, 0, 0), (6, 60, 60), "nearest")
    got = recipe.make()
    index = reference.source_index(Compose(chain[::-1]), (0, 0, 0), SIZE, (0, 0, 0), (6, 60, 60))
    want = reference.resample(
        Compose(chain[::-1]), data, (0, 0, 0), SIZE, (0, 0, 0), (6, 60, 60), "nearest"
    )
    tie = (np.abs(index - np.floor(index) - 0.5) < 1e-5).any(0)
    assert got.dtype == np.uint64
    np.testing.assert_array_equal(got[~tie], want[~tie])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([("nearest", "majority"), ("majority", "nearest")]))
def test_the_majority_through_maps_in_a_row(seed, orders):
    rng = np.random.default_rng(seed)
    data = rng.integers(2**64 - 4, 2**64 - 1, (4, 12, 12), np.uint64)
    extent = (160.0, 48.0, 48.0)
    chain = [maps(rng, extent), Affine(np.diag([1, *rng.uniform(1.5, 3, 2)]), np.array(extent) / 2)]
    recipe = Recipe.of(array(data))
    for one, order in zip(chain, orders, strict=True):
        recipe = recipe.seen_through(one, (0, 0, 0), (0, 0, 0), (4, 12, 12), order)
    where = (0, 0, 0), SIZE, (0, 0, 0), (4, 12, 12)
    index = reference.cells(Compose(chain[::-1]), *where)
    tie = (np.abs(index - np.floor(index) - 0.5) < 1e-5).any((0, -1))
    want = reference.majority(Compose(chain[::-1]), data, *where)
    np.testing.assert_array_equal(recipe.make()[~tie], want[~tie])


def test_what_was_put_elsewhere_is_found_there():
    rng = np.random.default_rng(0)
    data = rng.random((4, 20, 20)).astype("f4")
    one, two = rotation(0.3, (80, 40, 40)), mirror_transpose((80, 40, 40), (False, True, False))
    step = gp.Coordinate(400, -80, 8)
    stays = Recipe.of(array(data)).seen_through(one, (0, 0, 0), (0, 0, 0), (4, 20, 20), "linear")
    want = stays.seen_through(two, (0, 0, 0), (0, 0, 0), (4, 20, 20), "linear").make()
    moved = mirror_transpose((480, -40, 48), (False, True, False))
    got = stays.seen_through(moved, step, step, (4, 20, 20), "linear").make()
    np.testing.assert_allclose(got, want, atol=1e-5)


def test_integers_are_rounded_as_if_they_were_made_before():
    data = np.arange(0, 120, 10, dtype=np.uint8).reshape(1, 3, 4)
    turned = Recipe.of(array(data)).seen_through(
        Affine(np.eye(3), (0, 0, 0), (0, 0, 1.3)), (0, 0, 0), (0, 0, 0), (1, 3, 4), "linear"
    )
    scaled = turned.changed([Scale(1 / 255)], "f4")
    np.testing.assert_allclose(scaled.make(), turned.make() / 255, rtol=1e-6)


@pytest.mark.parametrize("order", ["linear", "nearest", "majority"])
@pytest.mark.parametrize("change", ["clip", "contrast"])
def test_changes_that_do_not_go_with_a_map_are_made_before_it(order, change):
    rng = np.random.default_rng(1)
    data = rng.random((3, 12, 12)).astype("f4")
    contrast = Contrast((1, 12, 12), np.full((3, 1, 1), 2.0), np.zeros((3, 1, 1)))
    changes = [Clip(0.3, 0.6)] if change == "clip" else [contrast]
    changed = Recipe.of(array(data)).changed(changes, "f4")
    warp = rotation(0.4, (60, 24, 24))
    where = (0, 0, 0), (0, 0, 0), (3, 12, 12), order
    got = changed.seen_through(warp, *where).make()
    want = Recipe.of(array(changed.make())).seen_through(warp, *where).make()
    np.testing.assert_allclose(got, want, atol=1e-6)


@pytest.mark.parametrize("order", ["linear", "nearest", "majority"])
@pytest.mark.parametrize("types", ["u1 f4", "f4 f8", "f2 f2", "u8 f2"])
def test_a_contrast_right_after_a_map_may_change_the_type(order, types):
    kind, result = types.split()
    data = (np.random.default_rng(1).random((3, 12, 12)) * 100).astype(kind)
    where = (0, 0, 0), (0, 0, 0), (3, 12, 12), order
    moved = Recipe.of(array(data)).seen_through(rotation(0.4, (60, 24, 24)), *where)
    contrast = Contrast((3, 12, 12), np.full((1, 1, 1), 2.0), np.zeros((1, 1, 1)))
    numbers = moved.make().astype("f8")
    want = (numbers - numbers.mean()) * 2 + numbers.mean()
    got = moved.changed([contrast], result).make()
    assert got.dtype == np.dtype(result)
    np.testing.assert_allclose(got, want, atol=0.3 if "f2" in types else 1e-3)


def test_more_than_three_axes():
    data = np.random.default_rng(0).random((2, 3, 4, 4)).astype("f4")
    spec = gp.ArraySpec(gp.Roi((0,) * 4, (2, 3, 4, 4)), (1,) * 4)
    from voxflow.ops.maps.moves import Moves

    flip = Moves([1, 1.5, 2, 2], [True, False, True, False], [0, 1, 3, 2], [0, 0, 0, 0])
    recipe = Recipe.of(gp.Array(data, spec)).seen_through(
        flip, (0,) * 4, (0,) * 4, (2, 3, 4, 4), "linear"
    )
    want = data[::-1, :, ::-1].transpose(0, 1, 3, 2)
    np.testing.assert_array_equal(recipe.make(), want)
    np.testing.assert_allclose(recipe.changed([Scale(2.0)], "f4").make(), want * 2)
    twice = recipe.seen_through(flip, (0,) * 4, (0,) * 4, (2, 3, 4, 4), "linear")
    assert twice.make().shape == (2, 3, 4, 4)


def test_axes_come_and_go():
    data = np.random.default_rng(0).random((3, 4, 4)).astype("f4")
    contrast = Contrast((1, 4, 4), np.full((3, 1, 1), 2.0), np.zeros((3, 1, 1)))
    recipe = Recipe.of(array(data)).changed([contrast], "f4")
    more = recipe.with_axis(0)
    assert more.shape == (1, 3, 4, 4)
    np.testing.assert_array_equal(more.make()[0], recipe.make())
    np.testing.assert_array_equal(more.without_axis(0).make(), recipe.make())


# -- whose memory it is -------------------------------------------------------------------------


@pytest.mark.parametrize("owned", [True, False])
@pytest.mark.parametrize("kind", ["nothing", "moves", "rotation", "values"])
def test_whose_memory_it_is(owned, kind):
    data = np.random.default_rng(0).random((3, 8, 8)).astype("f4")
    before = data.copy()
    recipe = Recipe.of(array(data)) if owned else Recipe.of(_borrowed(data))
    where = (0, 0, 0), (0, 0, 0), (3, 8, 8), "linear"
    if kind == "moves":
        recipe = recipe.seen_through(mirror_transpose((60, 16, 16), (0, 1, 0), [0, 2, 1]), *where)
    elif kind == "rotation":
        recipe = recipe.seen_through(rotation(0.2, (60, 16, 16)), *where)
    elif kind == "values":
        recipe = recipe.changed([Scale(2.0)], "f4")
    seen, made = recipe.view(), recipe.make()
    only_moved = kind in ("nothing", "moves")
    assert (seen is not None) is only_moved
    assert np.shares_memory(made, data) is (owned and only_moved)
    if seen is not None:
        np.testing.assert_array_equal(seen, made)
        assert not seen.flags.writeable or kind == "nothing"
    out = np.empty(recipe.shape, recipe.dtype)
    assert recipe.make(out) is out
    np.testing.assert_array_equal(out, made)
    assert not np.shares_memory(out, data)
    if not owned:
        made[...] = -1
    np.testing.assert_array_equal(data, before)


def _borrowed(data):
    lent = array(data)
    return gp.Array(Borrowed(data), lent.spec)


@pytest.mark.parametrize("layout", ["other type", "turned"])
def test_into_memory_of_any_layout(layout):
    data = np.random.default_rng(0).integers(0, 255, (3, 8, 8), np.uint8)
    where = (0, 0, 0), (0, 0, 0), (3, 8, 8), "linear"
    contrast = Contrast((3, 8, 8), np.ones((1, 1, 1)) * 2, np.zeros((1, 1, 1)))
    for changes in ([], [Scale(1 / 255)], [Scale(1 / 255), contrast, Clip(0, 1)]):
        for turned in (False, True):
            recipe = Recipe.of(array(data))
            if turned:
                recipe = recipe.seen_through(rotation(0.2, (60, 16, 16)), *where)
            if changes:
                recipe = recipe.changed(changes, "f2" if layout == "other type" else "f4")
            out = np.empty((8, 8, 3), recipe.dtype).transpose(2, 1, 0)
            recipe.make(out)
            np.testing.assert_array_equal(out, recipe.make())


def test_copies_hold_voxels():
    recipe = Recipe.of(array(np.arange(8, dtype="u1").reshape(1, 2, 4))).changed([Scale(0.5)], "f4")
    holder = gp.Array(recipe)
    for copied in (copy.deepcopy(holder), pickle.loads(pickle.dumps(holder))):
        assert copied.deferred is None
        np.testing.assert_array_equal(copied.data, recipe.make())


# -- what is known beforehand -------------------------------------------------------------------


def test_nobody_looks_at_values_that_are_known_to_be_in_range():
    image = gp.Array(Recipe.of(array(np.zeros((1, 2, 2), "u1"))).changed([Scale(1 / 255)], "f4"))
    assert value_range(image, within=(0, 1)) == (0, 1)
    assert image.deferred is not None
    assert value_range(image, within=(0, 0.5)) == (0, 0)
    assert image.deferred is None


def test_ranges_of_types():
    def known(dtype):
        return Recipe.of(array(np.zeros((1, 2, 2), dtype))).range

    assert known("u2") == (0, 65535)
    assert known("i1") == (-128, 127)
    assert known("bool") == (0, 1)
    assert known("f4") == (-np.inf, np.inf)


def test_what_cannot_be_done_is_said_at_once():
    recipe = Recipe.of(array(np.zeros((1, 2, 2), complex)))
    with pytest.raises(ValueError, match="cannot be interpolated linearly"):
        recipe.seen_through(rotation(0.1, (0, 0, 0)), (0, 0, 0), (0, 0, 0), (1, 2, 2), "linear")


@pytest.mark.parametrize("looks", [False, True])
def test_a_node_from_outside_leaves_what_a_file_holds_to_one_pass(tmp_path, looks):
    class Passes(gp.BatchFilter):
        def process(self, batch, request):
            deferred.append(batch[raw].deferred)
            if looks:
                batch[raw].data[...] = 2

    deferred, raw = [], gp.ArrayKey("RAW")
    with h5py.File(tmp_path / "a.hdf", "w") as file:
        file["raw"] = np.ones((4, 4), np.float32)
    spec = {raw: gp.ArraySpec(voxel_size=(1, 1))}
    nodes = gp.Hdf5Source(tmp_path / "a.hdf", {raw: "raw"}, spec)
    nodes = nodes + gp.Normalize(raw, 0.5) + Passes() + gp.Normalize(raw, 3)
    with gp.build(nodes) as pipeline:
        batch = pipeline.request_batch(gp.BatchRequest({raw: gp.Roi((0, 0), (4, 4))}))
    assert isinstance(deferred[0], Recipe)
    assert batch[raw].data[0, 0] == (6 if looks else 1.5)
