"""Copies hold the same voxels, whatever lies between their rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from voxflow.pipeline.data.copying import copied, copy_voxels

TYPES = st.sampled_from(["u1", "i1", "?", "u2", ">i2", "f4", "u8", ">f8", "c16", "V3", "S5", "O"])


@st.composite
def parts(draw):
    """A part of an array: steps, turned axes, axes that are repeated, in any order of memory."""
    dtype = draw(TYPES)
    shape = draw(npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=7))
    count = int(np.prod(shape, dtype=int))
    whole = np.arange(count, dtype="i8")
    if dtype == "O":
        whole = whole.astype(object)
    else:
        nbytes = np.dtype(dtype).itemsize
        drawn = np.random.default_rng(count).integers(0, 2, (count, nbytes), np.uint8)
        whole = drawn.reshape(-1).view(dtype) if count else np.zeros(0, dtype)
    part = whole.reshape(shape)
    if shape:
        part = part.transpose(draw(st.permutations(range(len(shape)))))
        part = part[draw(npst.basic_indices(part.shape, allow_newaxis=True))]
    part = np.asarray(part)
    if draw(st.booleans()):
        part = np.broadcast_to(part, (2, *part.shape))
    return part


def equal(one, other):
    return one.dtype == other.dtype and one.shape == other.shape and one.tolist() == other.tolist()


@given(parts())
def test_a_copy_is_equal_and_owns_its_memory(part):
    own = copied(part)
    assert equal(own, part)
    assert own.flags.c_contiguous
    assert own.flags.owndata
    assert own.flags.writeable
    assert not np.may_share_memory(own, part)


@given(parts(), st.data())
def test_voxels_are_copied_to_a_part_of_others_and_nowhere_else(part, data):
    margins = data.draw(st.lists(st.integers(0, 2), min_size=part.ndim, max_size=part.ndim))
    whole = np.zeros([n + 2 * m for n, m in zip(part.shape, margins, strict=True)], part.dtype)
    where = tuple(slice(m, m + n) for n, m in zip(part.shape, margins, strict=True))
    wanted = whole.copy()
    wanted[(..., *where)] = part
    copy_voxels(whole[(..., *where)], part)
    assert equal(whole, wanted)


@given(parts(), st.data())
def test_voxels_are_copied_in_any_order_of_memory(part, data):
    out = np.empty(part.shape, part.dtype, order=data.draw(st.sampled_from("CF")))
    if part.ndim:
        out = out[(..., slice(None, None, data.draw(st.sampled_from([1, -1]))))]
    copy_voxels(out, part)
    assert equal(out, part)


def test_copies_within_one_array_are_of_what_was_there():
    volume = np.arange(48, dtype=np.uint16).reshape(2, 4, 6)
    wanted = volume.copy()
    wanted[:, 1:, 1:] = wanted[:, :-1, :-1].copy()
    copy_voxels(volume[:, 1:, 1:], volume[:, :-1, :-1])
    np.testing.assert_array_equal(volume, wanted)


def test_what_lies_between_fields_stays():
    whole = np.zeros((2, 3), [("x", "i4"), ("y", "i4"), ("z", "i4")])
    whole["y"] = 9
    part = np.ones((2, 3), whole.dtype)[["x", "z"]]
    copy_voxels(whole[["x", "z"]], part)
    assert whole.tolist() == [[(1, 9, 1)] * 3] * 2
    assert copied(part).tolist() == part.tolist()


@pytest.mark.parametrize("kind", [np.ma.MaskedArray, np.recarray, np.matrix])
def test_other_classes_are_kept(kind):
    data = np.arange(12).reshape(3, 4)
    voxels = np.ma.masked_greater(data, 5) if kind is np.ma.MaskedArray else data.view(kind)
    own = copied(voxels)
    assert type(own) is kind
    assert own.tolist() == voxels.tolist()


def test_other_types_and_shapes_are_numpys_affair():
    out = np.zeros((3, 4), np.float32)
    copy_voxels(out, np.arange(4))
    np.testing.assert_array_equal(out, [[0, 1, 2, 3]] * 3)
    with pytest.raises(TypeError, match="Cannot cast"):
        copy_voxels(out, np.zeros((3, 4)), casting="no")
    with pytest.raises(TypeError, match="Cannot cast"):
        copy_voxels(np.zeros((3, 4), int), out)
    with pytest.raises(ValueError, match="broadcast"):
        copy_voxels(out, np.zeros((3, 5), np.float32))
