"""What a device makes of a recipe is what the CPU makes of it."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

import voxflow as gp
from voxflow.ops.maps import (
    Affine,
    Compose,
    ControlPointDisplacement,
    Perspective,
    SectionShifts,
)
from voxflow.ops.maps.affine import mirror_transpose, rotation
from voxflow.ops.maps.moves import Moves
from voxflow.ops.recipe import Recipe
from voxflow.ops.values import Clip, Contrast, Scale
from voxflow.ops.values.changes import Gamma
from voxflow.pipeline.data.deferred import Borrowed
from voxflow.torch.recipes.make import made, make_on

SIZES = (1, 2, 4, Fraction(49, 5), 40)
KINDS = (
    *("affine", "rotation", "elastic", "plane", "sections", "across", "mirror", "turn", "shift"),
    "tilt",
)
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Region:
    offset: tuple
    shape: tuple


def make_map(kind, rng, offset, size, shape):
    """A random map of one kind that moves things by a few voxels."""
    ndim, step = len(shape), np.array([float(v) for v in size])
    begin = np.array([float(v) for v in offset])
    end = begin + step * shape
    center = (begin + end) / 2
    if kind == "affine":
        matrix = np.eye(ndim) + rng.uniform(-0.2, 0.2, (ndim, ndim))
        return Affine(matrix, center, rng.uniform(-2, 2, ndim) * step)
    if kind == "rotation":
        return rotation(rng.uniform(-np.pi, np.pi), center)
    if kind in ("elastic", "plane"):
        counts = rng.integers(1, 5, ndim)
        points = rng.normal(0, 1.0, (ndim, *counts)) * step.reshape(-1, *[1] * ndim)
        if kind == "plane":
            points[0] = 0
        return ControlPointDisplacement(points, begin, end)
    if kind in ("sections", "across"):
        axis = 0 if kind == "sections" else ndim - 1
        offsets = rng.integers(-3, 4, (shape[axis], ndim)) * step * rng.choice([1.0, 0.37])
        offsets[:, axis] = 0
        return SectionShifts(offsets, begin[axis], step[axis], axis)
    if kind == "tilt":
        axes = np.flatnonzero(rng.random(ndim) < 0.7)
        return Perspective(center, rng.uniform(-0.1, 0.1, ndim) / (end - begin), axes)
    if kind == "mirror":
        return mirror_transpose(center, rng.random(ndim) < 0.5)
    if kind == "turn":
        order = [*range(ndim - 2), ndim - 1, ndim - 2]
        return mirror_transpose(center, rng.random(ndim) < 0.5, order)
    return Affine(np.eye(ndim), center, rng.integers(-3, 4, ndim) * step)


@st.composite
def cases(draw):
    """A map, where its result lies, how its data are shaped, and dice."""
    ndim = draw(st.integers(2, 3))
    shape = tuple(draw(st.integers(1, 9)) for _ in range(ndim))
    size = tuple(draw(st.sampled_from(SIZES)) for _ in range(ndim))
    offset = tuple(draw(st.sampled_from((-3, 0, 1000))) * v for v in size)
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    kinds = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=3))
    warp = Compose([make_map(kind, rng, offset, size, shape) for kind in kinds])
    whole = Region(offset, tuple(n * v for n, v in zip(shape, size, strict=True)))
    begin, end = warp.source(whole, size)
    there = [round((e - b) / v) for b, e, v in zip(begin, end, size, strict=True)]
    missing = draw(st.integers(0, 2))  # voxels on each side that are not there
    cut = [min(missing, (n - 1) // 2) for n in there]
    begin = tuple(b + c * v for b, c, v in zip(begin, cut, size, strict=True))
    there = tuple(n - 2 * c for n, c in zip(there, cut, strict=True))
    return warp, begin, size, offset, shape, there, rng


def recipe_of(case, data, order):
    warp, begin, size, offset, shape, _, _ = case
    return Recipe(data, True, (begin, size), warp, offset, shape, order)


def doubtful(case, edges):
    """Where rounding decides: positions between two voxels, or half a voxel beyond the last."""
    warp, begin, size, offset, shape, there, _ = case
    column = (-1, *[1] * len(shape))
    numbers = [np.array([float(v) for v in values]) for values in (begin, size, offset)]
    begin, size, offset = (values.reshape(column) for values in numbers)
    centers = offset + (np.indices(shape) + 0.5) * size
    positions = warp.pull(centers.reshape(len(shape), -1).T).T.reshape(centers.shape)
    index = (positions - begin) / size - 0.5
    if edges:
        last = np.array(there).reshape(column) - 0.5
        return ((np.abs(index + 0.5) < 1e-4) | (np.abs(index - last) < 1e-4)).any(0)
    return (np.abs(index - np.floor(index) - 0.5) < 1e-4).any(0)


LEADS = st.sampled_from([(), (2,), (2, 3)])


@settings(max_examples=200, deadline=None)
@given(cases(), LEADS, st.sampled_from(["f4", "f8", "f2", ">f4"]), st.sampled_from([1, 7, 1 << 20]))
def test_images_agree(case, lead, dtype, block):
    there, rng = case[-2:]
    data = rng.random((*lead, *there)).astype(dtype)
    recipe = recipe_of(case, data, "linear")
    want, got = recipe.make(), made(recipe, CPU, block).numpy()
    sure = ~doubtful(case, edges=True)
    assert got.dtype == want.dtype.newbyteorder("=")
    assert got.shape == want.shape
    atol = 2e-3 if dtype == "f2" else 1e-5
    np.testing.assert_allclose(got[..., sure], want[..., sure], atol=atol, rtol=0)


@settings(max_examples=100, deadline=None)
@given(cases(), LEADS, st.sampled_from(["u1", "u2", "i1", "i2", "i4", "u4", "i8", "u8"]))
def test_integer_images_are_rounded_alike(case, lead, dtype):
    there, rng = case[-2:]
    limits = np.iinfo(dtype)
    low, high = max(limits.min, -(2**40)), min(limits.max, 2**40)
    data = rng.integers(low, high, (*lead, *there), dtype, endpoint=True)
    recipe = recipe_of(case, data, "linear")
    want, got = recipe.make(), make_on(recipe, "cpu").numpy()
    numbers = recipe_of(case, data.astype("f8"), "linear").make()
    near_half = np.abs(numbers - np.floor(numbers) - 0.5) < max(1e-2, 1e-6 * high)
    sure = ~(doubtful(case, edges=True) | near_half)
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got[sure], want[sure])


def test_the_largest_integers_stay_in_range():
    for dtype in ("u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8"):
        limits = np.iinfo(dtype)
        data = np.array([[limits.max] * 6, [limits.min] * 6], dtype)
        warp = Affine(np.eye(2), (0, 0), (0, 0.3))
        recipe = Recipe(data, True, ((0, 0), (1, 1)), warp, (0, 0), (2, 5), "linear")
        np.testing.assert_array_equal(make_on(recipe, "cpu").numpy(), recipe.make())


@settings(max_examples=150, deadline=None)
@given(
    cases(),
    LEADS,
    st.sampled_from(["u8", "u8", "i8", "u4", "u2", "u1", "i4", "bool", "f4", ">u8", "c8"]),
    st.sampled_from([1, 7, 1 << 20]),
)
def test_labels_are_the_same(case, lead, dtype, block):
    there, rng = case[-2:]
    kind = np.dtype(dtype)
    bits = rng.integers(0, 2**64, (*lead, *there), "u8", endpoint=False)
    data = (bits % 2 == 1) if kind.kind == "b" else bits.astype(kind)
    recipe = recipe_of(case, data, "nearest")
    want, got = recipe.make(), make_on(recipe, "cpu")
    sure = ~doubtful(case, edges=False)
    assert got.numpy().dtype == want.dtype.newbyteorder("=")
    np.testing.assert_array_equal(got.numpy()[..., sure], want[..., sure])
    assert torch.equal(made(recipe, CPU, block), made(recipe, CPU))


def contrasts(rng, shape):
    pieces = tuple(int(rng.integers(1, n + 2)) for n in shape)
    counts = [-(-n // size) for n, size in zip(shape, pieces, strict=True)]
    return Contrast(pieces, rng.uniform(0.5, 2, counts), rng.uniform(-0.5, 0.5, counts))


@settings(max_examples=60, deadline=None)
@given(
    cases(),
    LEADS,
    st.sampled_from(["u1", "u2", "f4", "f8", "u8", "i2"]),
    st.lists(st.sampled_from(["scale", "clip", "gamma", "contrast"]), max_size=4),
    st.sampled_from(["f2", "f4", "f8"]),
    st.booleans(),
)
def test_values_change_alike(case, lead, source, kinds, result, warped):
    there, rng = case[-2:]
    data = (rng.random((*lead, *there)) * 200).astype(source)
    recipe = recipe_of(case, data, "linear") if warped else Recipe(data, True, extent=there)
    makers = {
        "scale": lambda: Scale(rng.uniform(0.5, 2), rng.uniform(-0.2, 0.2)),
        "clip": lambda: Clip(0.1, 0.9),
        "gamma": lambda: Gamma(rng.uniform(0.5, 2)),
        "contrast": lambda: contrasts(rng, recipe.shape),
    }
    changes = [Scale(1 / 200)]
    for kind in kinds:
        changes += [Clip(0.0, 2.0)] if kind == "gamma" else []
        changes.append(makers[kind]())
    recipe = recipe.changed(changes, result)
    want, got = recipe.make(), make_on(recipe, "cpu").numpy()
    sure = np.ones(want.shape, bool)
    if warped and "contrast" not in kinds:
        sure[...] = ~doubtful(case, edges=True)
    elif warped and doubtful(case, edges=True).any():
        return  # means would see it
    atol = {"f2": 2e-2, "f4": 2e-4, "f8": 2e-4}[result]  # uint16 in float32 was rounded before
    assert got.dtype == want.dtype
    np.testing.assert_allclose(got[sure], want[sure], atol=atol, rtol=atol)


def test_changes_before_a_map_say_what_is_outside():
    data = np.full((4, 4), 100, np.uint8)
    recipe = Recipe(data, True, ((0, 0), (1, 1)), None, (0, 0), (4, 4))
    recipe = recipe.changed([Scale(0.01, -1.0)], "f4")
    for warp in (Affine(np.eye(2), (0, 0), (0, 2.0)), Affine(np.eye(2), (0, 0), (0, 1.7))):
        moved = recipe.seen_through(warp, (0, 0), (0, 0), (4, 4), "linear")
        moved = moved.changed([Scale(2.0)], "f4")
        np.testing.assert_allclose(make_on(moved, "cpu"), moved.make(), atol=1e-6)
        assert moved.make()[0, -1] == 0.0  # 0 after the changes that came before, scaled


def test_nothing_is_mixed_across_an_axis_that_stays():
    data = np.random.default_rng(0).random((3, 12, 12)).astype("f4")
    data[1] = np.nan
    points = np.random.default_rng(1).normal(0, 1, (3, 2, 3, 3))
    points[0] = 0
    warp = ControlPointDisplacement(points, (0, 0, 0), (120, 48, 48))
    where = ((0, 0, 0), (40, 4, 4)), warp, (0, 0, 0), (3, 12, 12), "linear"
    recipe = Recipe(data, True, *where)
    got = make_on(recipe, "cpu").numpy()
    np.testing.assert_allclose(got, recipe.make(), atol=1e-5)
    assert np.isfinite(got[[0, 2]]).all()


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(SIZES), st.sampled_from([0, -7, 1000]))
def test_sections_that_are_shifted_by_half_a_voxel_take_the_upper_one(seed, size, begin):
    rng = np.random.default_rng(seed)
    data = rng.integers(0, 2**64, (4, 9, 9), np.uint64)
    steps = (rng.integers(-3, 4, (4, 3)) + 0.5) * float(size)
    steps[:, 0] = 0
    origin = (begin * size,) * 3
    warp = SectionShifts(steps, float(origin[0]), float(size))
    recipe = Recipe(data, True, (origin, (size,) * 3), warp, origin, (4, 9, 9), "nearest")
    np.testing.assert_array_equal(make_on(recipe, "cpu").numpy(), recipe.make())


# -- a map of two axes, four axes, nothing at all ------------------------------------------------


def test_a_map_of_fewer_axes_than_the_data():
    rng = np.random.default_rng(0)
    data = rng.random((2, 5, 8, 8)).astype("f4")
    for warp in (rotation(0.3, (16.0, 16.0)), mirror_transpose((16, 16), (1, 0), (1, 0))):
        recipe = Recipe(data, True, ((0, 0, 0), (40, 4, 4)), warp, (40, 0, 0), (3, 8, 8), "linear")
        assert recipe.make().shape == (2, 3, 8, 8)
        np.testing.assert_allclose(make_on(recipe, "cpu"), recipe.make(), atol=1e-5)


def test_more_than_three_axes():
    data = np.random.default_rng(0).random((2, 3, 4, 4)).astype("f4")
    flip = Moves([1, 1.5, 2, 2], [True, False, True, False], [0, 1, 3, 2], [0, 0, 0, 0])
    recipe = Recipe(data, True, ((0,) * 4, (1,) * 4), flip, (0,) * 4, (2, 3, 4, 4), "linear")
    np.testing.assert_array_equal(make_on(recipe, "cpu"), recipe.make())
    twice = recipe.changed([Scale(2.0)], "f4")
    np.testing.assert_array_equal(make_on(twice, "cpu"), twice.make())


def test_arrays_as_they_are():
    ids = np.array([0, 2**63, 2**64 - 1], np.uint64)
    got = make_on(gp.Array(ids), "cpu")
    assert got.dtype == torch.uint64
    np.testing.assert_array_equal(got.numpy(), ids)
    volume = np.arange(6.0)
    lent = make_on(gp.Array(Borrowed(volume[2:4])), "cpu")
    lent += 1
    np.testing.assert_array_equal(volume, np.arange(6.0))


def test_what_was_read_stays_as_it_was():
    rng = np.random.default_rng(0)
    data = rng.random((3, 8, 8)).astype("f4")
    before = data.copy()
    warp = rotation(0.2, (60, 16, 16))
    recipe = Recipe(data, False, ((0, 0, 0), (40, 4, 4)), warp, (0, 0, 0), (3, 8, 8), "linear")
    for changes in ([], [Scale(2.0), Clip(0, 1)]):
        make_on(recipe.changed(changes, "f4"), "cpu")
        make_on(Recipe(data, True, extent=(3, 8, 8)).changed(changes, "f4"), "cpu")
    np.testing.assert_array_equal(data, before)


def test_partial_voxels_are_refused():
    data = np.zeros((1, 4, 4), np.uint8)
    recipe = Recipe(data, True, ((0, 0, 0), (1, 1, 1)), None, (0, 0, 0), (1, 4, 4), partial=True)
    with pytest.raises(RuntimeError, match="looks_at_nothing"):
        make_on(recipe, "cpu")


# -- memory --------------------------------------------------------------------------------------


class Largest(TorchDispatchMode):
    """The most bytes that a tensor took which was made, besides those of given sizes."""

    def __init__(self, *known):
        super().__init__()
        self.known, self.most = known, 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        if isinstance(made, torch.Tensor) and made.untyped_storage().nbytes() not in self.known:
            self.most = max(self.most, made.untyped_storage().nbytes())
        return made


@pytest.mark.parametrize("order", ["linear", "nearest"])
@pytest.mark.parametrize("first", ["nothing", "rotation", "shear"])
def test_positions_take_the_memory_of_a_block(order, first):
    data = np.random.default_rng(0).random((20, 50, 61)).astype("f4")
    points = np.random.default_rng(1).normal(0, 2, (3, 3, 3, 3))
    warp = ControlPointDisplacement(points, (0, 0, 0), (20, 50, 61))
    if first == "rotation":
        warp = Compose([rotation(0.1, (10, 25, 30)), warp])
    elif first == "shear":
        warp = Compose([Affine([[1, 0, 0], [0, 1, 0], [0.1, 0.1, 1]], (10, 25, 30)), warp])
    recipe = Recipe(data, True, ((0,) * 3, (1,) * 3), warp, (0,) * 3, (20, 50, 61), order)
    with Largest(data.nbytes) as seen:
        made(recipe, CPU, block=1000)
    # A block holds 16 rows of 61; a field has three components of float64 there.
    assert 8 * 976 <= seen.most <= 3 * 8 * 1000


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@settings(max_examples=30, deadline=None)
@given(cases(), st.sampled_from(["linear", "nearest"]))
def test_cuda_agrees_with_the_cpu(case, order):
    there, rng = case[-2:]
    data = rng.integers(0, 2**64, there, "u8") if order == "nearest" else rng.random(there)
    recipe = recipe_of(case, data, order)
    want, got = recipe.make(), make_on(recipe, "cuda").cpu().numpy()
    sure = ~doubtful(case, edges=order == "linear")
    np.testing.assert_allclose(got[sure], want[sure], atol=0 if order == "nearest" else 1e-6)
