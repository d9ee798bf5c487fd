import math

import numpy as np
import pytest
import torch
from torch.nn import functional

import voxflow as gp
from voxflow.torch import lazy_nll


def some(batch=2, classes=3, shape=(4, 5), seed=0):
    rng = torch.Generator().manual_seed(seed)
    logits = torch.randn(batch, classes, *shape, generator=rng, requires_grad=True)
    return logits, torch.randint(-1, classes, (batch, *shape), generator=rng)


def by_hand(logits, labels, labelled, absent, class_weights, voxel_weights, normalize):
    """Voxel by voxel, in Python."""
    p = torch.softmax(logits.detach().double(), 1)
    total = mass = count = 0.0
    for index in np.ndindex(*labels.shape):
        sample, y, w = index[0], int(labels[index]), float(voxel_weights[index])
        terms = []
        if y >= 0 and labelled[sample, y]:
            terms.append((y, -math.log(p[(sample, y, *index[1:])])))
        for k in range(logits.shape[1]):
            if absent[sample, k]:
                terms.append((k, -math.log(1 - p[(sample, k, *index[1:])])))
        for k, term in terms:
            total += w * float(class_weights[k]) * term
            mass += w * float(class_weights[k])
            count += w != 0
    return total / (count if normalize == "count" else mass)


@pytest.mark.parametrize("normalize", ["count", "sum"])
def test_equals_the_sum_over_voxels(normalize):
    logits, labels = some()
    labelled = torch.tensor([[1, 1, 0], [0, 1, 1]])
    absent = torch.tensor([[0, 0, 1], [1, 0, 1]])
    class_weights = torch.tensor([1.0, 5.0, 0.5])
    voxel_weights = torch.rand(labels.shape).round(decimals=1) * (torch.rand(labels.shape) > 0.3)
    arguments = labelled, absent, class_weights, voxel_weights, normalize
    got = lazy_nll(logits, labels, *arguments)
    assert got.item() == pytest.approx(by_hand(logits, labels, *arguments), rel=1e-5)


def test_without_masks_it_is_the_cross_entropy():
    logits, labels = some()
    wanted = functional.cross_entropy(logits, labels, ignore_index=-1)
    ones, zeros = torch.ones(2, 3), torch.zeros(2, 3)
    for got in (lazy_nll(logits, labels), lazy_nll(logits, labels, ones, zeros)):
        torch.testing.assert_close(got, wanted)
    weights = torch.tensor([1.0, 5.0, 2.0])
    wanted = functional.cross_entropy(logits, labels, weights, ignore_index=-1)
    torch.testing.assert_close(lazy_nll(logits, labels, class_weights=weights), wanted)


def test_one_voxel_with_an_absent_class():
    logits = torch.tensor([[0.7, 0.2, 0.1]]).log()
    loss = lazy_nll(logits, torch.tensor([0]), torch.ones(1, 3), torch.tensor([[0, 0, 1]]))
    assert round(float(loss), 5) == 0.23102


def test_pseudo_labels_are_where_there_is_no_label_and_the_model_is_sure():
    logits = torch.tensor([[0.95, 0.05], [0.15, 0.85], [0.3, 0.7]]).log().requires_grad_()
    loss = lazy_nll(logits, torch.tensor([-1, -1, 1]), pseudo_label_threshold=0.9)
    assert loss.item() == pytest.approx((0.05129 - math.log(0.7)) / 2, abs=1e-5)
    loss.backward()
    assert logits.grad.any(1).tolist() == [True, False, True]
    # A label that is there is not overruled.
    sure = lazy_nll(logits, torch.tensor([1, -1, -1]), pseudo_label_threshold=0.9)
    assert sure.item() == pytest.approx(-math.log(0.05), rel=1e-5)
    alone = lazy_nll(logits[:1], torch.tensor([-1]), pseudo_label_threshold=0.9)
    assert alone.item() == pytest.approx(0.05129, abs=1e-5)
    with pytest.raises(ValueError, match="in \\[0.5, 1\\)"):
        lazy_nll(logits, torch.tensor([0, 0, 0]), pseudo_label_threshold=0.4)


def test_two_ways_to_weigh_classes():
    # the cross entropy of each voxel is 1: p = 1 / e
    other = math.log(math.e - 1)
    labels = torch.tensor([0] * 9 + [1])
    logits = torch.tensor([[0, other]] * 9 + [[other, 0]])
    weights = torch.tensor([1.0, 5.0])
    for normalize, wanted in (("count", 1.4), ("sum", 1.0)):
        loss = lazy_nll(logits, labels, class_weights=weights, normalize=normalize)
        assert float(loss) == pytest.approx(wanted)


@pytest.mark.parametrize("normalize", ["count", "sum"])
@pytest.mark.parametrize("how", ["labels", "labelled", "voxel_weights"])
def test_with_nothing_to_learn_loss_and_gradients_are_zero(how, normalize):
    logits, labels = some()
    masks = {}
    if how == "labels":
        labels = torch.full_like(labels, -7)
    elif how == "labelled":
        masks["labelled"] = torch.zeros(2, 3)
    else:
        masks["voxel_weights"] = torch.zeros(labels.shape)
    loss = lazy_nll(logits, labels, normalize=normalize, **masks)
    loss.backward()
    assert loss.item() == 0
    assert not logits.grad.any()


def test_what_is_masked_has_no_gradient():
    logits, labels = some()
    weights = torch.ones(labels.shape)
    weights[:, :2] = 0
    lazy_nll(logits, labels, absent=torch.ones(2, 3), voxel_weights=weights).backward()
    assert not logits.grad[:, :, :2].any()
    assert logits.grad[:, :, 2:].all()


def test_certainty_is_no_accident():
    logits = torch.tensor([[200.0, 0.0], [-200.0, 0.0]], requires_grad=True)
    loss = lazy_nll(logits, torch.tensor([-1, -1]), absent=torch.tensor([[1, 0], [1, 0]]))
    loss.backward()
    assert loss.item() == 100
    assert torch.isfinite(logits.grad).all()


def test_masks_of_classes_come_with_the_cube_that_is_drawn():
    raw, absent = gp.ArrayKey("RAW"), gp.ArrayKey("ABSENT")
    spec, vector = gp.ArraySpec(voxel_size=(4, 4)), gp.ArraySpec(nonspatial=True)
    cubes = [
        (
            gp.ArraySource(raw, np.full((8, 8), number, np.float32), spec=spec),
            gp.ArraySource(absent, gp.Array(np.eye(3, dtype=np.uint8)[number], vector)),
        )
        + gp.MergeProvider()
        + gp.RandomLocation()
        for number in range(3)
    ]
    pipeline = tuple(cubes) + gp.RandomProvider() + gp.SimpleAugment() + gp.Stack(20)
    request = gp.BatchRequest({raw: gp.Roi((0, 0), (8, 8))})
    request[absent] = vector
    with gp.build(pipeline, seed=0):
        batch = pipeline.request_batch(request)
    numbers = batch[raw].data[:, 0, 0].astype(int)
    assert set(numbers) == {0, 1, 2}
    np.testing.assert_array_equal(batch[absent].data, np.eye(3)[numbers])


def test_mistakes():
    logits, labels = some()
    with pytest.raises(ValueError, match="a label 3, but only 3 classes"):
        lazy_nll(logits, torch.full_like(labels, 3))
    with pytest.raises(ValueError, match="two classes or more"):
        lazy_nll(logits[:, :1], labels)
    with pytest.raises(ValueError, match=r"absent have shape \(3, 2\); .* it is \(2, 3\)"):
        lazy_nll(logits, labels, absent=torch.zeros(3, 2))
    with pytest.raises(ValueError, match=r"labels have shape \(1, 4, 5\)"):
        lazy_nll(logits, labels[:1])
    with pytest.raises(ValueError, match="got 'mean'"):
        lazy_nll(logits, labels, normalize="mean")
