"""Small pipelines with networks, for tests."""

import numpy as np
import torch

import voxflow as gp

RAW, TARGET, OUT, GRADIENT = (gp.ArrayKey(n) for n in ("RAW", "TARGET", "OUT", "GRADIENT"))


def volume(shape=(24, 24), voxel_size=None, key=RAW, dtype=np.float32, seed=0):
    size = gp.Coordinate((1,) * len(shape) if voxel_size is None else voxel_size)
    data = np.random.default_rng(seed).random(shape)
    data = (data * 255).astype(dtype) if np.dtype(dtype).kind in "iu" else data.astype(dtype)
    spec = gp.ArraySpec(gp.Roi((0,) * len(size), gp.Coordinate(shape) * size), size)
    return gp.ArraySource(key, gp.Array(data, spec))


def convolution(seed=0, dropout=0.0, norm=False):
    """A valid 2D network for inputs without channels: two pixels less on each side."""
    torch.manual_seed(seed)
    layers = [torch.nn.Conv2d(1, 4, 3)]
    if norm:
        layers.append(torch.nn.BatchNorm2d(4))
    layers += [torch.nn.ReLU(), torch.nn.Dropout(dropout), torch.nn.Conv2d(4, 1, 3)]
    return Flat(torch.nn.Sequential(*layers))


class Flat(torch.nn.Module):
    """Adds the sample and channel axes that arrays without them lack."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(x[None, None].float())[0, 0]


def request(inner=8, **others):
    roi = gp.Roi((4, 4), (inner, inner))
    asked = gp.BatchRequest({RAW: roi.grow(2, 2), TARGET: roi})
    for name in others:
        asked[gp.ArrayKey(name)] = roi
    return asked
