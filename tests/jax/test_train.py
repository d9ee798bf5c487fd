"""Training with jax, on one device and on two."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("jax")

import jax

import voxflow as gp
from tests.helpers import asking, served, source
from tests.jax.models import Line
from voxflow.jax import GenericJaxModel, Predict, Train

RAW, TARGET, Y, ERROR = (gp.ArrayKey(name) for name in ("RAW", "TARGET", "Y", "ERROR"))
WHOLE = ((0, 0), (8, 6))
IMAGE = np.linspace(-1, 1, 12).reshape(4, 3).astype(np.float32)


def data(size=(2, 2)):
    target = source(TARGET, 2 * IMAGE + 1, size)
    return (source(RAW, IMAGE, size), target) + gp.MergeProvider()


def node(folder, model=None, **options):
    return Train(
        model or Line(),
        {"x": RAW, "target": TARGET},
        {"y": Y},
        {"error": ERROR},
        checkpoint_basename=str(folder / "model"),
        **options,
    )


def trained(train, steps, seed=3, request=None):
    """The batches of some steps."""
    request = request or asking(RAW=WHOLE, TARGET=WHOLE, Y=WHOLE, ERROR=WHOLE)
    pipeline = data() + train
    with gp.build(pipeline, seed=seed):
        return [pipeline.request_batch(request) for _ in range(steps)]


def losses(batches):
    return [float(batch.loss) for batch in batches]


@pytest.mark.parametrize("spawn", [False, True], ids=["here", "process"])
def test_the_loss_falls_and_outputs_are_in_the_batch(tmp_path, spawn):
    batches = trained(node(tmp_path, spawn_subprocess=spawn), 30)
    assert [batch.iteration for batch in batches] == [*range(1, 31)]
    assert losses(batches)[-1] < 0.05 * losses(batches)[0]
    last = batches[-1]
    assert isinstance(last[Y].data, np.ndarray)
    assert (last[Y].spec.roi, last[Y].spec.voxel_size) == (gp.Roi(*WHOLE), (2, 2))
    np.testing.assert_allclose(
        last[ERROR].data, last[Y].data - last[TARGET].data, rtol=0, atol=1e-6
    )
    np.testing.assert_allclose(float(last.loss), (last[ERROR].data ** 2).mean(), rtol=1e-5)


def test_the_same_seed_gives_the_same_training(tmp_path):
    runs = [losses(trained(node(tmp_path / str(i)), 4, seed=s)) for i, s in enumerate([3, 3, 4])]
    assert runs[0] == runs[1] != runs[2]


def test_a_resumed_training_goes_on_as_if_it_had_not_ended(tmp_path):
    whole = losses(trained(node(tmp_path / "whole"), 12))
    first = losses(trained(node(tmp_path / "parts", save_every=5), 7))
    train = node(tmp_path / "parts", save_every=5)
    pipeline = data() + train
    request = asking(RAW=WHOLE, TARGET=WHOLE)
    with gp.build(pipeline):
        assert pipeline.run.seed == 3
        batches = [pipeline.request_batch(request) for _ in range(7)]
    assert first[:5] + losses(batches) == whole
    assert batches[0].iteration == 6


def test_checkpoints_are_pickles_of_the_parameters(tmp_path):
    trained(node(tmp_path, save_every=4), 8)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"model_checkpoint_4", "model_checkpoint_8"}
    with open(tmp_path / "model_checkpoint_8", "rb") as file:
        params = pickle.load(file)
    assert params.keys() == {"weights", "optimizer"}
    assert all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(params))


def test_one_of_gunpowder_is_gone_on_from(tmp_path):
    model = Line()
    params = jax.device_get(model.initialize(jax.random.PRNGKey(0), {}))
    with open(tmp_path / "model_checkpoint_7", "wb") as file:
        pickle.dump(params, file)
    (batch,) = trained(node(tmp_path), 1)
    assert batch.iteration == 8
    expected = np.mean((params["weights"]["a"] * IMAGE - (2 * IMAGE + 1)) ** 2)
    np.testing.assert_allclose(float(batch.loss), expected, rtol=1e-5)


def test_only_the_latest_checkpoints_are_kept(tmp_path):
    trained(node(tmp_path, save_every=2, keep_n_checkpoints=2), 9)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"model_checkpoint_6", "model_checkpoint_8"}


def test_a_file_that_is_no_checkpoint_is_told(tmp_path):
    (tmp_path / "model_checkpoint_3").write_bytes(b"\x80nonsense")
    with pytest.raises(gp.PipelineSetupError, match=r"model_checkpoint_3 cannot be read"):
        trained(node(tmp_path), 1)


def test_losses_by_name_are_summed(tmp_path):
    plain = losses(trained(node(tmp_path / "a"), 3))
    by_name = losses(trained(node(tmp_path / "b", Line(by_name=True)), 3))
    np.testing.assert_allclose(by_name, plain, rtol=1e-6)


def test_a_replayed_batch_is_no_step(tmp_path):
    train = node(tmp_path)
    pipeline = data() + train
    request = asking(RAW=WHOLE, TARGET=WHOLE)
    with gp.build(pipeline, seed=3):
        first = pipeline.request_batch(request)
        again = [pipeline.replay(first.token) for _ in range(2)]
        assert losses(again)[0] == losses(again)[1] < float(first.loss)
        assert train.iteration == 1
        assert pipeline.request_batch(request).iteration == 2


def test_a_loss_that_is_not_finite_leaves_the_model_as_it_was(tmp_path):
    train = node(tmp_path, Line(rate=1e30))
    with pytest.raises(FloatingPointError, match="the loss is .* at iteration 2"):
        trained(train, 3)
    assert train.iteration == 1
    assert np.isfinite(float(train.params["weights"]["b"]))


def test_validation_needs_no_log(tmp_path, caplog):
    seen = []

    def validate(model, params):
        seen.append(float(params["weights"]["b"]))
        return {"score": 0.25}

    caplog.set_level("INFO")
    trained(node(tmp_path, validate_fn=validate, validate_every=2), 5)
    assert len(seen) == 2
    assert "iteration=4 validation: {'score': 0.25}" in caplog.text


def test_the_log_can_be_read(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    options = {"log_every": 2, "validate_fn": lambda model, params: 0.5, "validate_every": 3}
    batches = trained(node(tmp_path, log_dir=tmp_path / "log", **options), 6)
    events = EventAccumulator(str(tmp_path / "log"))
    events.Reload()
    read = {
        tag: {event.step: event.tensor_proto.float_val[0] for event in events.Tensors(tag)}
        for tag in events.Tags()["tensors"]
    }
    assert read["loss"].keys() == {2, 4, 6}
    np.testing.assert_allclose(read["loss"][4], float(batches[3].loss), rtol=1e-6)
    assert read["validate"] == {3: 0.5, 6: 0.5}


def test_arrays_at_hand_are_inputs(tmp_path):
    train = Train(
        Line(),
        {"x": RAW, "target": np.zeros((4, 3), np.float32)},
        {"y": Y},
        checkpoint_basename=str(tmp_path / "model"),
    )
    (batch,) = trained(train, 1, request=asking(RAW=WHOLE, Y=WHOLE))
    np.testing.assert_allclose(float(batch.loss), (batch[Y].data ** 2).mean(), rtol=1e-5)


def test_mistakes_are_told(tmp_path):
    with pytest.raises(ValueError, match="save_every"):
        node(tmp_path, save_every=0)
    with pytest.raises(ValueError, match=r"n_devices=64 was asked for; jax sees \d+"):
        node(tmp_path, n_devices=64)
    base = str(tmp_path / "wrong")
    wrong = Train(Line(), {"x": RAW, "target": TARGET}, {"z": Y}, checkpoint_basename=base)
    with pytest.raises(KeyError, match="no output 'z'; it has: 'error', 'y'"):
        trained(wrong, 1, request=asking(RAW=WHOLE, TARGET=WHOLE, Y=WHOLE))
    with pytest.raises(RuntimeError, match="GenericJaxModel does not implement initialize"):
        trained(node(tmp_path, GenericJaxModel(True)), 1)
    with pytest.raises(ValueError, match="would both save"):
        served(data() + node(tmp_path) + _other(tmp_path), asking(RAW=WHOLE, TARGET=WHOLE))


def _other(folder):
    inputs = {"x": RAW, "target": TARGET}
    return Train(Line(), inputs, {}, checkpoint_basename=str(folder / "model"))


def test_a_prediction_is_that_of_the_checkpoint(tmp_path):
    train = node(tmp_path, save_every=5)
    trained(train, 5)
    weights = jax.device_get(train.params["weights"])
    predict = Predict(Line(False), {"x": RAW}, {"y": Y}, checkpoint=tmp_path / "model_checkpoint_5")
    batch = served(data() + predict, asking(RAW=WHOLE, Y=WHOLE))
    np.testing.assert_allclose(batch[Y].data, weights["a"] * IMAGE + weights["b"], rtol=1e-5)
    assert batch[Y].spec.voxel_size == (2, 2)


@pytest.mark.parametrize(
    "spawn",
    [pytest.param(False, id="here"), pytest.param(True, id="process", marks=pytest.mark.slow)],
)
def test_a_prediction_without_a_checkpoint_follows_from_the_seed(spawn):
    def predicted(seed):
        predict = Predict(Line(False), {"x": RAW}, {"y": Y}, spawn_subprocess=spawn)
        return served(data() + predict, asking(RAW=WHOLE, Y=WHOLE), seed=seed)[Y].data

    assert (predicted(1) == predicted(1)).all()
    assert (predicted(1) != predicted(2)).any()


def test_workers_of_a_scan_predict(tmp_path):
    trained(node(tmp_path, save_every=1), 1)
    specs = {Y: gp.ArraySpec(gp.Roi(*WHOLE))}
    predict = Predict(
        Line(False), {"x": RAW}, {"y": Y}, specs, checkpoint=tmp_path / "model_checkpoint_1"
    )
    whole = served(data() + predict, asking(RAW=WHOLE, Y=WHOLE))[Y].data
    reference = asking(RAW=((0, 0), (4, 2)), Y=((0, 0), (4, 2)))
    scanned = served(data() + predict + gp.Scan(reference, num_workers=2), asking(Y=WHOLE))
    np.testing.assert_allclose(scanned[Y].data, whole, rtol=1e-6)


def test_mistakes_of_a_prediction_are_told(tmp_path):
    request = asking(RAW=WHOLE, Y=WHOLE)
    with pytest.raises(FileNotFoundError, match="there is no checkpoint"):
        served(data() + Predict(Line(), {"x": RAW}, {"y": Y}, checkpoint=tmp_path / "x"), request)
    with pytest.raises(KeyError, match="no output 'z'; it has: 'y'"):
        served(data() + Predict(Line(), {"x": RAW}, {"z": Y}), request)


TWO = """
import json, sys
from pathlib import Path
import jax
from tests.jax.test_train import *

folder, count = Path(sys.argv[1]), int(sys.argv[2])
train = node(folder, n_devices=count or None, save_every=3)
batches = trained(train, 3)
weights = {k: float(v) for k, v in train.params["weights"].items()}
errors = [batch[ERROR].data.tolist() for batch in batches]
try:
    odd = asking(RAW=((0, 0), (6, 6)), TARGET=((0, 0), (6, 6)))
    trained(node(folder, n_devices=2), 1, request=odd)
except ValueError as error:
    told = str(error)
print(json.dumps([jax.device_count(), train.n_devices, losses(batches), errors, weights, told]))
"""


def on_two_devices(folder, count):
    done = subprocess.run(
        [sys.executable, "-c", TWO, folder, str(count)],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
        cwd=Path(__file__).parents[2],
        env={
            **os.environ,
            "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
            "JAX_PLATFORMS": "cpu",
        },
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_two_devices_train_as_one_does(tmp_path):
    there, used, loss, errors, weights, told = on_two_devices(tmp_path / "two", 0)
    assert (there, used) == (2, 2)
    there, used, *expected, _ = on_two_devices(tmp_path / "one", 1)
    assert (there, used) == (2, 1)
    np.testing.assert_allclose(loss, expected[0], rtol=1e-5)
    np.testing.assert_allclose(errors, expected[1], rtol=0, atol=1e-5)
    assert weights.keys() == expected[2].keys()
    np.testing.assert_allclose([*weights.values()], [*expected[2].values()], rtol=1e-5)
    assert "has to be a multiple of 2, got {'x': (3, 3), 'target': (3, 3)}" in told
