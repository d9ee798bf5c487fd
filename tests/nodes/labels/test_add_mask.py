import numpy as np
import pytest

import voxflow as gp
from tests.helpers import served, source, specs
from voxflow.pipeline.data.kinds import Descriptors, Vectors

LABELS, MASK = gp.ArrayKey("LABELS"), gp.ArrayKey("MASK")


def mask(data, **kwargs):
    pipeline = source(LABELS, np.array(data), (4,)) + gp.AddMask(LABELS, MASK, **kwargs)
    got = served(pipeline, gp.BatchRequest({MASK: gp.Roi((0,), (4 * len(data),))}))[MASK].data
    assert got.dtype == np.uint8
    return got.tolist()


def test_what_says_nothing():
    assert mask(np.array([-1, 0, 1, -128], np.int8)) == [0, 1, 1, 0]
    assert mask(np.array([-1, 0, 1, 7], np.int16), ignore=[1, 0]) == [0, 0, 0, 1]
    assert mask([0.5, np.nan, -0.5, np.inf]) == [1, 0, 0, 1]
    assert mask([0.5, np.nan, -0.5, np.inf], negative=True) == [1, 0, 1, 1]
    assert mask(np.array([-1, 0], np.int8), negative=True) == [1, 1]
    assert mask([True, False]) == [1, 1]
    assert mask(np.array([2**64 - 1, 2**63, 0], np.uint64), ignore=[2**63]) == [1, 0, 1]


def test_what_is_offered():
    pipeline = source(LABELS, np.ones((2, 4)), (4,)) + gp.AddMask(LABELS, MASK)
    with specs(pipeline) as spec:
        assert spec[MASK].roi == spec[LABELS].roi
        assert (spec[MASK].dtype, spec[MASK].interpolatable) == (np.uint8, False)


def test_a_nonspatial_array_has_a_mask_as_well():
    vector = gp.Array(np.array([1, -1]), gp.ArraySpec(nonspatial=True))
    pipeline = gp.ArraySource(LABELS, vector) + gp.AddMask(LABELS, MASK)
    request = gp.BatchRequest()
    request[MASK] = gp.ArraySpec(nonspatial=True)
    assert served(pipeline, request)[MASK].data.tolist() == [1, 0]


def test_mistakes():
    with pytest.raises(TypeError, match="ids are whole numbers"):
        gp.AddMask(LABELS, MASK, ignore=[1.5])
    with pytest.raises(gp.PipelineSetupError, match=r"ignore labels \[1\], but LABELS is float64"):
        mask([1.0], ignore=[1])


@pytest.mark.parametrize("kind", [Vectors(), Descriptors(8)])
def test_a_mask_of_vectors_is_mirrored_and_transposed_with_them(kind):
    count = 2 if isinstance(kind, Vectors) else 6
    data = np.ones((count, 3, 3), np.float32)
    data[0, 0, 1] = data[1, 2, 2] = np.nan
    spec = gp.ArraySpec(voxel_size=(4, 4), kind=kind)
    known = np.ones((count, 3, 3))
    known[:, 0, 1] = known[:, 2, 2] = 0
    turn = gp.SimpleAugment(mirror_probs=[1, 1], transpose_probs={(1, 0): 1})
    pipeline = gp.ArraySource(LABELS, data, spec=spec) + gp.AddMask(LABELS, MASK) + turn
    with gp.build(pipeline, seed=1):
        roi = gp.Roi((0, 0), (12, 12))
        got = pipeline.request_batch(gp.BatchRequest({MASK: roi}))[MASK].data
    np.testing.assert_array_equal(got, known[:, ::-1, ::-1].transpose(0, 2, 1))
