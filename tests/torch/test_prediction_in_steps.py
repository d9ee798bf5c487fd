"""Blocks have the values of the whole also where they lie off the poolings of a network."""

from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import voxflow as gp
from tests.torch.nets import OUT, RAW, volume
from voxflow.models import UNet, analyse
from voxflow.torch import Predict


class Pooled(torch.nn.Module):
    """A network with poolings whose weights are small whole numbers: its sums are exact."""

    def __init__(self, factors):
        super().__init__()
        torch.manual_seed(0)
        self.net = UNet(1, 1, fmaps=2, fmap_factor=1, downsample=factors)
        self.geometry = analyse(self.net, dims=len(factors[0]))
        with torch.no_grad():
            for values in self.net.parameters():
                values.copy_((2 * values).round())
        self.double()

    def forward(self, x):
        return self.net(x[None, None].double())[0, 0]


CASES = {
    "2-D": (((2, 2), (2, 2)), (4, 9.8), (16, 24), (4, 4)),
    "3-D": (((1, 3, 2),), (40, 4, 4), (3, 12, 8), (1, 3, 2)),
}


@cache  # not made where tests are only collected
def net_of(name):
    return Pooled(CASES[name][0])


def predicting(name, shape, *nodes, stepping=True):
    """A prediction of all of a volume, its region, and what the network makes of it in one pass."""
    _, size, _, period = CASES[name]
    size, net = gp.Coordinate(size), net_of(name)
    geometry = net.geometry
    assert geometry.output_step == period
    context, step = geometry.context * size, geometry.output_step * size
    source = volume(shape, size, dtype=np.uint8)
    predict = Predict(
        net, {0: RAW}, {0: OUT}, device="cpu", context=context, step=step if stepping else None
    )
    region = gp.Roi((0,) * len(shape), gp.Coordinate(shape) * size)
    pipeline = source + gp.Pad(RAW, context + step, mode="reflect") + predict + gp.Crop(OUT, region)
    for node in nodes:
        pipeline += node
    around = [
        (int(c), int(c + -n % p)) for c, n, p in zip(geometry.context, shape, period, strict=True)
    ]
    with gp.build(volume(shape, size, dtype=np.uint8)) as built:
        raw = built.request_batch(gp.BatchRequest({RAW: region}))[RAW].data
    with torch.no_grad():
        whole = net(torch.from_numpy(np.pad(raw, around, mode="reflect"))).numpy()
    return pipeline, region, whole[tuple(slice(0, n) for n in shape)]


def scanned(name, shape, **options):
    size, block = map(gp.Coordinate, CASES[name][1:3])
    reference = gp.BatchRequest({OUT: gp.Roi((0,) * len(shape), block * size)})
    scan = gp.Scan(reference, progress_callback=gp.ScanCallback())
    pipeline, region, whole = predicting(name, shape, scan, **options)
    with gp.build(pipeline):
        found = pipeline.request_batch(gp.BatchRequest({OUT: region}))[OUT]
    return found.data, whole


@pytest.mark.parametrize(
    ("name", "shape"), [("2-D", (37, 50)), ("2-D", (32, 48)), ("3-D", (4, 25, 19))]
)
def test_a_scan_gives_the_whole_to_the_last_voxel(name, shape):
    found, whole = scanned(name, shape)
    assert np.array_equal(found, whole)


def test_without_the_step_the_last_blocks_differ():
    found, whole = scanned("2-D", (37, 50), stepping=False)
    assert np.array_equal(found[:32, :48], whole[:32, :48])
    assert not np.array_equal(found, whole)


@settings(max_examples=8, deadline=None)
@given(st.data())
def test_any_part_is_that_of_the_whole(data):
    pipeline, _, whole = predicting("2-D", (29, 31))
    begin = [data.draw(st.integers(0, n - 1)) for n in whole.shape]
    end = [data.draw(st.integers(b + 1, n)) for b, n in zip(begin, whole.shape, strict=True)]
    size = gp.Coordinate(CASES["2-D"][1])
    part = gp.Roi(gp.Coordinate(begin) * size, (gp.Coordinate(end) - gp.Coordinate(begin)) * size)
    with gp.build(pipeline):
        found = pipeline.request_batch(gp.BatchRequest({OUT: part}))[OUT].data
    assert np.array_equal(found, whole[tuple(map(slice, begin, end))])


def test_outputs_are_provided_in_whole_steps():
    predict = Predict(
        net_of("2-D"), {0: RAW}, {0: OUT}, device="cpu", context=(20, 20), step=(4, 4)
    )
    with gp.build(volume((53, 54)) + predict) as built:
        assert built.spec[OUT].roi == gp.Roi((20, 20), (12, 12))


@pytest.mark.parametrize(
    ("step", "text"),
    [
        ((4, 4, 4), "whole number of voxels"),
        ((4, 3), "whole number of voxels"),
        ((4, 0), "positive"),
    ],
)
def test_a_step_that_cannot_be_is_said(step, text):
    with (
        pytest.raises(ValueError, match=text),
        gp.build(
            volume((60, 60), (2, 2))
            + Predict(net_of("2-D"), {0: RAW}, {0: OUT}, context=(40, 40), step=step)
        ),
    ):
        pass


def test_a_step_needs_a_context():
    with pytest.raises(ValueError, match="give context="):
        Predict(net_of("2-D"), {0: RAW}, {0: OUT}, step=(4, 4))
