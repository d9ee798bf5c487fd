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


def sized(value, n, labels=None, located=True):
    """An image and its labels, which are smaller."""
    raw = source(value, (n, n))
    lab = np.zeros((n - 2, n - 2) if labels is None else labels, np.uint8)
    spec = gp.ArraySpec(gp.Roi((2, 2), gp.Coordinate(lab.shape) * 2), (2, 2))
    pair = (raw, gp.ArraySource(LABELS, lab, spec=spec)) + gp.MergeProvider()
    return pair + gp.RandomLocation() if located else pair


@pytest.mark.parametrize("located", [True, False])
def test_by_size_follows_the_labels(located):
    inputs = (sized(0, 9, (2, 3), located), sized(1, 9, (6, 3), located))
    found = np.bincount(choices(gp.RandomProvider(weights="size"), inputs, 2000))
    assert chisquare(found, [500, 1500]).pvalue > 0.001


def test_by_size_after_a_crop_and_through_another_choice():
    cropped = sized(0, 9, (6, 3), False) + gp.Crop(LABELS, gp.Roi((2, 2), (4, 6)))
    both = (sized(1, 9, (3, 4)), sized(1, 9, (2, 3))) + gp.RandomProvider()
    node = gp.RandomProvider(weights="size")
    with gp.build((cropped + gp.RandomLocation(), both + gp.RandomLocation()) + node):
        # The inner choice offers what its inputs have without bounds, together 12 + 6 voxels.
        np.testing.assert_allclose(node.probabilities, [6 / 24, 18 / 24])


def test_weights_are_those_of_all_inputs():
    inputs = (source(0), source(1), source(2))
    found = np.bincount(choices(gp.RandomProvider(weights=[1, 0, 2]), inputs, 2000))
    assert found[1] == 0
    assert chisquare(found[[0, 2]], [2000 / 3, 4000 / 3]).pvalue > 0.001


def test_says_if_a_size_is_not_known():
    lone = [
        gp.ArraySource(WHICH, np.zeros(3), spec=gp.ArraySpec(nonspatial=True)) for _ in range(2)
    ]
    with (
        pytest.raises(gp.PipelineSetupError, match="needs an array that is bounded"),
        gp.build(tuple(lone) + gp.RandomProvider(weights="size")),
    ):
        pass


def test_refuses_weights_that_say_nothing():
    with pytest.raises(ValueError, match="not both"):
        gp.RandomProvider([1], weights=[1])
    with pytest.raises(ValueError, match="'size', got 'big'"):
        gp.RandomProvider(weights="big")


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


@pytest.mark.parametrize("probabilities", [[-1, 2], [0, 0], [np.nan, 1], [np.inf, 1]])
def test_refuses_probabilities_that_are_none(probabilities):
    with pytest.raises(ValueError, match="0 or more, and not all 0"):
        gp.RandomProvider(probabilities)
