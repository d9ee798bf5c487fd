"""Regions of a configuration: in the middle of an image, as large as the network can take."""

import numpy as np
import pytest

import voxflow as gp
from voxflow.training.configured import make_session
from voxflow.training.parts.feeds import LABELS, PREDICTED, RAW, make_feed
from voxflow.training.parts.network import make_model
from voxflow.training.parts.regions import make_regions

VOLUME = """
model: {name: UNet, options: {in_channels: 1, out_channels: 1, fmaps: 1, fmap_factor: 1,
  downsample: [[1, 2, 2]]}}
loss: {name: MSELoss}
data:
  pairs: [{raw: [v.zarr, raw], labels: [v.zarr, labels]}]
  input_shape: [13, 20, 20]
  target: values
stop: {steps: 1}
previews: {sources: [[v.zarr, raw]]}
log: {plots: false, tensorboard: false, status: false}
"""


@pytest.fixture
def regions(volume):
    def make(*assignments, shape=(20, 60, 70)):
        config = volume(VOLUME, shape, np.ones, *assignments)
        model = make_model(config.model, 0)
        feed = make_feed(config.data, config.data, model, train=True)
        return make_regions(config, feed, model), config

    return make


def test_a_region_is_in_the_middle_and_as_large_as_it_may_be(regions):
    found, config = regions("previews.max_sections=3")
    (region,) = found.values()
    assert list(found) == ["v-raw"]
    size = gp.Coordinate((40, 4, 4))
    assert region.context == gp.Coordinate((6, 8, 8)) * size
    shown = region.request[RAW].roi
    # 8 sections can be predicted, of which 3 are wanted; in y and x all is.
    assert shown == gp.Roi(gp.Coordinate((9, 9, 9)) * size, gp.Coordinate((3, 44, 54)) * size)
    assert {key for key, _ in region.request.items()} == {RAW, LABELS, PREDICTED}
    assert region.block[PREDICTED].roi.shape == gp.Coordinate((1, 4, 4)) * size
    assert config.previews.max_sections == 3


def test_a_size_may_be_given_and_is_no_smaller_than_a_block(regions):
    found, _ = regions("previews.shape=[5,1,30]")
    shown = found["v-raw"].request[RAW].roi
    assert shown.shape / gp.Coordinate((40, 4, 4)) == (5, 4, 30)


def test_mistakes_are_told_before_the_run(regions):
    with pytest.raises(ValueError, match="the network has 3 axes"):
        regions("previews.shape=[5,30]")
    with pytest.raises(ValueError, match=r"v.zarr:raw has \(8, 60, 70\) voxels, the network needs"):
        regions(shape=(8, 60, 70))


def test_a_volume_is_predicted(regions, tmp_path):
    _, config = regions("previews.every.steps=1", "previews.shape=[2,12,12]")
    make_session(config, tmp_path / "run").run()
    names = [f"{name}-step-1.png" for name in ("training", "v-raw")]
    assert sorted(p.name for p in (tmp_path / "run" / "previews").iterdir()) == names
