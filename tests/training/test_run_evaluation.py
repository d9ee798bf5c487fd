"""What the network of a run is worth, against what is computed by hand."""

import json
import shutil

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from voxflow.cli.app import app
from voxflow.evaluation import ScoreHistogram
from voxflow.models import UNet
from voxflow.nodes import ScanCallback
from voxflow.stores import Geometry, create_dataset, open_dataset
from voxflow.torch import load_checkpoint
from voxflow.training import NoRunDir, evaluate_run, train
from voxflow.training.config import load_config

pytestmark = pytest.mark.slow  # a training, and two images

SHAPES = {"train": (40, 54), "validation": (44, 40)}
NET = "{in_channels: 1, out_channels: 2, fmaps: 2, fmap_factor: 2, downsample: [[2, 2]]}"
CONFIG = f"""
model: {{name: UNet, options: {NET}}}
loss: {{name: CrossEntropyLoss}}
data:
  pairs: [{{raw: [train.zarr, raw], labels: [train.zarr, labels]}}]
  input_shape: [36, 36]
validation:
  pairs: [{{raw: [validation.zarr, raw], labels: [validation.zarr, labels]}}]
  batches: 1
stop: {{steps: 2}}
previews: {{training: false}}
log: {{plots: false, tensorboard: false}}
device: cpu
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run directory, beside its data; labels of the validation cover a part."""
    folder = tmp_path_factory.mktemp("run")
    rng = np.random.default_rng(0)
    for name, shape in SHAPES.items():
        labels = (rng.random(shape) < 0.4).astype(np.uint64)
        raw = (60 + 120 * labels + rng.integers(0, 60, shape)).astype(np.uint8)
        begin = 8 if name == "validation" else 0
        for data, first in ((raw, 0), (labels[begin:], begin)):
            dataset = "labels" if data.dtype == np.uint64 else "raw"
            place = Geometry(voxel_size=(4, 4), offset=(100 + 4 * first, 40))
            store = folder / f"{name}.zarr"
            create_dataset(store, dataset, data.shape, data.dtype, geometry=place).write((), data)
    (folder / "small.yaml").write_text(CONFIG)
    train(load_config(folder / "small.yaml"), run_dir=folder / "runs" / "small")
    return folder / "runs" / "small"


@pytest.fixture(scope="module")
def found(run):
    return evaluate_run(run, progress=ScanCallback())


def by_hand(run, name):
    """Probabilities of the whole image at once, and its labels, where both are."""
    net = UNet(1, 2, fmaps=2, fmap_factor=2, downsample=[(2, 2)])
    net.load_state_dict(load_checkpoint(run / "checkpoints" / "final.pt").model)
    raw = open_dataset(run.parents[1] / f"{name}.zarr", "raw").read().astype(np.float32) / 255
    # Mirrored to a size that the network takes, which changes nothing where all it sees is real.
    padded = np.pad(raw, [(0, -n % 2 + 20) for n in raw.shape], mode="reflect")
    with torch.no_grad():
        out = net.eval()(torch.as_tensor(padded)[None, None]).softmax(dim=1)[0, 1].numpy()
    context = (padded.shape[0] - out.shape[0]) // 2
    return context, out[: raw.shape[0] - 2 * context, : raw.shape[1] - 2 * context]


@pytest.mark.parametrize(("name", "part"), [("train", "training"), ("validation", "validation")])
def test_scores_are_those_of_the_whole_image(run, found, name, part):
    context, expected = by_hand(run, name)
    store = run / "evaluation" / "final-2" / f"{part}-0.zarr"
    scores = open_dataset(store, "scores")
    assert list(scores.attrs["offset"]) == [100 + 4 * context, 40 + 4 * context]
    np.testing.assert_allclose(scores.read()[0], expected, atol=1e-5)
    labels = open_dataset(run.parents[1] / f"{name}.zarr", "labels").read()
    labels = np.pad(labels, ((len(expected) + 2 * context - len(labels), 0), (0, 0)))
    inner = tuple(slice(context, context + n) for n in expected.shape)
    known = np.s_[max(0, 8 - context) :] if part == "validation" else np.s_[:]
    histogram = ScoreHistogram()
    histogram.add(labels[inner][known].astype(np.int64), scores.read()[0][known])
    if part == "training":
        assert found.threshold == histogram.best()
    assert found.scores[part]["roc_area"] == pytest.approx(histogram.roc_area())
    assert found.scores[part]["accuracy"] == histogram.at(found.threshold).accuracy
    assert json.loads(found.file.read_text()) == found.to_json()


def test_what_was_predicted_is_not_predicted_again(run, found, monkeypatch):
    def forward(*inputs):
        raise AssertionError("predicted again")

    monkeypatch.setattr("voxflow.training.run_evaluation._Scores.forward", forward)
    again = evaluate_run(run, threshold=0.25, progress=ScanCallback())
    assert again.scores["training"]["roc_area"] == found.scores["training"]["roc_area"]
    assert again.threshold == 0.25
    assert again.scores["training"]["tpr"] >= found.scores["training"]["tpr"]


def test_the_configuration_is_that_of_the_latest_start(run, tmp_path):
    again = tmp_path / "run"
    shutil.copytree(run, again, ignore=shutil.ignore_patterns("evaluation"))
    text = (run / "config.yaml").read_text().replace("validation.zarr", "train.zarr")
    (again / "config-2.yaml").write_text(text)
    scores = evaluate_run(again, progress=ScanCallback()).scores
    assert scores["validation"] == scores["training"]


def test_the_command(run, found):
    done = CliRunner().invoke(app, ["evaluate", "--run", str(run), "--quiet"])
    assert done.exit_code == 0, done.output
    assert "final, step 2" in done.output
    row = next(line for line in done.output.splitlines() if "accuracy" in line)
    assert [f"{scores['accuracy']:.4f}" for scores in found.scores.values()] == row.split()[1:3]


def test_what_is_not_there_is_said(run, tmp_path):
    with pytest.raises(NoRunDir):
        evaluate_run(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no checkpoint best; in .* there is: final"):
        evaluate_run(run, checkpoint="best")
    for wrong in (["--run", str(run), "--png", "a.png"], ["--run", str(run), "gt", "pred"], ["gt"]):
        done = CliRunner().invoke(app, ["evaluate", *wrong])
        assert done.exit_code == 2, done.output
