import numpy as np
import pytest
import torch

import voxflow as vf
from voxflow.models import DCAN, analyse
from voxflow.torch import Predict
from voxflow.training.config.schema import ModelSection
from voxflow.training.parts.network import make_model


def build(*args, **options):
    torch.manual_seed(0)
    return DCAN(*args, **{"fmaps": 4, "dropout": 0.0, **options})


def discs(count, size=64):
    """Images of two discs, with maps of their inside and of their edges."""
    rng = np.random.default_rng(0)
    images, targets = [], []
    rows, columns = np.mgrid[:size, :size]
    for _ in range(count):
        y, x = rng.uniform(16, size - 16, 2)
        far = np.hypot(rows - y, columns - x)
        images.append((far < 12) + rng.normal(0, 0.2, far.shape))
        targets.append([far < 10, abs(far - 12) <= 2])
    image, target = (torch.from_numpy(np.array(v, np.float32)) for v in (images, targets))
    return image[:, None], target


def test_the_geometry_is_found_and_any_multiple_of_32_fits():
    net = build(3)
    geometry = analyse(net, in_channels=3, dims=2)
    assert geometry.smallest_input == geometry.input_step == geometry.output_step == (32, 32)
    assert geometry.context == (0, 0)
    assert geometry.fit((200, 317), ">=")[1] == (224, 320)
    assert net.eval()(torch.zeros(2, 3, 96, 32)).shape == (2, 2, 96, 32)


@pytest.mark.parametrize(("channels", "heads", "fmaps"), [(1, 2, 64), (3, 1, 5), (2, 3, 2)])
def test_as_many_parameters_as_described(channels, heads, fmaps):
    """64-128-256-512-512-1024 maps; sides at 1/8, 1/16, 1/32 with kernels of twice the stride."""
    widths = [fmaps * n for n in (1, 2, 4, 8, 8, 16)]
    count = 0
    for before, width in zip([channels, *widths], widths, strict=False):
        count += 9 * before * width + 9 * width * width + 2 * 2 * width
    for width, stride in zip(widths[3:], (8, 16, 32), strict=True):
        count += heads * (width * (2 * stride) ** 2 + 2 + 2)
    with torch.device("meta"):
        net = DCAN(channels, heads, fmaps=fmaps)
    assert sum(p.numel() for p in net.parameters()) == count


@pytest.mark.parametrize("final", [None, "tanh", "sigmoid"])
def test_gradients_reach_all(final):
    net = build(1, final_activation=final)
    net(torch.randn(2, 1, 64, 64)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


def test_heads_do_not_see_one_another():
    net = build(1, heads=3)
    net(torch.randn(2, 1, 64, 64))[:, 1].square().sum().backward()
    for side in net.sides:
        for weight in (side[0].weight.grad.transpose(0, 1), side[3].weight.grad):
            assert [bool(w.abs().sum() > 0) for w in weight] == [False, True, False]


@pytest.mark.parametrize("training", [True, False])
def test_the_output_is_the_sum_of_the_sides(training):
    net = build(1, auxiliary=True).train(training)
    with torch.no_grad():
        output, *sides = net(torch.randn(2, 1, 64, 64))
    assert len(sides) == 3
    assert all(side.shape == (2, 2, 64, 64) and side.std() > 0 for side in sides)
    torch.testing.assert_close(output, sides[0] + sides[1] + sides[2])


@pytest.mark.parametrize(
    ("final", "squeeze"), [("tanh", torch.tanh), ("sigmoid", lambda x: torch.tanh(x / 2))]
)
def test_final_activations_give_maps_from_0_to_1(final, squeeze):
    image = 5 * torch.randn(2, 1, 64, 64)
    with torch.no_grad():
        net = build(1, final_activation=final, auxiliary=True)
        for side in net.sides:  # what is negative is cut off before the maps are added up
            side[3].bias.fill_(-0.5)
        output, *sides = net(image)
        net.final_activation = None
        plain, *alone = net(image)
    assert all(0 == m.min() < m.max() <= 1 for m in (output, *sides))
    torch.testing.assert_close(output, squeeze(plain))
    torch.testing.assert_close(sides[1], squeeze(alone[1]))


def test_maps_lie_where_the_image_does():
    """Mirrored weights on a mirrored image give the mirrored maps."""
    net = build(1).eval()
    image = torch.randn(1, 1, 96, 64)
    # Pooling and strides are even, so that the grid of a mirrored image is the mirrored grid.
    with torch.no_grad():
        before = net(image)
        for parameter in net.parameters():
            if parameter.ndim > 1:
                parameter.copy_(parameter.flip(-1, -2))
        after = net(image.flip(-1, -2))
    assert before.std() > 0.01
    torch.testing.assert_close(after.flip(-1, -2), before, atol=1e-4, rtol=1e-4)


def test_dropout_is_of_training_only():
    net = build(1, dropout=0.5)
    image = torch.randn(2, 1, 64, 64)
    with torch.no_grad():
        assert not torch.equal(net(image), net(image))
        net.eval()
        assert torch.equal(net(image), net(image))


@pytest.mark.parametrize("options", [{}, {"dropout": 0.5}, {"final_activation": "tanh"}])
def test_an_epoch_lowers_the_loss(options):
    images, targets = discs(24)
    net = build(1, **options)
    loss = torch.nn.BCELoss() if net.final_activation else torch.nn.BCEWithLogitsLoss()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    losses = []
    for start in range(0, len(images), 4):
        optimizer.zero_grad()
        value = loss(net(images[start : start + 4]), targets[start : start + 4])
        value.backward()
        optimizer.step()
        losses.append(value.item())
    assert losses[-1] < 0.7 * losses[0]


def test_a_configuration_names_it():
    section = ModelSection(name="dcan", options={"in_channels": 1, "fmaps": 2})
    assert isinstance(make_model(section, seed=0), DCAN)


def test_it_predicts_in_a_pipeline():
    raw, maps = vf.ArrayKey("RAW"), vf.ArrayKey("MAPS")
    net = build(1, auxiliary=True).eval()
    image = np.random.default_rng(0).random((1, 1, 64, 96), np.float32)
    source = vf.ArraySource(raw, image, spec=vf.ArraySpec(voxel_size=(2, 2)))
    pipeline = source + Predict(net, {0: raw}, {0: maps}, device="cpu")
    request = vf.BatchRequest()
    request.add(raw, (128, 192))
    request.add(maps, (128, 192))
    with vf.build(pipeline), torch.no_grad():
        found = pipeline.request_batch(request)[maps].data
        np.testing.assert_allclose(found, net(torch.from_numpy(image))[0].numpy(), atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        ((1, 1, 200, 64), r"multiple of 32 along both axes; got \(200, 64\).*to \(224, 64\)"),
        ((1, 1, 64, 31), r"got \(64, 31\)"),
        ((1, 64, 64), r"of shape \(sample, channel, y, x\); got \(1, 64, 64\)"),
    ],
)
def test_an_input_of_no_valid_size(shape, text):
    with pytest.raises(ValueError, match=text):
        build(1)(torch.zeros(shape))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"in_channels": 0}, "at least 1; got 0, 2, 64"),
        ({"heads": 0}, "at least 1; got 1, 0, 64"),
        ({"final_activation": "relu"}, "'tanh', 'sigmoid' or None for logits; got 'relu'"),
        ({"dropout": 1.5}, "dropout"),
    ],
)
def test_refused(options, text):
    with torch.device("meta"), pytest.raises(ValueError, match=text):
        DCAN(**{"in_channels": 1, **options})
