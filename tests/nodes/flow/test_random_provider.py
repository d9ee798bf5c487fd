import numpy as np
import pytest
from scipy.stats import chisquare

import voxflow as gp

RAW, LABELS, WHICH = gp.ArrayKey("RAW"), gp.ArrayKey("LABELS"), gp.ArrayKey("WHICH")


def source(value, shape=(6, 6), voxel_size=(2, 2), dtype=np.uint8):
    spec = gp.ArraySpec(voxel_size=voxel_size)
    return gp.ArraySource(RAW, np.full(shape, value, dtype), spec=spec)


def choices(node, inputs, n, seed=0):
    request = gp.BatchRequest({RAW: gp.Roi((0, 0), (4, 4))})
    with gp.build(inputs + node, seed=seed) as pipeline:
        return [int(pipeline.request_batch(request)[RAW].data[0, 0]) for _ in range(n)]


def test_chooses_as_likely_as_it_is_told():
    inputs = (source(0), source(1), source(2))
    found = np.bincount(choices(gp.RandomProvider([1, 0, 3]), inputs, 400), minlength=3)
    assert found[1] == 0
    assert chisquare(found[[0, 2]], [100, 300]).pvalue > 0.001


def test_chooses_all_alike_by_default():
    found = np.bincount(choices(gp.RandomProvider(), (source(0), source(1)), 400), minlength=2)
    assert chisquare(found).pvalue > 0.001


def test_says_what_it_chose():
    request = gp.BatchRequest({RAW: gp.Roi((0, 0), (4, 4)), WHICH: gp.ArraySpec(nonspatial=True)})
    node = gp.RandomProvider(random_provider_key=WHICH)
    with gp.build((source(0), source(1)) + node, seed=3) as pipeline:
        for _ in range(10):
            batch = pipeline.request_batch(request)
            assert int(batch[WHICH].data) == int(batch[RAW].data[0, 0])
        del request[WHICH]
        assert WHICH not in pipeline.request_batch(request)


def test_offers_what_all_inputs_have():
    both = (
        source(0),
        gp.ArraySource(LABELS, np.zeros((6, 6)), spec=gp.ArraySpec(voxel_size=(2, 2))),
    )
    with gp.build(
        (both + gp.MergeProvider(), source(1, (4, 8), dtype=np.uint16)) + gp.RandomProvider()
    ) as p:
        assert LABELS not in p.spec
        assert p.spec[RAW].roi == gp.Roi((0, 0), (8, 12))
        assert p.spec[RAW].dtype is None


@pytest.mark.parametrize(
    ("inputs", "node", "text"),
    [
        ((source(0), source(1)), gp.RandomProvider([1]), "1 probabilities for 2 inputs"),
        ((source(0), source(1, voxel_size=(2, 4))), gp.RandomProvider(), "different voxel sizes"),
    ],
)
def test_refuses_inputs_that_do_not_fit(inputs, node, text):
    with pytest.raises(gp.PipelineSetupError, match=text), gp.build(inputs + node):
        pass


@pytest.mark.parametrize("probabilities", [[-1, 2], [0, 0]])
def test_refuses_probabilities_that_are_none(probabilities):
    with pytest.raises(ValueError, match="0 or more, and not all 0"):
        gp.RandomProvider(probabilities)
