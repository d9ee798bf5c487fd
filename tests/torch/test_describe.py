"""Models of torch, as plain values."""

import torch

import voxflow as gp
from voxflow.pipeline.engine.describe import describe, differences
from voxflow.torch.checkpoint import Checkpoint, save_checkpoint

RAW, OUT = gp.ArrayKey("RAW"), gp.ArrayKey("OUT")


def predict(channels=2, seed=0, **options):
    torch.manual_seed(seed)
    model = torch.nn.Sequential(torch.nn.Conv2d(1, channels, 3), torch.nn.BatchNorm2d(channels))
    return gp.torch.Predict(model, {0: RAW}, {0: OUT}, **options)


def changed(old, new):
    return differences(describe(old), describe(new))


def test_weights_and_structure():
    assert changed(predict(), predict(device="cpu")) == []
    (told,) = changed(predict(), predict(seed=1))
    assert told.startswith("Predict: model changed (hash ")
    told = changed(predict(), predict(channels=3))
    assert any("model.repr is 'Sequential" in line for line in told)
    double = predict()
    double.model.double()
    assert len(changed(predict(), double)) == 1


def test_types_that_numpy_does_not_know():
    old, new = predict(), predict(seed=1)
    for node in (old, new):
        node.model.bfloat16()
    assert len(changed(old, new)) == 1
    assert changed(old, old) == []


def test_a_checkpoint_stands_for_the_weights(tmp_path):
    first, second = predict(), predict(seed=1)
    path = tmp_path / "checkpoint"
    save_checkpoint(path, Checkpoint(first.model.state_dict()))
    node, other = predict(seed=2, checkpoint=path), predict(seed=3, checkpoint=path)
    before = describe(node)
    assert changed(node, other) == []
    node.model.load_state_dict(first.model.state_dict())
    assert describe(node) == before
    save_checkpoint(path, Checkpoint(second.model.state_dict()))
    (told,) = differences(before, describe(node))
    assert told.startswith("Predict: checkpoint changed (hash ")


def test_training():
    def train(lr=0.1):
        torch.manual_seed(0)
        model = torch.nn.Conv2d(1, 2, 3)
        optimizer = torch.optim.Adam(model.parameters(), lr=lr)
        return gp.torch.Train(
            model, torch.nn.MSELoss(), optimizer, {0: RAW}, {0: OUT, 1: RAW}, {0: OUT}
        )

    assert changed(train(), train()) == []
    told = changed(train(), train(lr=0.2))
    assert told[0].startswith("Train: optimizer changed (hash ")
