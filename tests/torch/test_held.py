"""How much memory a model takes, told without computing anything."""

import pytest

torch = pytest.importorskip("torch")

import numpy as np  # noqa: E402

import voxflow as gp  # noqa: E402
from voxflow.torch.held import held_at_most  # noqa: E402

RAW, OUT = gp.ArrayKey("RAW"), gp.ArrayKey("OUT")
SIZE = 4 * 10 * 10  # bytes of a channel


def empty(*shape):
    return torch.empty(shape, device="meta")


@pytest.mark.parametrize(
    ("layers", "channels"),
    [
        ([torch.nn.ReLU(), torch.nn.Sigmoid()], 2),  # one is read while the next one is made
        ([torch.nn.ReLU(), torch.nn.ReLU(inplace=True), torch.nn.Flatten()], 1),
        ([torch.nn.Conv2d(1, 8, 1), torch.nn.Conv2d(8, 2, 1)], 10),
        ([torch.nn.Conv2d(1, 8, 3, padding=1), torch.nn.ReLU()], 24),  # in blocks of 16 channels
        ([torch.nn.Conv2d(1, 17, 1), torch.nn.Conv2d(17, 1, 3, padding=1)], 17 + 1 + 32),
    ],
)
def test_tensors_count_as_long_as_they_live(layers, channels):
    model = torch.nn.Sequential(*layers).eval()
    assert held_at_most(model, [empty(1, 1, 10, 10)], {}) == channels * SIZE


def test_arguments_by_name_and_branches():
    class Two(torch.nn.Module):
        def forward(self, a, b):
            kept = a + 1
            return kept, torch.relu(kept * b)

    assert held_at_most(Two(), [empty(1, 1, 10, 10)], {"b": empty(1, 1, 10, 10)}) == 3 * SIZE


def test_a_model_that_looks_at_values_is_not_known():
    class Looks(torch.nn.Module):
        def forward(self, a):
            return a if a.sum() > 0 else a + 1

    assert held_at_most(Looks(), [empty(1, 1, 10, 10)], {}) is None


def test_a_prediction_tells_it():
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 16, 3), torch.nn.Conv2d(16, 1, 3))
    model.train()
    image = np.zeros((200, 200), np.float32)
    pipeline = (
        gp.ArraySource(RAW, image, spec=gp.ArraySpec(voxel_size=(1, 1)))
        + gp.Unsqueeze([RAW])
        + gp.Unsqueeze([RAW])
        + gp.torch.Predict(
            model, {0: RAW}, {0: OUT}, {OUT: gp.ArraySpec(dtype=np.float32)}, context=(2, 2),
            device="cpu",
        )
    )  # fmt: skip
    with gp.build(pipeline):
        memory = pipeline.plan(gp.BatchRequest({OUT: gp.Roi((10, 10), (96, 96))})).memory()
    given, between, made = (4 * n * n for n in (100, 98, 96))
    assert memory.expected == given + 16 * between + made + 16 * between
    assert memory.node == "Predict"
    assert model.training


def test_a_model_keeps_nothing_of_it():
    class Keeps(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.grid = torch.nn.Conv1d(1, 1, 1), None
            self.seen = []
            self.inner.register_forward_hook(lambda *found: self.seen.append(found))

        def forward(self, x):
            if self.grid is None or self.grid.shape != x.shape:
                self.grid = torch.ones_like(x)
            return self.inner(x + self.grid)

    model = Keeps()
    assert held_at_most(model, [torch.empty((1, 1, 10), device="meta")], {}) > 0
    assert model.grid is None
    assert model.seen == []
    assert model(torch.zeros(1, 1, 10)).device.type == "cpu"
