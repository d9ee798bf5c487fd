import numpy as np
import pytest

import voxflow as gp
from tests.helpers import asking, served, source

AFFS, SCALES = gp.ArrayKey("AFFS"), gp.ArrayKey("SCALES")
MASK, OTHER = gp.ArrayKey("MASK"), gp.ArrayKey("OTHER")


def affs(fraction, channels=1):
    data = np.zeros((channels, 10, 10), np.uint8)
    data.reshape(channels, -1)[:, : round(100 * fraction)] = 1
    return data


def balanced(data, masks=(), **kwargs):
    keys = [MASK, OTHER][: len(masks)]
    inputs = [source(AFFS, data, (1, 1))]
    inputs += [source(k, np.asarray(m), (1, 1)) for k, m in zip(keys, masks, strict=True)]
    pipeline = tuple(inputs) + gp.MergeProvider() + gp.BalanceLabels(AFFS, SCALES, **kwargs)
    with gp.build(pipeline, seed=1):
        batch = pipeline.request_batch(asking(SCALES=((0, 0), (10, 10))))
        spec = pipeline.spec[SCALES]
    assert AFFS not in batch
    array = batch[SCALES]
    assert array.data.dtype == array.spec.dtype == spec.dtype == np.float32
    assert array.data.shape == data.shape
    assert (spec.roi, spec.interpolatable) == (gp.Roi((0, 0), (10, 10)), array.spec.interpolatable)
    return array.data


@pytest.mark.parametrize(
    ("fraction", "negative", "positive"),
    [(0.5, 1, 1), (0.1, 0.5556, 5), (0.02, 0.5263, 10), (0.98, 10, 0.5263), (0, 0.5263, None)],
)
def test_golden_weights(fraction, negative, positive):
    data = affs(fraction)
    scales = balanced(data)
    np.testing.assert_allclose(scales[data == 0], negative, atol=1e-4)
    if positive is not None:
        np.testing.assert_allclose(scales[data == 1], positive, atol=1e-4)


def test_masked_voxels_weigh_and_count_nothing():
    data = affs(0.5)
    mask = np.ones_like(data)
    mask[0, 5:] = 0
    mask[0, 0, :5] = 0
    scales = balanced(data, [mask], mask=MASK)
    assert not scales[mask == 0].any()
    np.testing.assert_allclose(scales[mask == 1], 1 / (2 * 0.95))
    both = balanced(data, [mask, 2 * mask], mask=[MASK, OTHER])
    assert not both[mask == 0].any()


def test_slabs_are_balanced_by_themselves():
    data = np.concatenate([affs(0.1), affs(0.5)])
    scales = balanced(data, slab=(1, -1, -1))
    assert scales[0].max() == pytest.approx(5)
    np.testing.assert_allclose(scales[1], 1)


def test_many_classes_and_no_bounds():
    data = affs(0.02) + 2 * affs(0.01)
    scales = balanced(data, num_classes=4, clipmin=None, clipmax=None)
    np.testing.assert_allclose(scales[data == 3], 1 / (4 * 0.01), rtol=1e-5)
    np.testing.assert_allclose(scales[data == 0], 1 / (4 * 0.98), rtol=1e-5)


def test_weights_are_those_of_the_region_that_is_asked_for():
    pipeline = source(AFFS, affs(0.1), (2, 2)) + gp.BalanceLabels(AFFS, SCALES)
    batch = served(pipeline, asking(SCALES=((0, 0), (4, 20)), AFFS=((0, 0), (2, 20))))
    np.testing.assert_allclose(batch[SCALES].data, 1)
    assert batch[AFFS].data.shape == (1, 1, 10)


def test_labels_that_are_no_class_are_an_error():
    with pytest.raises(ValueError, match=r"(?s)class"):
        balanced(3 * affs(0.1))


@pytest.mark.parametrize(
    ("kwargs", "text"),
    [({"num_classes": 0}, "num_classes of 1 or more"), ({"slab": (0, -1)}, "1 or more, or -1")],
)
def test_arguments_are_checked_at_once(kwargs, text):
    with pytest.raises(ValueError, match=text):
        gp.BalanceLabels(AFFS, SCALES, **kwargs)


def test_a_mask_of_other_voxels_is_said_at_setup():
    inputs = source(AFFS, affs(0.5), (1, 1)), source(MASK, np.ones((5, 5)), (2, 2))
    pipeline = inputs + gp.MergeProvider() + gp.BalanceLabels(AFFS, SCALES, MASK)
    text = r"AFFS, which are of \(1, 1\), but those of MASK are of \(2, 2\)"
    with pytest.raises(gp.PipelineSetupError, match=text), gp.build(pipeline):
        pass
