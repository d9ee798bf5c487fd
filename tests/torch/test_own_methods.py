"""Nodes of gunpowder's users that bring a step of their own."""

import pytest
import torch

import voxflow as gp

RAW, PRED = gp.ArrayKey("RAW"), gp.ArrayKey("PRED")


class OwnStep(gp.torch.Train):
    def train_step(self, batch, request):
        raise AssertionError("never called")


class OwnPrediction(gp.torch.Predict):
    def start(self):
        raise AssertionError("never called")

    def predict(self, batch, request):
        raise AssertionError("never called")


class MoreOptions(gp.torch.Train):
    def __init__(self, *args, option, **kwargs):
        super().__init__(*args, **kwargs)
        self.option = option


def options(model):
    return {
        "model": model,
        "loss": torch.nn.MSELoss(),
        "optimizer": torch.optim.SGD(model.parameters(), 0.1),
        "inputs": {0: RAW},
        "outputs": {0: PRED},
        "loss_inputs": {0: PRED, 1: RAW},
    }


def test_a_step_that_would_never_be_called_is_refused():
    model = torch.nn.Conv2d(1, 1, 1)
    with pytest.raises(TypeError, match=r"OwnStep has train_step\(\).*GenericTrain"):
        OwnStep(**options(model))
    with pytest.raises(TypeError, match=r"start\(\) and predict\(\).*GenericPredict"):
        OwnPrediction(model, {0: RAW}, {0: PRED})


def test_other_methods_are_no_trouble():
    assert MoreOptions(**options(torch.nn.Conv2d(1, 1, 1)), option=3).option == 3
