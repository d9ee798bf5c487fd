"""Networks, losses and optimizers that a configuration names."""

import pytest
import torch

from voxflow.training.config.schema import LossSection, ModelSection, OptimizerSection
from voxflow.training.parts.named import load_named
from voxflow.training.parts.network import make_loss, make_model, make_optimizer

SCRIPT = """
import torch

def net(width=2):
    return torch.nn.Sequential(torch.nn.Conv2d(1, width, 3), torch.nn.BatchNorm2d(width))

def no_net():
    return 3

def loss(prediction, target, scale):
    return scale.sum() * (prediction - target).abs().mean()

def named(prediction, target, type, half, training):
    return type, half, training
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(SCRIPT)
    return path


UNET = {"in_channels": 1, "out_channels": 2, "fmaps": 2, "downsample": [[2, 2]]}


def test_weights_depend_on_the_seed_and_on_nothing_else():
    section = ModelSection(name="UNet", options=UNET)
    before = torch.get_rng_state()
    first = make_model(section, 1).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(3)
    again, other = make_model(section, 1).state_dict(), make_model(section, 2).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_a_network_of_a_script(script):
    model = make_model(ModelSection(name=f"{script}:net", options={"width": 3}), 0)
    assert model[0].out_channels == 3
    with pytest.raises(TypeError, match="made a int, and no network"):
        make_model(ModelSection(name=f"{script}:no_net"), 0)
    with pytest.raises(TypeError, match="width_") as caught:
        make_model(ModelSection(name=f"{script}:net", options={"width_": 3}), 0)
    assert "model calls net with {'width_': 3}" in caught.value.__notes__


def test_a_script_is_loaded_once_and_by_its_path(script, tmp_path):
    (tmp_path / "b").mkdir()
    other = tmp_path / "b" / "mine.py"
    other.write_text("net = 5")
    assert load_named(f"{script}:net") is load_named(f"{script}:net")
    assert load_named(f"{other}:net") == 5


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("no_such_module_at_all:f", "there is no module no_such_module_at_all"),
        ("torch.nn.nowhere:f", "there is no module torch.nn.nowhere"),
        ("torch.nn:Conv9d", "there is no Conv9d in torch.nn"),
        ("/nowhere/a.py:f", "there is no file /nowhere/a.py"),
        ("eval('1')", "should be module:name"),
    ],
)
def test_what_is_not_there_is_told(word, said):
    with pytest.raises(ValueError, match=said.replace("(", r"\(")):
        load_named(word)


def test_a_script_that_fails_is_tried_again(tmp_path):
    path = tmp_path / "broken.py"
    path.write_text("1 / 0")
    with pytest.raises(ZeroDivisionError):
        load_named(f"{path}:f")
    path.write_text("f = 1  # mended")
    assert load_named(f"{path}:f") == 1


def test_options_of_a_loss_that_are_numbers_are_tensors():
    logits, labels = torch.randn(2, 2, 5), torch.randint(0, 2, (2, 5))
    weight = [1.0, 5.0]
    for name, key in (("CrossEntropyLoss", "weight"), ("lazy_nll", "class_weights")):
        loss = make_loss(LossSection(name=name, options={key: weight}))
        expected = torch.nn.functional.cross_entropy(logits, labels, torch.tensor(weight))
        torch.testing.assert_close(loss(logits, labels), expected)
    assert [name for name, _ in loss.named_buffers()] == ["class_weights"]  # moves with the loss
    assert loss.state_dict() == {}


def test_a_loss_of_a_script(script):
    loss = make_loss(LossSection(name=f"{script}:loss", options={"scale": [1, 2]}))
    assert loss(torch.ones(3), torch.zeros(3)) == 3


def test_losses_by_name_are_those_of_torch_and_of_voxflow():
    target = torch.tensor([1.0, 3.0])
    for name, options, expected in (
        ("L1Loss", {}, 2.0),
        ("squared_deviation", {"margin": 1.0}, 1.0),
        ("absolute_deviation", {}, 2.0),
        ("gaussian_nll", {"sigma": 1.0}, 0.918939 + 2.5),
    ):
        loss = make_loss(LossSection(name=name, options=options))
        assert float(loss(torch.zeros(2), target)) == pytest.approx(expected)


def test_updates_are_those_of_the_formulas():
    def updates(start, gradient, count, **section):
        model = torch.nn.Linear(1, len(start), bias=False)
        model.weight.data = torch.tensor(start).reshape(-1, 1)
        optimizer = make_optimizer(OptimizerSection(**section), model)
        found = []
        for _ in range(count):
            model.weight.grad = gradient(model.weight.detach())
            optimizer.step()
            found.append(model.weight.flatten().tolist())
        return found

    # v = g + mom v; p = p - lr v
    momentum = {"name": "SGD", "lr": 0.001, "options": {"momentum": 0.9}}
    (first,), (second,) = updates([1.0], lambda p: 2 * p, 2, **momentum)
    assert first == pytest.approx(0.998)
    assert second == pytest.approx(0.998 - 0.001 * (2 * 0.998 + 0.9 * 2))
    found = updates([1.0], lambda p: 2 * p, 3, name="Adam", lr=0.001)
    assert [p for (p,) in found] == pytest.approx([0.999, 0.998, 0.997], abs=1e-5)
    resilient = {"etas": (0.65, 1.2), "step_sizes": (1e-7, 2e-3)}
    found = updates([1.0, -2.0], lambda p: 2 * p, 5, name="RPROP", lr=1e-4, options=resilient)
    assert found[-1] == pytest.approx([0.9993, -1.9993], abs=1e-4)


OPTIMIZERS = ["SGD", "CG", "RPORP", "LBFGS", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta"]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_each_optimizer_lowers_a_convex_loss(name):
    model = torch.nn.Linear(3, 1)
    x, y = torch.randn(20, 3), torch.randn(20, 1)
    optimizer = make_optimizer(OptimizerSection(name=name, lr=0.01), model)

    def closure():
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(model(x), y)
        loss.backward()
        return loss

    before = closure().item()
    for _ in range(20):
        optimizer.step(closure)
    assert closure().item() < before


def test_biases_and_norms_do_not_decay(script):
    model = make_model(ModelSection(name=f"{script}:net"), 0)
    section = OptimizerSection(name="SGD", lr=0.5, weight_decay=0.1, options={"momentum": 0.9})
    optimizer = make_optimizer(section, model)
    decay = {id(p): g["weight_decay"] for g in optimizer.param_groups for p in g["params"]}
    found = {name: decay[id(p)] for name, p in model.named_parameters()}
    assert found == {"0.weight": 0.1, "0.bias": 0.0, "1.weight": 0.0, "1.bias": 0.0}
    assert {g["momentum"] for g in optimizer.param_groups} == {0.9}
    assert {g["lr"] for g in optimizer.param_groups} == {0.5}


def test_an_optimizer_that_does_not_fit_is_told():
    model = torch.nn.Linear(2, 1)
    with pytest.raises(ValueError, match="LBFGS takes no weight_decay"):
        make_optimizer(OptimizerSection(name="LBFGS", weight_decay=0.1), model)
    model.requires_grad_(False)
    with pytest.raises(ValueError, match="no parameter of the network is trained"):
        make_optimizer(OptimizerSection(), model)


def test_parameters_that_are_frozen_are_left_out():
    model = torch.nn.Linear(2, 1)
    model.bias.requires_grad_(False)
    groups = make_optimizer(OptimizerSection(), model).param_groups
    assert [len(g["params"]) for g in groups] == [1]


def test_options_may_have_names_that_modules_have(script):
    options = {"type": "dice", "half": 0.5, "training": 3}
    loss = make_loss(LossSection(name=f"{script}:named", options=options))
    assert loss(None, None) == ("dice", 0.5, 3)
