import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from scipy import ndimage

import voxflow as gp
from tests.helpers import asking, served, source

RAW, LABELS = gp.ArrayKey("RAW"), gp.ArrayKey("LABELS")


def erased(data, voxel_size, seed=1, **kwargs):
    pipeline = source(RAW, data, voxel_size) + gp.Erase(RAW, **kwargs)
    roi = (
        (0,) * len(voxel_size),
        gp.Coordinate(voxel_size) * gp.Coordinate(data.shape[-len(voxel_size) :]),
    )
    return served(pipeline, asking(RAW=roi), seed)[RAW].data


@given(seed=st.integers(0, 2**32), diameter=st.integers(10, 32))
@settings(max_examples=30)
def test_a_blob_has_its_size(seed, diameter):
    data = np.ones((2, 200, 201), np.float32)
    made = erased(data, (1, 1), seed, count=(1, 1), diameter=(diameter, diameter))
    gone = made[0] == 0
    np.testing.assert_array_equal(made[0], made[1])
    assert set(np.unique(made)) == {0, 1}
    (where,) = ndimage.find_objects(gone.astype(int))
    whole = all(s.start > 0 and s.stop < n for s, n in zip(where, gone.shape, strict=True))
    if whole:
        assert abs(gone.sum() - np.pi * diameter**2 / 4) < 0.12 * np.pi * diameter**2 / 4
        assert all(diameter - 1 <= s.stop - s.start <= diameter + 1 for s in where)


def test_blobs_are_round_in_the_world():
    made = erased(np.ones((40, 200, 200)), (5, 1, 1), 5, count=(1, 1), diameter=(30, 30))
    (where,) = ndimage.find_objects((made == 0).astype(int))
    extent = [s.stop - s.start for s in where]
    assert extent[0] in (5, 6, 7)
    assert extent[1] in (29, 30, 31)


def test_from_5_to_15_blobs():
    data = np.ones((4000, 4000), np.float32)
    pipeline = source(RAW, data, (1, 1)) + gp.Erase(RAW, diameter=(3, 3))
    counts = []
    with gp.build(pipeline, seed=1):
        for _ in range(40):
            made = pipeline.request_batch(asking(RAW=((0, 0), (4000, 4000))))[RAW].data
            counts.append(ndimage.label(made == 0)[1])
    assert min(counts) >= 4  # one may lie beside the image, or on another
    assert max(counts) <= 15
    assert len(set(counts)) > 6


def test_labels_and_source_stay():
    data, labels = np.ones((50, 50), np.float32), np.full((50, 50), 2**64 - 1, np.uint64)
    pipeline = (source(RAW, data, (1, 1)), source(LABELS, labels, (1, 1))) + gp.MergeProvider()
    batch = served(
        pipeline + gp.Erase(RAW, value=0.5),
        asking(RAW=((0, 0), (50, 50)), LABELS=((0, 0), (50, 50))),
    )
    assert (batch[RAW].data == 0.5).any()
    assert (batch[LABELS].data == 2**64 - 1).all()
    assert (data == 1).all()


@pytest.mark.parametrize("kwargs", [{"count": (3, 1)}, {"diameter": (0, 1)}, {"count": (-1, 1)}])
def test_mistakes(kwargs):
    with pytest.raises(ValueError, match="goes from low|larger than 0"):
        gp.Erase(RAW, **kwargs)
