"""Datasets are compared where both lie, block by block, or refused."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import voxflow as vf
from voxflow.evaluation import aligned
from voxflow.evaluation.contingency import contingency
from voxflow.evaluation.evaluate import evaluate, scores_of
from voxflow.stores import ArrayDataset, Geometry, create_dataset, open_dataset


def array(labels, offset=None, voxel_size=None):
    size = voxel_size or (1,) * labels.ndim
    attrs = {"resolution": list(size), "offset": list(offset or (0,) * len(size))}
    return ArrayDataset(labels, attrs=attrs)


def labels(shape, seed=0, most=6):
    coarse = np.random.default_rng(seed).integers(0, most, [-(-n // 3) for n in shape])
    for axis in range(len(shape)):
        coarse = coarse.repeat(3, axis)
    return coarse[tuple(slice(n) for n in shape)].astype("u8")


def stored(folder, name, data, **options):
    geometry = options.pop("geometry", Geometry((40, 9.8, 4), (80, 0, -8)))
    dataset = create_dataset(
        folder / name, "labels", data.shape, data.dtype, geometry=geometry, **options
    )
    dataset.write((), data)
    return folder / name, "labels"


@settings(max_examples=20)
@given(st.integers(1, 3), st.integers(0, 1000), st.integers(1, 60))
def test_blocks_give_what_the_whole_does(dims, seed, voxels):
    shape = tuple(np.random.default_rng(seed).integers(3, 9, dims))
    truth, found = labels(shape, seed), labels(shape, seed + 1)
    mask = (labels(shape, seed + 2) > 1).astype("u1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(aligned.block_shape, "__defaults__", (voxels,))
        done = evaluate(truth, found, mask=mask, ignore=[3])
    table = contingency(truth, found, mask=mask).without([3])
    np.testing.assert_equal(done.scores, scores_of(table))
    for column in ("truth", "found", "voxels"):
        np.testing.assert_array_equal(getattr(done.table, column), getattr(table, column))
    for a, b, place in zip(table.truth, table.found, done.table.positions(), strict=True):
        assert (truth[*place], found[*place]) == (a, b)


@pytest.mark.parametrize("names", [("a.hdf", "b.zarr"), ("a.n5", "b.hdf")])
def test_files_of_any_format(tmp_path, names):
    truth, found = labels((5, 12, 14)), labels((5, 12, 14), 1)
    one = stored(tmp_path, names[0], truth, chunks=(2, 5, 5))
    other = stored(tmp_path, names[1], found, chunks=(5, 4, 6))
    done = evaluate(one, open_dataset(*other))
    assert done.scores == scores_of(contingency(truth, found))
    assert done.notes == ()
    assert done.region == vf.Roi((80, 0, -8), vf.Coordinate(200, 12 * vf.Coordinate(9.8)[0], 56))
    worst = done.splits[0]
    where = [(p - o) // s for p, o, s in zip(worst.pieces[0].position, done.region.offset,
             done.voxel_size, strict=True)]  # fmt: skip
    assert (truth[*where], found[*where]) == (worst.id, worst.pieces[0].id)
    assert json.loads(json.dumps(done.to_json()))["scores"]["voi"] == done.scores["voi"]


def test_the_common_region_is_compared_and_said(tmp_path):
    whole = labels((8, 10, 12))
    done = evaluate(array(whole, (0, 0, 0), (2, 4, 4.5)),
                    array(whole[2:7, 3:], (4, 12, 0), (2, 4, 4.5)))  # fmt: skip
    assert done.scores["voi"] == 0
    assert done.region == vf.Roi((4, 12, 0), (10, 28, 54))
    (note,) = done.notes
    assert "the truth" in note
    assert "56.25% is left out" in note
    part = evaluate(array(whole), array(whole + 1, (3, 3, 3)), region=vf.Roi((0, 0, 0), (4, 4, 4)))
    assert part.region == vf.Roi((3, 3, 3), (1, 1, 1))
    assert part.table.total == 1
    assert len(part.notes) == 1  # of the truth, which covers all that was asked for
    assert evaluate(array(whole), array(whole), region=part.region).notes == ()
    shifted = evaluate(array(whole, (-1, 0, 0)), array(whole))
    expected = contingency(whole[1:], whole[:-1])
    assert shifted.scores == scores_of(expected)


@pytest.mark.parametrize(
    ("offset", "voxel_size", "message"),
    [
        (
            (0, 0),
            (4, 8),
            r"voxel sizes differ: .* \(4, 4\), the segm.* \(4, 8\)",
        ),
        ((0, 2), (4, 4), r"lies \(0, 2\) world units beside the voxels of the truth"),
        ((400, 0), (4, 4), r"no region of the world is common"),
    ],
)
def test_what_cannot_be_compared_is_refused(offset, voxel_size, message):
    ids = labels((8, 8))
    with pytest.raises(ValueError, match=message):
        evaluate(array(ids, (0, 0), (4, 4)), array(ids, offset, voxel_size))


def test_an_array_of_a_batch():
    ids = labels((6, 8))
    spec = vf.ArraySpec(vf.Roi((4, 8), (24, 32)), vf.Coordinate(4, 4))
    done = evaluate(vf.Array(ids, spec), array(ids[1:], (8, 8), (4, 4)))
    assert done.region == vf.Roi((8, 8), (20, 32))
    assert done.scores["voi"] == 0
    assert evaluate(vf.Array(ids), ids).region == vf.Roi((0, 0), (6, 8))


def test_a_region_off_the_grid_is_refused():
    ids = array(labels((8, 8)), (0, 0), (4, 4))
    with pytest.raises(ValueError, match="the region begins or ends"):
        evaluate(ids, ids, region=vf.Roi((0, 2), (8, 8)))


def test_what_does_not_say_where_it_lies():
    ids = labels((6, 8))
    assert "voxel by voxel" in evaluate(ids, ids).notes[0]
    (note,) = evaluate(ids, array(ids, (8, 0), (4, 4))).notes
    assert "the truth" in note
    assert "is taken to lie where the segmentation" in note
    with pytest.raises(ValueError, match="does not say its voxel size, and its shape"):
        evaluate(ids, array(ids[:3], (8, 0), (4, 4)))
    with pytest.raises(ValueError, match="does not say its voxel size, and its shape"):
        evaluate(ids, ids[:3])


def test_what_is_no_labels_is_refused():
    ids = labels((6, 8))
    with pytest.raises(TypeError, match=r"segmentation .* is float32.*--scores"):
        evaluate(ids, ids.astype("f4"))
    with pytest.raises(TypeError, match=r"truth .* is float64"):
        evaluate(ids.astype("f8"), ids)
    with pytest.raises(ValueError, match="the truth has the id -1 at voxel"):
        evaluate(ids.astype("i8") - 1, ids)
    many = array(np.stack([ids, ids]), voxel_size=(1, 1))
    with pytest.raises(ValueError, match="2 values a voxel"):
        evaluate(array(ids), many)
    one = array(ids[None], voxel_size=(1, 1))
    assert evaluate(array(ids), one).scores["voi"] == 0
    with pytest.raises(ValueError, match="background is 'ignore'"):
        evaluate(ids, ids, background="none")


def test_a_mask_of_another_place():
    ids = array(labels((6, 8)), (0, 0), (4, 4))
    mask = array(np.ones((2, 3), bool), (4, 8), (4, 4))
    done = evaluate(ids, ids, mask=mask)
    assert done.table.total == 6
    assert any("the mask" not in note and "is left out" in note for note in done.notes)


def test_background():
    truth = np.array([0, 0, 1, 1, 1, 1])
    found = np.array([2, 2, 0, 0, 3, 3])
    ignore = evaluate(truth, found).scores
    assert (ignore["voxels"], ignore["voi_split"], ignore["voi_merge"]) == (4, 1, 0)
    singles = evaluate(truth, found, background="singletons").scores
    assert (singles["voxels"], singles["voi_split"]) == (4, 1.5)
    alike = evaluate(truth, found, background="object").scores
    assert (alike["voxels"], alike["voi_merge"]) == (6, 0)
    assert alike["voi_split"] == pytest.approx(4 / 6)
    # Over the background of the truth there is an object too many, unless that says nothing.
    assert (ignore["objects_found"], ignore["precision@0.5"]) == (2, 0.5)
    assert evaluate(truth, found, ignore=[0]).scores["precision@0.5"] == 1


def test_nothing_to_compare_is_not_a_number():
    nothing = np.zeros((3, 4), "u8")
    for found in (nothing, nothing + 1):
        done = evaluate(nothing, found)
        assert math.isnan(done.scores["voi"])
        assert done.to_json()["scores"]["voi"] is None
    assert math.isnan(evaluate(nothing, nothing).scores["f1@0.5"])
    assert evaluate(nothing, nothing + 1).scores["f1@0.5"] == 0
    assert evaluate(nothing + 1, nothing).scores["f1@0.5"] == 0


def test_blocks_are_whole_chunks():
    part = aligned.placed(ArrayDataset(np.zeros((9, 9, 9), "u1")), "truth")
    assert aligned.block_shape(part, (9, 9, 9), 100) == (1, 4, 16)

    class Chunked(ArrayDataset):
        chunks = (3, 4, 5)

    part = aligned.placed(Chunked(np.zeros((90, 90, 90), "u1")), "truth")
    assert aligned.block_shape(part, (90, 90, 90), 10**5) == (3, 128, 160)
