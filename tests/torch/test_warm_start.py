"""Weights of another model: taken, fitted, left, and said."""

import copy

import pytest
import torch

from voxflow.torch.warm_start import freeze, load_weights


def net(classes=2, width=4, kernel=3, extra=False, seed=0):
    torch.manual_seed(seed)
    layers = {"body": torch.nn.Conv2d(1, width, kernel), "head": torch.nn.Conv2d(width, classes, 1)}
    if extra:
        layers["extra"] = torch.nn.BatchNorm2d(width)
    return torch.nn.ModuleDict(layers)


def test_strict_takes_all_or_nothing():
    old, new = net(), net(seed=1)
    report = load_weights(new, old.state_dict())
    assert (len(report.taken), report.left, report.unused) == (4, {}, [])
    assert all(torch.equal(old.state_dict()[n], v) for n, v in new.state_dict().items())
    for other in (net(3), net(extra=True)):
        before = copy.deepcopy(other.state_dict())
        with pytest.raises(ValueError, match="not those of this model") as info:
            load_weights(other, old.state_dict())
        assert "mode='matching'" in str(info.value)
        assert all(torch.equal(before[n], v) for n, v in other.state_dict().items())
    with pytest.raises(ValueError, match=r"not used: extra\.weight"):
        load_weights(net(), net(extra=True).state_dict())


def test_matching_leaves_exactly_the_head_of_another_number_of_classes():
    old, new = net(2), net(3, seed=1)
    before = copy.deepcopy(new.state_dict())
    report = load_weights(new, old.state_dict(), "matching")
    assert report.taken == ["body.weight", "body.bias"]
    assert list(report.left) == ["head.weight", "head.bias"]
    assert "left as it was: head.bias (has the shape (3,), not (2,))" in str(report)
    assert torch.equal(new["body"].weight, old["body"].weight)
    assert torch.equal(new["head"].weight, before["head.weight"])


@pytest.mark.parametrize(("small", "large"), [(3, 5), (2, 3), (1, 4)])
def test_adapt_takes_the_first_channels_and_the_middle_of_kernels(small, large):
    low = (large - small) // 2
    middle = slice(low, low + small)
    old, new = net(2, 4, small), net(3, 6, large, seed=1)
    before = copy.deepcopy(new.state_dict())
    report = load_weights(new, old.state_dict(), "adapt")
    assert report.adapted == ["body.weight", "body.bias", "head.weight", "head.bias"]
    expected = before["body.weight"]
    expected[:4, :, middle, middle] = old["body"].weight.detach()
    assert torch.equal(new["body"].weight, expected)
    back = net(2, 4, small, seed=2)
    load_weights(back, new.state_dict(), "adapt")
    assert torch.equal(back["body"].weight, old["body"].weight)
    assert torch.equal(back["head"].weight, old["head"].weight)


def test_another_number_of_axes_is_left():
    new = torch.nn.Linear(2, 2)
    report = load_weights(new, {"weight": torch.ones(2, 2, 1), "bias": torch.ones(2)}, "adapt")
    assert report.left == {"weight": "has the shape (2, 2), not (2, 2, 1)"}
    with pytest.raises(ValueError, match="mode is 'strict'"):
        load_weights(new, {}, "loose")


def test_frozen_parameters_stay_bit_for_bit():
    model = net()
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.1)
    x = torch.rand(1, 1, 5, 5)
    before = copy.deepcopy(model.state_dict())
    for i in range(10):
        if i == 1:  # there is a gradient, and a state of the optimizer
            before = copy.deepcopy(model.state_dict())
            assert freeze(model, ["body.*", "body.bias"]) == ["body.weight", "body.bias"]
        optimizer.zero_grad(set_to_none=i > 1)
        model["head"](model["body"](x)).square().mean().backward()
        optimizer.step()
    assert torch.equal(model["body"].weight, before["body.weight"])
    assert not torch.equal(model["head"].weight, before["head.weight"])
    with pytest.raises(ValueError, match=r"no parameter matches 'bodi\.\*'; .*body\.weight"):
        freeze(model, "bodi.*")
