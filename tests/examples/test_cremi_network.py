"""The parts of the CREMI example with a network: train, go on, predict, choose, on small data."""

import json
import sys
from importlib import import_module
from pathlib import Path

import h5py
import numpy as np
import pytest

import voxflow as vf
from voxflow.inspect import write_page
from voxflow.ops.affinities import affinities as affinities_of
from voxflow.segmentation import Components, MutexWatershed, Watershed

SCRIPTS = Path(__file__).parents[2] / "examples" / "cremi"
pytest.importorskip("torch")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def scripts():
    sys.path.insert(0, str(SCRIPTS))
    names = ("common", "sample", "segment", "evaluate", "network", "train", "predict", "choose")
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
    assert affinities.data.shape == (len(common.THICK.neighborhood), *shape)
    assert 0 <= affinities.data.min() < affinities.data.max() <= 1


def test_affinities_fit_into_the_labels_however_they_are_turned(scripts, trained):
    common, room = scripts["common"], scripts["train"].room
    assert room([trained / "a.hdf"], None, common.THICK).tolist() == [15, 91, 91]
    assert room([trained / "a.hdf"], None, common.ISOTROPIC).tolist() == [1, 1, 1]


def test_the_method_with_the_best_score_is_chosen(scripts, capsys):
    choose, neighborhood = scripts["choose"], scripts["common"].THICK.neighborhood
    labels = np.repeat(np.uint64([1, 2]), 512).reshape(16, 8, 8)
    around = np.pad(labels, ((2, 0), (9, 0), (9, 0)), mode="edge")
    clean = affinities_of(around, neighborhood, np.float32)
    spec = vf.ArraySpec(roi=vf.Roi((0, 0, 0), (640, 32, 32)), voxel_size=(40, 4, 4))
    methods = [Components(threshold=threshold) for threshold in (-0.1, 0.4, 0.9)]
    affinities = vf.Array(0.5 * clean, spec)
    best = choose.best_of(methods, affinities, neighborhood, vf.Array(labels, spec))
    assert best == methods[1]
    assert capsys.readouterr().out.count("voi_sum") == 3


def run(script, *arguments):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [script.__name__, *map(str, arguments)])
        script.main()


def test_a_real_volume_that_is_held_out(scripts, real_data, tmp_path, monkeypatch):
    """What `make gala` does, after hardly any training."""
    monkeypatch.setattr(scripts["choose"], "METHODS", [MutexWatershed(), Watershed()])
    trained_on, held_out = (real_data / f"gala_{name}.hdf" for name in ("train", "test"))
    options = ("--mirror", "--out", tmp_path, "--data")
    run(scripts["train"], "--iterations", 2, "--workers", 0, *options, trained_on)
    run(scripts["choose"], *options, trained_on, "--planes", 20, 24)
    run(scripts["predict"], *options, held_out, "--planes", 10, 18)
    files = [tmp_path / "trained.hdf", tmp_path / "untrained.hdf"]
    run(scripts["segment"], *files)
    run(scripts["evaluate"], *files, "--data", held_out)
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert list(scores) == ["trained", "untrained", "fragments", "watershed of raw"]
    assert scores["fragments"]["voi_sum"] < scores["watershed of raw"]["voi_sum"]
    with h5py.File(files[0]) as file:
        assert file["volumes/segmentation"].shape == (8, 100, 200)
        assert list(file["volumes/segmentation"].attrs["offset"]) == [100, 0, 0]
    page = write_page([held_out, files[0]], tmp_path / "page.html")
    assert "volumes/segmentation" in Path(page).read_text()
