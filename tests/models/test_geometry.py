import pickle
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import voxflow as vf
from voxflow.models.geometry import Geometry, analyse
from voxflow.models.unet import UNet
from voxflow.pipeline.geometry.coordinate import Coordinate

CONV = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
POOL = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)


def from_lists(filters, pools, channels=1):
    """Convolution and pooling in turns, as the older packages write their networks."""
    layers = []
    for size, pool in zip(filters, pools, strict=True):
        layers += [CONV[len(size) - 1](channels, 2, size), POOL[len(size) - 1](pool), nn.ReLU()]
        channels = 2
    return nn.Sequential(*layers)


NEURO_3D = from_lists(
    [(4, 4, 1), (3, 3, 1), (3, 3, 3), (3, 3, 3), (2, 2, 1)],
    [(2, 2, 1), (2, 2, 1), (1, 1, 1), (1, 1, 1), (1, 1, 1)],
)
NEURO3D = from_lists(
    [(1, 6, 6), *[(1, 5, 5)] * 2, (4, 4, 4), *[(3, 4, 4)] * 2, (2, 4, 4), *[(1, 4, 4)] * 2],
    [(1, 2, 2), (1, 2, 2), (1, 1, 1), (2, 1, 1), *[(1, 1, 1)] * 5],
)
DOCUMENTED = from_lists([(2, 4, 4), (1, 5, 5), (4, 4, 4)], [(2, 2, 2), (1, 2, 2), (1, 1, 1)])


@pytest.mark.parametrize(
    ("net", "size", "output", "field_of_view", "stride"),
    [
        (NEURO_3D, (127, 127, 7), (25, 25, 3), (31, 31, 5), (4, 4, 1)),
        (NEURO3D, (23, 185, 185), (5, 21, 21), (15, 105, 105), (2, 4, 4)),
        (DOCUMENTED, (23, 183, 183), (8, 40, 40), (9, 27, 27), (2, 4, 4)),
    ],
)
def test_nets_from_lists(net, size, output, field_of_view, stride):
    geometry = analyse(net)
    assert geometry.field_of_view == field_of_view
    assert geometry.stride == stride
    assert geometry.output_shape(size) == output
    assert geometry.fit(size) == (size, output)


def test_valid_sizes_of_a_small_net():
    geometry = analyse(from_lists([(3, 3), (3, 3)], [(2, 2), (2, 2)]), dims=2)
    assert geometry.field_of_view == (10, 10)
    assert {geometry.valid_input_shape(n)[0] for n in range(22, 42)} == {22, 26, 30, 34, 38}
    assert geometry.output_shape((26, 38)) == (5, 8)


@pytest.fixture(scope="module")
def cremi():
    net = UNet(1, 3, fmaps=6, fmap_factor=4, downsample=[(1, 3, 3)] * 3, equivariant=False)
    return vf.models.geometry.analyse(net)


def test_cremi_u_net(cremi):
    assert cremi.fit((84, 268, 268)) == ((84, 268, 268), (56, 56, 56))
    assert cremi.fit((120, 322, 322)) == ((120, 322, 322), (92, 110, 110))
    assert 2 * cremi.context == (28, 212, 212)
    assert 2 * cremi.context * Coordinate(40, 4, 4) == (1120, 848, 848)
    assert cremi.stride == (1, 1, 1)
    assert cremi.input_step == (1, 27, 27)


def test_200_sections_lose_28(cremi):
    assert cremi.output_shape((200, 268, 268))[0] == 172


def test_classic_3d_u_net():
    geometry = analyse(UNet(1, 3, fmaps=2, fmap_factor=2, equivariant=False))
    assert geometry.output_shape((116, 132, 132)) == (28, 44, 44)


def test_fit_takes_the_nearest_size_of_either_side(cremi):
    assert cremi.fit((84, 270, 294)) == ((84, 268, 268), (56, 56, 56))
    assert cremi.fit((84, 269, 268), ">=") == ((84, 295, 268), (56, 83, 56))
    assert cremi.fit(300) == ((300, 295, 295), (272, 83, 83))
    assert cremi.fit(1) == (cremi.smallest_input, cremi.smallest_output)


def test_a_size_that_is_not_valid_is_refused_with_its_neighbours(cremi):
    with pytest.raises(ValueError, match=r"does not take an input of \(84, 269, 268\)") as error:
        cremi.output_shape((84, 269, 268))
    assert "(84, 268, 268) and (84, 295, 268)" in str(error.value)
    with pytest.raises(ValueError, match="does not take an input"):
        cremi.output_shape((84, 1, 268))
    with pytest.raises(ValueError, match="3 spatial axes"):
        cremi.output_shape((84, 268))
    with pytest.raises(ValueError, match="mode is '<=' or '>='"):
        cremi.fit(100, "<")


@st.composite
def nets(draw):
    """Random chains of convolutions, strides, dilations and poolings; and how they count."""
    dims = draw(st.integers(1, 2))
    size = st.tuples(*[st.integers(1, 4)] * dims)
    small = st.tuples(*[st.integers(1, 2)] * dims)
    layers, fov, stride = [], [1] * dims, [1] * dims
    for _ in range(draw(st.integers(1, 4))):
        if draw(st.booleans()):
            kernel, step, dilation = draw(size), draw(small), draw(small)
            layers.append(CONV[dims - 1](1, 1, kernel, step, dilation=dilation))
        else:
            kernel = step = draw(small)
            dilation = (1,) * dims
            layers.append(POOL[dims - 1](kernel))
        for a in range(dims):
            fov[a] += (kernel[a] - 1) * dilation[a] * stride[a]
            stride[a] *= step[a]
    return nn.Sequential(*layers), tuple(fov), tuple(stride)


@settings(max_examples=25, deadline=None)
@given(nets(), st.integers(0, 40))
def test_any_chain_of_layers(case, more):
    net, fov, stride = case
    geometry = analyse(net, dims=len(fov))
    assert geometry.field_of_view == fov
    assert geometry.stride == stride
    assert geometry.context == tuple(Fraction(f - s, 2) for f, s in zip(fov, stride, strict=True))
    input_shape, output_shape = geometry.fit([f + more for f in fov])
    assert net(torch.zeros(1, 1, *input_shape)).shape[2:] == tuple(output_shape)


def test_axes_whose_valid_sizes_never_meet():
    class Picky(nn.Module):
        def forward(self, x):
            if x.shape[-2] % 4 != 1 or x.shape[-1] % 4 != 2:
                raise ValueError("no")
            return x[..., ::2, ::2]

    assert analyse(Picky(), dims=2).input_step == (4, 4)


def test_upsampling_has_a_stride_below_one():
    geometry = analyse(nn.Sequential(nn.Conv2d(1, 1, 3), nn.Upsample(scale_factor=2)), dims=2)
    assert geometry.stride == (Fraction(1, 2),) * 2
    assert geometry.context == (1, 1)


def test_the_output_is_picked_and_the_input_may_have_no_channels():
    class Heads(nn.Module):
        def forward(self, x):
            return {"small": x[:, 2:-2], "all": [x]}

    assert analyse(Heads(), in_channels=None, dims=1, output="small").context == (2,)
    assert analyse(Heads(), in_channels=None, dims=1).context == (2,)
    with pytest.raises(ValueError, match="no tensor but <class 'list'>"):
        analyse(Heads(), in_channels=None, dims=1, output="all")


def test_the_model_is_left_alone():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout())
    before = {name: value.clone() for name, value in net.state_dict().items()}
    analyse(net, dims=2)
    assert net.training
    assert all(parameter.requires_grad for parameter in net.parameters())
    assert not net[0].weight.is_meta
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name])


def test_tied_weights_and_submodules():
    conv = nn.Conv2d(1, 1, 3)
    net = nn.Sequential(conv, conv)
    assert analyse(net, dims=2).context == (2, 2)
    assert analyse(net[0], dims=2).context == (1, 1)


def test_a_model_that_looks_at_values_needs_a_real_device():
    class Looks(nn.Module):
        def forward(self, x):
            return x[..., 1:-1] if x.sum() == 0 else x

    with pytest.raises(ValueError, match="found no input size"):
        analyse(Looks(), dims=1)
    assert analyse(Looks(), dims=1, device="cpu").context == (1,)


@pytest.mark.parametrize(
    ("net", "options", "text"),
    [
        (nn.Conv2d(3, 1, 3), {}, r"found no input size.*in_channels.*Invalid channel"),
        (nn.AdaptiveAvgPool2d(4), {}, "does not grow with the input along axis 0"),
    ],
)
def test_refused(net, options, text):
    with pytest.raises(ValueError, match=text):
        analyse(net, dims=2, **options)


def test_sizes_without_a_pattern():
    class Odd(nn.Module):
        def forward(self, x):
            return x[..., : int(x.shape[-1] ** 0.5)]

    with pytest.raises(ValueError, match="no regular pattern: inputs"):
        analyse(Odd(), dims=1)


def test_axes_that_depend_on_each_other():
    class Mixed(nn.Module):
        def forward(self, x):
            return nn.functional.pad(x, (0, x.shape[-2]))

    with pytest.raises(ValueError, match="axes depend on each other"):
        analyse(Mixed(), dims=2)


def test_a_known_size_helps_the_search():
    class Rare(nn.Module):
        def forward(self, x):
            if x.shape[-1] < 2000:
                raise ValueError("too small")
            return x

    assert analyse(Rare(), dims=1, near=(2000,)).smallest_input == (2000,)


def test_it_is_a_value(cremi):
    assert pickle.loads(pickle.dumps(cremi)) == cremi
    assert hash(cremi) == hash(
        Geometry(cremi.smallest_input, cremi.smallest_output, cremi.input_step, cremi.output_step)
    )
    assert "stride        1, 1, 1" in str(cremi)
