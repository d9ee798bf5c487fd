"""Networks in another form say the same."""

import itertools

import pytest
import torch
from torch import nn

from voxflow.models import UNet, analyse, fuse_batch_norm, to_dense


def flat():
    """Field of view 23, stride 4."""
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(2, 4, 6), nn.MaxPool2d(2), nn.ReLU()),
        nn.Sequential(nn.Conv2d(4, 4, 4), nn.BatchNorm2d(4), nn.MaxPool2d(2), nn.Tanh()),
        nn.Conv2d(4, 3, 3, dilation=1),
        nn.Softmax(1),
    )


def anisotropic():
    return nn.Sequential(
        nn.Conv3d(1, 3, (1, 3, 3), stride=(1, 2, 1)),
        nn.MaxPool3d((1, 2, 3), stride=(1, 2, 3)),
        nn.ReLU(),
        nn.Dropout3d(0.5),
        nn.Conv3d(3, 2, 2),
        nn.MaxPool3d(2, stride=1),
        nn.Conv3d(2, 2, (1, 2, 1)),
    )


def strided_everywhere(net, x, stride, shape):
    """The network at every shift, put in between each other: the definition."""
    out = torch.full((1, net(x).shape[1], *shape), torch.nan)
    for offset in itertools.product(*map(range, stride)):
        inner = (slice(None), slice(None))
        shifted = net(x[(*inner, *(slice(o, None) for o in offset))])
        places = (*inner, *(slice(o, None, s) for o, s in zip(offset, stride, strict=True)))
        there = out[places]
        out[places] = shifted[(*inner, *map(slice, there.shape[2:]))]
    return out


@pytest.mark.parametrize(
    ("make", "shape", "stride"),
    [(flat, (2, 31, 34), (4, 4)), (anisotropic, (1, 5, 24, 25), (1, 4, 3))],
)
def test_the_dense_network_is_the_strided_one_at_every_voxel(make, shape, stride):
    torch.manual_seed(0)
    net = make().eval()
    dense = to_dense(net)
    assert dense.state_dict().keys() == net.state_dict().keys()
    assert analyse(net, shape[0], len(stride)).stride == stride
    geometry = analyse(dense, shape[0], len(stride))
    assert geometry.stride == (1,) * len(stride)
    assert make is anisotropic or geometry.field_of_view == (23, 23)
    assert geometry.field_of_view == analyse(net, shape[0], len(stride)).field_of_view
    x = torch.randn(1, *shape)
    with torch.no_grad():
        found = dense(x)
        expected = strided_everywhere(net, x, stride, found.shape[2:])
    assert not expected.isnan().any()
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
    # The strided one is as it was.
    assert analyse(net, shape[0], len(stride)).stride == stride


def test_what_cannot_be_converted_is_said():
    with pytest.raises(ValueError, match="is a UNet, which has no form without strides"):
        to_dense(UNet(1, 1, fmaps=2, downsample=[(2, 2)]))
    for layer in (nn.Conv2d(1, 1, 3, padding=1), nn.MaxPool2d(2, ceil_mode=True)):
        with pytest.raises(ValueError, match="0 pads its input"):
            to_dense(nn.Sequential(layer))
    with pytest.raises(ValueError, match="0 is a AvgPool2d"):
        to_dense(nn.Sequential(nn.AvgPool2d(2)))
    with pytest.raises(ValueError, match="1 has 3 axes, and layers before it have 2"):
        to_dense(nn.Sequential(nn.Conv2d(1, 1, 3), nn.Conv3d(1, 1, 3)))
    to_dense(nn.Sequential(nn.Conv2d(1, 1, 3, padding="valid"), nn.MaxPool2d(2, padding=(0, 0))))


def test_fused_normalisation_says_the_same_in_fewer_layers():
    torch.manual_seed(0)
    net = flat()
    net.add_module("alone", nn.BatchNorm2d(3))
    for _ in range(3):  # means that are not 0
        net(torch.randn(4, 2, 30, 30) + 1)
    net.eval()
    fused = fuse_batch_norm(net.train())
    x = torch.randn(2, 2, 30, 30)
    with torch.no_grad():
        torch.testing.assert_close(fused(x), net.eval()(x), atol=1e-5, rtol=1e-5)
    kinds = [type(layer) for layer in fused.modules()]
    assert kinds.count(nn.BatchNorm2d) == 1  # the one behind no convolution
    assert not any(p.requires_grad for p in fused.parameters())
    assert all(p.requires_grad for p in net.parameters())
