"""The network of this example: a small 3D U-Net with valid convolutions."""

from torch import nn

from voxflow.models import UNet


def make_network(setting):
    """Raw (sample, 1, z, y, x; -1 ... 1) to affinities (sample, channel, z, y, x; 0 ... 1)."""
    unet = UNet(
        in_channels=1,
        out_channels=len(setting.neighborhood),
        fmaps=12,
        fmap_factor=3,
        downsample=setting.downsample,
        level_kernels={0: setting.finest},
    )
    for layer in unet.modules():  # weights that suit ReLU: it learns from the first step on
        if isinstance(layer, (nn.Conv3d, nn.ConvTranspose3d)):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
    return nn.Sequential(unet, nn.Sigmoid())
