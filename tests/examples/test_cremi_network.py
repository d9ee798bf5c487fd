"""The parts of the CREMI example with a network: train, go on, predict, on very small samples."""

import sys
from importlib import import_module
from pathlib import Path

import h5py
import numpy as np
import pytest

SCRIPTS = Path(__file__).parents[2] / "examples" / "cremi"
pytest.importorskip("torch")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def scripts():
    sys.path.insert(0, str(SCRIPTS))
    names = ("common", "sample", "network", "train", "predict")
    try:
        yield {name: import_module(name) for name in names}
    finally:
        sys.path.remove(str(SCRIPTS))
        for name in names:
            sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def trained(scripts, tmp_path_factory):
    """A folder with a sample and what two steps of training leave."""
    folder = tmp_path_factory.mktemp("cremi")
    make = scripts["sample"]
    make.write(folder / "a.hdf", *make.sample(np.random.default_rng(0), (36, 182, 182)))
    scripts["train"].train([folder / "a.hdf"], out=folder, iterations=2, workers=0)
    return folder


def test_training_leaves_checkpoint_log_and_snapshot(trained):
    assert (trained / "model_checkpoint_2").exists()
    assert any((trained / "log").rglob("events*"))
    with h5py.File(trained / "snapshots" / "batch_1.hdf") as file:
        assert file["volumes/raw"].shape[-3:] == (22, 142, 142)
        assert file["volumes/predicted"].shape == file["volumes/affinities"].shape


def test_training_goes_on_from_the_checkpoint(scripts, trained):
    before = (trained / "model_checkpoint_2").read_bytes()
    scripts["train"].train([trained / "a.hdf"], out=trained, iterations=3, workers=0)
    assert (trained / "model_checkpoint_2").read_bytes() == before
    assert (trained / "model_checkpoint_3").exists()


@pytest.mark.parametrize(
    ("options", "offset", "shape"),
    [
        ({}, (240, 140, 140), (24, 112, 112)),
        ({"planes": (30, 34), "mirror": True}, (1200, 0, 0), (4, 182, 182)),
    ],
)
def test_prediction_covers_what_was_asked_for(scripts, trained, options, offset, shape):
    common, out = scripts["common"], trained / "p.hdf"
    scripts["predict"].predict(trained / "a.hdf", out, trained / "model_checkpoint_2", **options)
    affinities = common.load(out, common.AFFINITIES)
    assert tuple(affinities.spec.roi.offset) == offset
    assert affinities.data.shape == (len(common.NEIGHBORHOOD), *shape)
    assert 0 <= affinities.data.min() < affinities.data.max() <= 1
