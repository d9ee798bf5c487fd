"""Maps of objects and boundaries become instances."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxflow.ops.label_edges import label_edges
from voxflow.segmentation import segment_maps


def discs(dims=2, size=32, radius=5):
    """Labels of two objects that touch, and of one by itself; and clean maps of them."""
    shape = (9,) * (dims - 2) + (size, size)
    place = np.indices(shape)[-2:] + 0.5
    labels = np.zeros(shape, np.int64)
    for number, centre in enumerate([(8, 8), (8, 8 + 2 * radius), (24, 20)], 1):
        labels[radius**2 > ((place.T - centre) ** 2).sum(-1).T] = number
    told = label_edges(labels, 1, (1, 0, 2, 2), None, False, 0)
    return labels, (told == 1).astype(float), (told == 2).astype(float)


def same_partition(one, other):
    pairs = np.unique(np.stack([one.ravel(), other.ravel()]), axis=1)
    return pairs.shape[1] == len(np.unique(one)) == len(np.unique(other))


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("method", ["components", "watershed"])
def test_clean_maps_give_the_objects(dims, method):
    if method == "watershed":
        pytest.importorskip("skimage")
    labels, objects, boundaries = discs(dims)
    found = segment_maps(objects, boundaries, method=method)
    assert same_partition(found > 0, labels > 0) or (found > 0).sum() > 0.9 * (labels > 0).sum()
    assert found.max() == 3
    both = (found > 0) & (labels > 0)
    assert same_partition(found[both], labels[both])


def test_objects_that_touch_are_one_without_their_boundary_and_come_apart_by_flooding():
    pytest.importorskip("skimage")
    labels, _, boundaries = discs()
    objects = (labels > 0).astype(float)
    assert segment_maps(objects, boundaries * 0).max() == 2
    assert segment_maps(objects, boundaries * 0, method="watershed", seed_distance=3).max() == 3


def test_objects_grow_by_what_was_cut_off_from_them():
    objects = np.zeros((9, 9))
    objects[4, 4] = 1
    found = {grow: segment_maps(objects, objects * 0, grow=grow) for grow in (0, 1, 1.5)}
    assert [int(labels.sum()) for labels in found.values()] == [1, 5, 9]


@given(st.integers(0, 6), st.integers(0, 2**32 - 1))
def test_small_objects_are_left_out_and_numbers_have_no_gaps(least, seed):
    rng = np.random.default_rng(seed)
    objects = rng.random((12, 11))
    whole = segment_maps(objects, objects * 0, grow=0)
    found = segment_maps(objects, objects * 0, grow=0, min_size=least)
    sizes = np.bincount(whole.ravel())[1:]
    assert found.max(initial=0) == (sizes >= least).sum()
    assert (np.bincount(found.ravel())[1:] >= max(least, 1)).all()


def test_nothing_is_no_object():
    nothing = np.zeros((4, 5))
    assert not segment_maps(nothing, nothing).any()


@pytest.mark.parametrize(
    "wrong", [{"threshold": 1.0}, {"grow": -1}, {"method": "magic"}, {"boundaries": np.zeros(3)}]
)
def test_mistakes_are_told(wrong):
    given_ = {"objects": np.zeros((4, 4)), "boundaries": np.zeros((4, 4)), **wrong}
    with pytest.raises(ValueError, match="maps of one shape|method is one of"):
        segment_maps(**given_)
