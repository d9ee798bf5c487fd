import pytest
import torch

from voxflow.models.geometry import analyse
from voxflow.models.unet import UNet


def build(dims, **options):
    torch.manual_seed(0)
    factors = [(1, 3, 3), (1, 2, 2)]
    options = {"fmaps": 6, "fmap_factor": 2, "downsample": [f[-dims:] for f in factors], **options}
    return UNet(1, 2, **options).eval()


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_blocks_equal_the_whole(dims):
    """Blocks laid side by side, each predicted by itself, are the prediction of the whole."""
    net = build(dims)
    geometry = analyse(net, dims=dims)
    block_in, block_out = geometry.fit(1)
    whole_in, whole_out = geometry.fit(block_in + geometry.input_step)
    volume = torch.randn(1, 1, *whole_in)
    with torch.no_grad():
        whole = net(volume)
        joined = torch.full_like(whole, torch.nan)
        for corner in torch.cartesian_prod(*[torch.arange(2)] * dims).reshape(-1, dims):
            begin = (corner * torch.tensor(geometry.output_step)).tolist()
            source = [slice(b, b + n) for b, n in zip(begin, block_in, strict=True)]
            target = [slice(b, b + n) for b, n in zip(begin, block_out, strict=True)]
            joined[(..., *target)] = net(volume[(..., *source)])
    assert whole.shape[2:] == tuple(whole_out)
    assert whole.std() > 0.05  # a dead network would agree with itself anywhere
    assert torch.allclose(joined, whole, atol=1e-5)


@pytest.mark.parametrize("equivariant", [True, False])
def test_the_output_lies_in_the_middle_of_the_input(equivariant):
    """Mirrored weights on a mirrored input give the mirrored output, if all crops are centred."""
    net = build(2, equivariant=equivariant)
    volume = torch.randn(1, 1, *(analyse(net, dims=2).fit(90)[0]))
    with torch.no_grad():
        before = net(volume)
        for parameter in net.parameters():
            if parameter.ndim > 1:
                parameter.copy_(parameter.flip(-1, -2))
        after = net(volume.flip(-1, -2))
    assert torch.allclose(after.flip(-1, -2), before, atol=1e-5)


def test_signals_keep_their_size_on_the_way():
    torch.manual_seed(0)
    net = UNet(1, 4, fmaps=8, fmap_factor=2)
    size = analyse(net).smallest_input
    with torch.no_grad():
        assert 0.2 < net(torch.randn(1, 1, *size)).std() < 5


def test_blocks_off_the_period_differ():
    """The pooling grid is real: this is what the period is for."""
    net = build(1)
    geometry = analyse(net, dims=1)
    size = geometry.smallest_input[0]
    volume = torch.randn(1, 1, size + 1)
    with torch.no_grad():
        a, b = net(volume[..., :-1]), net(volume[..., 1:])
    assert (a[..., 1:] - b[..., :-1]).abs().max() > 1e-3 * a.abs().max()


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_the_output_is_a_multiple_of_the_period(dims):
    net = build(dims)
    geometry = analyse(net, dims=dims)
    assert net.period == (1, 6, 6)[-dims:]
    assert geometry.smallest_output.is_multiple_of(net.period)
    assert geometry.output_step == net.period
    assert all(entry.denominator == 1 for entry in geometry.context)


def test_without_the_crop_more_comes_out():
    plain = analyse(build(2, equivariant=False), dims=2)
    cropped = analyse(build(2), dims=2)
    size = cropped.smallest_input
    assert min(plain.output_shape(size) - cropped.output_shape(size)) > 0


def test_same_padding_keeps_the_size():
    net = build(2, padding="same")
    geometry = analyse(net, dims=2)
    assert geometry.context == (0, 0)
    assert geometry.smallest_input == (6, 6)
    assert net(torch.zeros(1, 1, 12, 18)).shape == (1, 2, 12, 18)


def test_kernels_per_level():
    flat = [(1, 3, 3), (1, 3, 3)]
    net = build(3, level_kernels={0: flat}, kernels=[(3, 3, 3)])
    assert net.down[0][0].kernel_size == (1, 3, 3)
    assert len(net.down[1]) == 2
    assert analyse(net).context[0] == 3


def test_anisotropic_output_and_gradient():
    net = build(3).train()
    size = analyse(net).smallest_input
    net(torch.randn(2, 1, *size)).sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())


def test_an_input_of_no_valid_size():
    with pytest.raises(ValueError, match=r"level 0 of the U-Net has .* no multiple of its"):
        build(2)(torch.zeros(1, 1, 60, 60))


def test_even_kernels_cannot_be_cropped_around_the_centre():
    net = build(1, downsample=[(2,)], kernels=[(2,)])
    with pytest.raises(ValueError, match="cannot be cropped to a multiple of the period"):
        net(torch.zeros(1, 1, 41))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"downsample": []}, "goes down at least once"),
        ({"downsample": [(2, 2), (2,)]}, "one factor per axis"),
        ({"downsample": [(2,) * 4]}, "1 to 3 axes"),
        ({"downsample": [(0, 2)]}, "factors are positive"),
        ({"downsample": [(2, 2)], "kernels": [(3, 3, 3)]}, "each with 2 positive kernel sizes"),
        ({"downsample": [(2, 2)], "kernels": []}, "one convolution or more"),
    ],
)
def test_refused(options, text):
    with pytest.raises(ValueError, match=text):
        UNet(1, 1, **options)


def test_normalised_signals_are_of_size_one_whatever_comes_in():
    torch.manual_seed(0)
    net = UNet(1, 2, fmaps=4, downsample=[(2, 2)], padding="same", batch_norm=True)
    seen = []
    net.down[0].register_forward_hook(lambda *call: seen.append(call[2]))
    with torch.no_grad():
        net(torch.randn(4, 1, 16, 16) * 1000 + 500)
    # A normal distribution, of which the negative half is cut off.
    assert seen[0].mean() == pytest.approx(0.4, abs=0.05)
    assert net.down[0][0].bias is None


def test_values_of_the_lowest_level_are_left_out_in_training_only():
    torch.manual_seed(0)
    net = UNet(1, 2, fmaps=4, downsample=[(2, 2)], padding="same", dropout=0.5)
    image = torch.randn(1, 1, 16, 16)
    with torch.no_grad():
        assert not torch.equal(net(image), net(image))
        net.eval()
        assert torch.equal(net(image), net(image))
