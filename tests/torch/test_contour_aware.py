"""The loss of objects and boundaries."""

import pytest
import torch
from torch.nn import functional

from voxflow.models import DCAN
from voxflow.torch import ContourAwareLoss
from voxflow.training.config.schema import LossSection
from voxflow.training.parts.network import make_loss


def example(*spatial, seed=0):
    made = torch.Generator().manual_seed(seed)
    logits = torch.randn(3, 2, *spatial, generator=made, requires_grad=True)
    return logits, torch.randint(0, 2, (3, 2, *spatial), generator=made).float()


def cross_entropy(logits, target):
    return functional.binary_cross_entropy_with_logits(logits, target)


@pytest.mark.parametrize("spatial", [(8,), (4, 6), (3, 4, 5)])
@pytest.mark.parametrize("logits", [True, False])
def test_it_is_the_weighted_sum_of_both(spatial, logits):
    given, target = example(*spatial)
    loss = ContourAwareLoss(obj_weight=0.3, bnd_weight=2.0, logits=logits)
    found = loss(given if logits else given.sigmoid(), target)
    objects, boundaries = (cross_entropy(given[:, n], target[:, n]) for n in (0, 1))
    torch.testing.assert_close(found, 0.3 * objects + 2 * boundaries)
    torch.testing.assert_close(
        loss.parts, {"objects": objects.detach(), "boundaries": boundaries.detach()}
    )


def test_twice_the_weight_is_twice_the_share_of_the_gradient():
    gradients = []
    for weight in (0.5, 1.0):
        logits, target = example(6, 6)
        ContourAwareLoss(bnd_weight=weight)(logits, target).backward()
        gradients.append(logits.grad)
    torch.testing.assert_close(gradients[1][:, 0], gradients[0][:, 0])
    torch.testing.assert_close(gradients[1][:, 1], 2 * gradients[0][:, 1])


@pytest.mark.parametrize("channels", [None, 1, 2])
def test_what_is_ignored_has_no_gradient(channels):
    logits, target = example(6, 6)
    mask = torch.zeros(3, *([] if channels is None else [channels]), 6, 6)
    mask[..., :4] = 1
    if channels == 2:
        mask[:, 1, :, :2] = 0
    value = ContourAwareLoss(1.0, 1.0)(logits, target, mask)
    value.backward()
    first = 2 if channels == 2 else 0
    wanted = cross_entropy(logits[:, 0, :, :4], target[:, 0, :, :4])
    wanted = wanted + cross_entropy(logits[:, 1, :, first:4], target[:, 1, :, first:4])
    torch.testing.assert_close(value, wanted)
    counts = (mask if channels else mask[:, None]).expand_as(logits) > 0
    assert torch.equal(logits.grad != 0, counts)


def test_all_ignored_is_0():
    logits, target = example(6, 6)
    value = ContourAwareLoss()(logits, target, torch.zeros(3, 6, 6))
    value.backward()
    assert value == 0
    assert not logits.grad.any()


def test_auxiliary_outputs_count_as_a_share():
    (logits, target), (side, _), (other, _) = (example(4, 4, seed=n) for n in range(3))
    loss = ContourAwareLoss(0.5, 2.0, auxiliary=0.1)
    assert loss.weights == pytest.approx([0.5, 2.0, 0.05, 0.2])
    found = loss(logits, target, side_8=side, side_16=other)
    wanted = 0
    for head, weight in ((0, 0.5), (1, 2.0)):
        one, *more = (cross_entropy(x[:, head], target[:, head]) for x in (logits, side, other))
        wanted = wanted + weight * (one + 0.1 * sum(more))
    torch.testing.assert_close(found, wanted)
    loss.weights = [0.5, 2.0, 0.0, 0.0]
    torch.testing.assert_close(
        loss(logits, target, side_8=side), ContourAwareLoss(0.5, 2.0)(logits, target)
    )
    torch.testing.assert_close(
        ContourAwareLoss()(logits, target, side_8=side), ContourAwareLoss()(logits, target)
    )


def test_auxiliary_outputs_are_ignored_where_the_output_is():
    (logits, target), (side, _) = (example(4, 4, seed=n) for n in range(2))
    mask = torch.zeros(3, 4, 4)
    mask[:, :3] = 1
    ContourAwareLoss(auxiliary=1.0)(logits, target, mask, side_8=side).backward()
    assert (side.grad[:, :, :3] != 0).all()
    assert not side.grad[:, :, 3:].any()


def test_probabilities_of_0_and_1_have_an_end():
    certain = torch.tensor([0.0, 1.0]).repeat(1, 2, 1)
    value = ContourAwareLoss(logits=False)(certain, 1 - certain)
    assert 10 < value < 20


def test_auxiliary_outputs_alone_train_the_network():
    torch.manual_seed(0)
    net = DCAN(1, fmaps=2, dropout=0.0, auxiliary=True)
    image, target = torch.randn(2, 1, 64, 64), torch.ones(2, 2, 64, 64)
    loss = ContourAwareLoss(auxiliary=1.0)
    loss.weights = [0.0, 0.0, 0.5, 0.5]
    output, *sides = net(image)
    loss(output, target, **{f"side_{n}": side for n, side in enumerate(sides)}).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


def test_a_configuration_names_it():
    loss = make_loss(LossSection(name="ContourAwareLoss", options={"bnd_weight": 3}))
    assert loss.weights == [0.5, 3.0]


def test_mistakes():
    logits, target = example(4, 4)
    with pytest.raises(ValueError, match="not negative; got .* = 0.5, -1, 0"):
        ContourAwareLoss(bnd_weight=-1)
    with pytest.raises(ValueError, match=r"got \(3, 2, 4, 4\) and \(3, 2, 4\)"):
        ContourAwareLoss()(logits, target[..., 0])
    with pytest.raises(ValueError, match=r"got \(3, 1, 4, 4\) and \(3, 1, 4, 4\)"):
        ContourAwareLoss()(logits[:, :1], target[:, :1])
    with pytest.raises(ValueError, match="none are given: build the network with auxiliary=True"):
        ContourAwareLoss(auxiliary=0.5)(logits, target)
