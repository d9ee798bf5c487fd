"""Raw that is padded by the context: the prediction covers the raw data, no more and no less."""

import numpy as np
import pytest
import torch

import voxflow as gp
from tests.torch.nets import OUT, RAW, volume
from voxflow.models import UNet, analyse
from voxflow.torch import Predict

MODES = ("constant", "reflect", "symmetric", "edge", "border-mean")
SHAPES = [((13, 18), (1, 1)), ((13, 18), (4, 9.8)), ((7, 12, 9), (40, 4, 4))]


class Net(torch.nn.Module):
    """A valid network, or one that says the same of everything."""

    def __init__(self, ndim, constant=None):
        super().__init__()
        torch.manual_seed(0)
        kind = torch.nn.Conv2d if ndim == 2 else torch.nn.Conv3d
        self.net = torch.nn.Sequential(kind(1, 4, 3), torch.nn.Tanh(), kind(4, 2, 3))
        if constant is not None:
            torch.nn.init.zeros_(self.net[-1].weight)
            torch.nn.init.constant_(self.net[-1].bias, constant)

    def forward(self, x):
        return self.net(x[None, None])[0]


def predicting(shape, size, mode, model, *nodes):
    context = gp.Coordinate(size) * 2
    predict = Predict(model, {0: RAW}, {0: OUT}, device="cpu", context=context)
    pipeline = volume(shape, size) + gp.Pad(RAW, context, mode=mode, value=0.5) + predict
    for node in nodes:
        pipeline += node
    return pipeline


def all_of(pipeline):
    with gp.build(pipeline) as built:
        return built.request_batch(gp.BatchRequest({OUT: built.spec[OUT].roi}))[OUT]


def padded(data, mode):
    if mode == "constant":
        return np.pad(data, 2, mode, constant_values=0.5)
    if mode != "border-mean":
        return np.pad(data, 2, mode)
    border = np.ones(data.shape, bool)
    border[(slice(1, -1),) * data.ndim] = False
    return np.pad(data, 2, constant_values=data[border].mean(dtype=np.float64).astype(data.dtype))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("shape", "size"), SHAPES)
def test_the_output_covers_the_input(shape, size, mode):
    model = Net(len(shape))
    raw = all_of_raw = volume(shape, size)
    with gp.build(raw) as built:
        all_of_raw = built.request_batch(gp.BatchRequest({RAW: built.spec[RAW].roi}))[RAW]
    found = all_of(predicting(shape, size, mode, model))
    assert found.spec.roi == all_of_raw.spec.roi
    assert found.spec.voxel_size == gp.Coordinate(size)
    with torch.no_grad():
        expected = model(torch.from_numpy(padded(all_of_raw.data, mode))).numpy()
    np.testing.assert_allclose(found.data, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("shape", "size"), SHAPES)
def test_a_constant_model_gives_the_constant_up_to_the_border(shape, size, mode):
    block = gp.BatchRequest({OUT: gp.Roi((0,) * len(shape), gp.Coordinate(size) * 5)})
    nodes = ([], [gp.Scan(block, progress_callback=gp.ScanCallback())])
    for more in (*nodes, [gp.Blend(block, gp.Coordinate(size) * 2)]):
        found = all_of(predicting(shape, size, mode, Net(len(shape), 0.1), *more)).data
        assert found.shape == (2, *shape)
        assert (found == np.float32(0.1)).all()


def test_the_context_of_a_network_is_half_of_what_it_takes_away():
    torch.manual_seed(0)
    unet = UNet(1, 1, fmaps=2, downsample=[(1, 2, 2)])
    geometry, size = analyse(unet), gp.Coordinate((40, 4, 4))
    before, after = geometry.fit((24, 40, 44))

    class Channels(torch.nn.Module):
        def forward(self, x):
            return unet(x[None, None])[0, 0]

    context = geometry.context * size
    assert context == (before - after) / 2 * size
    predict = Predict(Channels(), {0: RAW}, {0: OUT}, device="cpu", context=context)
    pipeline = volume(after, size) + gp.Pad(RAW, context, mode="reflect") + predict
    found = all_of(pipeline)
    assert found.spec.roi == gp.Roi((0, 0, 0), after * size)
    assert found.data.shape == after
