"""The image of a validation is predicted as far as it can be compared with its labels."""

import numpy as np
import pytest
import torch

import voxflow as gp
from tests.training.parts.conftest import SIZE
from voxflow.training import read_events
from voxflow.training.config.mistakes import ConfigError
from voxflow.training.configured import make_session

VOLUME = """
model: {name: UNet, options: {in_channels: 1, out_channels: 3, fmaps: 1, fmap_factor: 1,
  downsample: [[1, 2, 2]]}}
loss: {name: MSELoss}
data:
  pairs: [{raw: [v.zarr, raw], labels: [v.zarr, labels]}]
  input_shape: [13, 20, 20]
  target: affinities
  neighborhood: [[-1, 0, 0], [0, -1, 0], [0, 0, -1]]
validation:
  pairs: [{raw: [v.zarr, raw], labels: [v.zarr, labels]}]
  whole: true
stop: {steps: 1}
log: {plots: false, tensorboard: false, status: false}
"""


@pytest.fixture
def session(volume, tmp_path):
    def make(*assignments, shape=(20, 44, 48)):
        rng = np.random.default_rng(0)
        config = volume(
            VOLUME, shape, lambda extent, dtype: rng.integers(0, 3, extent, dtype),
            "seed=3", *assignments, labels=np.uint64,
        )  # fmt: skip
        return make_session(config, tmp_path / "run")

    return make


def test_the_loss_is_that_of_all_that_can_be_predicted(session, tmp_path):
    made = session()
    validation = made.validation
    (shown,) = {spec.roi for _, spec in validation.request.items()}
    # The network takes 6, 8 and 8 voxels on each side; affinities, one of labels that begin at 2.
    assert shown.offset == gp.Coordinate((7, 9, 9)) * SIZE
    assert shown.shape == gp.Coordinate((8, 28, 32)) * SIZE
    made.run()
    found = read_events(tmp_path / "run", ["validation.loss"])[0]
    raw = gp.stores.open_dataset(tmp_path / "v.zarr", "raw").read(())
    labels = gp.stores.open_dataset(tmp_path / "v.zarr", "labels").read(())
    assert found.step == 0
    # The weights of the beginning, once more.
    model = session().model.eval()
    with torch.no_grad():
        predicted = model(torch.from_numpy(raw.astype(np.float32) / 255)[None, None])[0].numpy()
    part = labels[4 - 1 : 4 + 8, 6 - 1 : 6 + 28, 6 - 1 : 6 + 32]
    wanted = np.stack([_same(part, axis) for axis in range(3)])
    assert found.value == pytest.approx(float(((predicted - wanted) ** 2).mean()), rel=1e-5)


def _same(labels, axis):
    inner = labels[1:, 1:, 1:]
    before = [slice(1, None)] * 3
    before[axis] = slice(0, -1)
    return ((inner == labels[tuple(before)]) & (inner > 0)).astype(np.float32)


def test_what_cannot_be_predicted_is_told_before_the_run(session):
    with pytest.raises(ValueError, match=r"validation.whole: .*v.zarr:raw can be .*at once; take"):
        session(shape=(13, 20, 19))
    with pytest.raises(ConfigError, match="whole is for one image, given in pairs; there are 2"):
        session("validation.pairs=[{raw: [a, b], labels: [a, b]}, {raw: [a, b], labels: [a, b]}]")
