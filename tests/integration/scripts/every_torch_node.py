"""Training and prediction on the same batches; written for gunpowder 1.4.

usage: every_torch_node.py OUT.npz
"""

import sys
import tempfile

import gunpowder as gp
import h5py
import numpy as np
import torch

RAW, LABELS, PREDICTION, GRADIENT, INNER = (
    gp.ArrayKey(name) for name in ("RAW", "LABELS", "PREDICTION", "GRADIENT", "INNER")
)
SIZE = gp.Coordinate(4, 2, 2)
SHAPE = (12, 20, 20)


class Source(gp.BatchProvider):
    """Other numbers at each request, the same ones in each run."""

    def __init__(self):
        self.count = 0

    def setup(self):
        roi = gp.Roi((0, 0, 0), gp.Coordinate(SHAPE) * SIZE)
        for key in (RAW, LABELS):
            self.provides(key, gp.ArraySpec(roi, SIZE, key == RAW, dtype=np.float32))

    def provide(self, request):
        batch = gp.Batch()
        rng = np.random.default_rng(self.count)
        self.count += 1
        raw = rng.random((1, 1, *SHAPE), np.float32)
        for key, data in ((RAW, raw), (LABELS, (raw > 0.5).astype(np.float32))):
            if key in request:
                spec = self.spec[key].copy()
                batch[key] = gp.Array(data, spec).crop(request[key].roi)
        return batch


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first = torch.nn.Conv3d(1, 3, 3, padding=1)
        self.second = torch.nn.Conv3d(3, 1, 3, padding=1)

    def forward(self, x):
        return torch.sigmoid(self.second(torch.tanh(self.first(x))))


def train(folder, count, found):
    torch.manual_seed(1)
    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    pipeline = Source() + gp.torch.Train(
        model,
        torch.nn.MSELoss(),
        optimizer,
        inputs={"x": RAW},
        outputs={0: PREDICTION, "first": INNER},
        loss_inputs={0: PREDICTION, 1: LABELS},
        gradients={0: GRADIENT},
        checkpoint_basename=f"{folder}/model",
        save_every=3,
        device="cpu",
    )
    pipeline += gp.Snapshot({RAW: "raw", PREDICTION: "p"}, folder, "s_{iteration}.hdf", every=2)
    request = gp.BatchRequest()
    for key in (RAW, LABELS, PREDICTION, GRADIENT, INNER):
        request[key] = gp.Roi((0, 0, 0), gp.Coordinate(SHAPE) * SIZE)
    losses, iterations = [], []
    with gp.build(pipeline):
        for _ in range(count):
            batch = pipeline.request_batch(request)
            losses.append(float(batch.loss))
            iterations.append(batch.iteration)
    found["losses"] = np.array([*found.get("losses", []), *losses])
    found["iterations"] = np.array([*found.get("iterations", []), *iterations])
    for key in (PREDICTION, GRADIENT, INNER):
        found[str(key).lower()] = batch[key].data
    return model


def predict(model, folder, found):
    pipeline = Source() + gp.torch.Predict(
        model.eval(),
        inputs={"x": RAW},
        outputs={0: PREDICTION},
        checkpoint=f"{folder}/model_checkpoint_3",
        device="cpu",
    )
    request = gp.BatchRequest()
    request[PREDICTION] = request[RAW] = gp.Roi((0, 0, 0), gp.Coordinate(SHAPE) * SIZE)
    with gp.build(pipeline):
        found["predicted"] = pipeline.request_batch(request)[PREDICTION].data


results = {}
with tempfile.TemporaryDirectory() as where:
    net = train(where, 7, results)
    train(where, 2, results)  # goes on from the last checkpoint, which is that of step 6
    predict(net, where, results)
    with h5py.File(f"{where}/s_3.hdf") as file:
        results["snapshot"] = file["p"][()]
        results["snapshot loss"] = np.array(file.attrs["loss"])
for name, value in net.state_dict().items():
    results[name] = value.numpy()
np.savez_compressed(sys.argv[1], **results)
