"""Small sessions, for tests."""

import numpy as np
import torch

import voxflow as gp
from tests.torch.nets import OUT, RAW, TARGET, convolution, request, volume
from voxflow.training import Session


def pipeline(*nodes, seed=1):
    made = (volume(seed=seed), volume(key=TARGET, seed=seed + 1)) + gp.MergeProvider()
    for node in (gp.RandomLocation(), *nodes):
        made = made + node
    return made


def session(model=None, optimizer=None, nodes=(), **options):
    model = convolution(dropout=0.5, norm=True) if model is None else model
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01) if optimizer is None else optimizer
    options = {
        "loss": torch.nn.MSELoss(),
        "request": request(),
        "inputs": RAW,
        "outputs": OUT,
        "loss_inputs": [OUT, TARGET],
        "seed": 7,
        "device": "cpu",
        **options,
    }
    options.setdefault("pipeline", pipeline(*nodes))
    return Session(model, optimizer=optimizer, **options)


def weights(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(left, right):
    return list(left) == list(right) and all(torch.equal(left[n], right[n]) for n in left)


class Losses:
    """Keeps what hooks are told."""

    def __init__(self):
        self.steps = []

    def after_step(self, session, step):
        self.steps.append(step)

    @property
    def values(self):
        return [step.loss for step in self.steps]


class Poison(gp.BatchFilter):
    """Spoils the batches of some positions in the run."""

    def __init__(self, *indices):
        self.indices = indices

    def process(self, batch, request):
        if request.position.index in self.indices:
            batch[RAW].data = batch[RAW].data * np.float32(np.nan)
