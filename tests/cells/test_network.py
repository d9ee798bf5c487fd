"""Networks for cells, their losses and their measures."""

import pytest
import torch

from voxflow.cells import CellLoss, make_network, metrics
from voxflow.cells.network import Probabilities

RNG = torch.Generator().manual_seed(0)


def classes(*shape):
    return torch.randint(0, 3, shape, generator=RNG)


@pytest.mark.parametrize(("architecture", "outputs"), [("unet", 3), ("dcan", 2)])
@pytest.mark.parametrize("channels", [1, 3])
def test_output_is_of_the_size_of_the_input(architecture, outputs, channels):
    net = make_network(architecture, channels=channels, fmaps=2).eval()
    image = torch.rand(2, channels, 64, 32, generator=RNG)
    with torch.no_grad():
        assert net(image).shape == (2, outputs, 64, 32)
        maps = Probabilities(net, architecture)(image)
    assert maps.shape == (2, 2, 64, 32)
    assert maps.min() >= 0
    assert maps.max() <= 1
    if architecture == "unet":
        assert maps.sum(1).max() <= 1 + 1e-6


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "logistic"])
def test_all_activations_give_maps_and_learn(activation):
    torch.manual_seed(0)
    net = make_network("dcan", fmaps=2, dropout=0.0, final_activation=activation)
    image, target = torch.rand(2, 1, 32, 32, generator=RNG), classes(2, 32, 32)
    target[:, :16] = 1
    loss, optimizer = CellLoss("dcan"), torch.optim.Adam(net.parameters(), 0.01)
    values = []
    for _ in range(8):
        optimizer.zero_grad()
        output = net(image)
        assert output.min() >= 0
        assert output.max() <= 1
        value = loss(output, target)
        value.backward()
        optimizer.step()
        values.append(value.item())
    assert values[-1] < values[0]


def test_the_u_net_of_clb():
    net = make_network("unet")
    widths = [stack[0].out_channels for stack in net.down]
    assert widths == [64, 128, 256, 512]
    assert sum(p.numel() for p in net.parameters()) == 7_699_139
    kinds = [type(layer).__name__ for layer in net.down[0]]
    assert kinds == ["Conv2d", "BatchNorm2d", "ReLU"] * 2


@pytest.mark.parametrize(("architecture", "channels"), [("unet", 3), ("dcan", 2)])
def test_weights_of_objects_and_boundaries(architecture, channels):
    """The share of a class in the gradient doubles with its weight."""
    output = torch.rand(2, channels, 8, 8, generator=RNG).requires_grad_()
    target = classes(2, 8, 8)

    def share(**weights):
        (gradient,) = torch.autograd.grad(CellLoss(architecture, **weights)(output, target), output)
        if architecture == "dcan":
            return gradient[:, 1].abs().sum() / gradient[:, 0].abs().sum()
        wrong = gradient.abs().sum(1)
        return wrong[target == 2].sum() / wrong[target == 1].sum()

    ratio = share(bnd_weight=0.6) / share(bnd_weight=0.3)
    assert ratio == pytest.approx(2, rel=1e-4)
    assert share(obj_weight=0.3) / share(obj_weight=0.6) == pytest.approx(2, rel=1e-4)


def test_the_loss_of_the_u_net_is_that_of_torch():
    output, target = torch.randn(2, 3, 8, 8, generator=RNG), classes(2, 8, 8)
    expected = torch.nn.CrossEntropyLoss(torch.tensor([1.0, 1.0, 5.0]))(output, target)
    torch.testing.assert_close(CellLoss("unet")(output, target), expected)


@pytest.mark.parametrize(("architecture", "channels"), [("unet", 3), ("dcan", 2)])
def test_what_is_masked_counts_nothing(architecture, channels):
    output = torch.rand(1, channels, 8, 8, generator=RNG).requires_grad_()
    target, mask = classes(1, 8, 8), torch.ones(1, 8, 8, dtype=torch.uint8)
    mask[:, :4] = 0
    loss = CellLoss(architecture)(output, target, mask)
    (gradient,) = torch.autograd.grad(loss, output)
    assert not gradient[:, :, :4].any()
    assert gradient[:, :, 4:].abs().min() > 0
    if architecture == "unet":
        torch.testing.assert_close(loss, CellLoss("unet")(output[:, :, 4:], target[:, 4:]))
    # Nothing is known at all.
    assert CellLoss(architecture)(output, target, mask * 0) == 0


def test_measures():
    target = torch.tensor([[[0, 1, 1, 1, 2, 2]]])
    logits = torch.nn.functional.one_hot(torch.tensor([[[0, 1, 1, 2, 2, 0]]]), 3).movedim(-1, 1)
    maps = logits[:, 1:] * 0.6
    mask = torch.tensor([[[1, 1, 1, 0, 1, 1]]])
    for output in (logits, maps):
        assert metrics.objects_iou(output, target) == pytest.approx(2 / 3)
        assert metrics.objects_recall(output, target) == pytest.approx(2 / 3)
        assert metrics.objects_precision(output, target) == 1
        assert metrics.boundaries_iou(output, target) == pytest.approx(1 / 3)
        assert metrics.boundaries_precision(output, target) == 0.5
        assert metrics.objects_iou(output, target, mask) == 1
        assert metrics.boundaries_precision(output, target, mask) == 1
        assert metrics.boundaries_recall(output, target, mask) == 0.5
    nothing = torch.zeros_like(target)
    assert metrics.objects_recall(maps, nothing) != metrics.objects_recall(maps, nothing)  # NaN
    assert all(hasattr(metrics, name) for name in metrics.NAMES)
