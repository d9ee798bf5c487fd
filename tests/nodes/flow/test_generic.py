"""Bases of nodes for models of any library, in this process and in one of their own."""

import os
import signal

import dill
import numpy as np
import pytest

import voxflow as gp
from tests.helpers import asking, served, source
from voxflow.nodes.flow.generic_predict import GenericPredict, PredictProcessDied
from voxflow.nodes.flow.generic_train import GenericTrain, TrainProcessDied

RAW, OUT, GRAD = gp.ArrayKey("RAW"), gp.ArrayKey("OUT"), gp.ArrayKey("GRAD")
PLACE = gp.ArrayKey("PLACE")
WHOLE = ((0, 0), (6, 8))


def raw():
    return source(RAW, np.arange(12.0).reshape(3, 4), (2, 2))


class Mean(GenericTrain):
    """A model with one weight, moved towards the mean of what it sees."""

    def __init__(self, *args, log=None, **kwargs):
        super().__init__(*args, **kwargs)
        self.log = log

    def _note(self, what):
        if self.log is not None:
            with open(self.log, "a") as file:
                file.write(f"{what} {os.getpid()}\n")

    def start(self):
        self.weight, self.step = 0.0, 0
        self._note("start")

    def stop(self):
        self._note("stop")

    def train_step(self, batch, request):
        data = batch[RAW].data
        if data.max() > 100:
            os.kill(os.getpid(), signal.SIGKILL)
        if data.max() < 0:
            raise ArithmeticError("negative")
        self.step += 1
        error = self.weight - data.mean()
        self.weight -= 0.5 * error
        spec = self.spec[OUT].copy()
        spec.roi = batch[RAW].spec.roi
        batch[OUT] = gp.Array(np.full_like(data, self.weight), spec)
        batch.loss, batch.iteration = np.asarray(error**2), self.step


class Twice(GenericPredict):
    def start(self):
        self.factor = 2.0
        self.where = os.getpid()

    def predict(self, batch, request):
        if batch[RAW].data.max() > 100:
            os._exit(5)
        spec = self.spec[OUT].copy()
        spec.roi = request[OUT].roi
        array = batch[RAW].crop(request[OUT].roi)
        batch[OUT] = gp.Array(self.factor * array.data, spec, {"where": self.where})


@pytest.fixture(params=[False, True], ids=["here", "process"])
def spawn(request):
    return request.param


def test_every_batch_is_a_step_and_carries_what_came_of_it(spawn, tmp_path):
    log = tmp_path / "log.txt"
    train = Mean({"x": RAW}, {"y": OUT}, {}, spawn_subprocess=spawn, log=log)
    request = asking(RAW=WHOLE, OUT=WHOLE)
    with gp.build(raw() + train) as pipeline:
        losses = []
        for i in range(1, 4):
            batch = pipeline.request_batch(request)
            assert batch.iteration == i
            losses.append(float(batch.loss))
            assert batch[OUT].data.shape == (3, 4)
            assert np.unique(batch[OUT].data) == [5.5 * (1 - 0.5**i)]
        assert losses == [5.5**2, 2.75**2, 1.375**2]
    told = [line.split() for line in log.read_text().splitlines()]
    assert [what for what, _ in told] == ["start", "stop"]
    assert {int(pid) == os.getpid() for _, pid in told} == {not spawn}


def test_it_runs_although_nothing_of_it_is_asked_for():
    batch = served(raw() + Mean({"x": RAW}, {"y": OUT}, {}), asking(RAW=WHOLE))
    assert batch.iteration == 1
    assert OUT not in batch


def test_predictions_are_where_they_are_asked_for(spawn):
    predict = Twice({"x": RAW}, {"y": OUT}, spawn_subprocess=spawn)
    request = asking(RAW=WHOLE, OUT=((2, 2), (2, 4)))
    with gp.build(raw() + predict) as pipeline:
        assert not predict.initialized
        for _ in range(2):
            batch = pipeline.request_batch(request)
            assert batch[OUT].data.tolist() == [[10.0, 12.0]]
            assert batch[RAW].data.shape == (3, 4)
            assert (batch[OUT].attrs["where"] == os.getpid()) is not spawn
        assert predict.initialized
    assert not predict.initialized


def test_a_model_of_which_nothing_is_asked_is_not_started():
    predict = Twice({"x": RAW}, {"y": OUT})
    with gp.build(raw() + predict) as pipeline:
        assert pipeline.request_batch(asking(RAW=WHOLE))[RAW].data.shape == (3, 4)
        assert not predict.initialized


def test_a_copy_for_a_worker_has_not_started():
    predict = Twice({"x": RAW}, {"y": OUT})
    with gp.build(raw() + predict) as pipeline:
        pipeline.request_batch(asking(RAW=WHOLE, OUT=WHOLE))
        assert predict.initialized
        assert not dill.loads(dill.dumps(predict)).initialized


def test_workers_of_a_scan_start_their_own():
    reference = asking(RAW=((0, 0), (2, 2)), OUT=((0, 0), (2, 2)))
    roi = gp.Roi(*WHOLE)
    predict = Twice({"x": RAW}, {"y": OUT}, {OUT: gp.ArraySpec(roi)})
    scanned = served(raw() + predict + gp.Scan(reference, num_workers=2), asking(OUT=WHOLE))
    assert (scanned[OUT].data == 2 * np.arange(12.0).reshape(3, 4)).all()
    assert not predict.initialized


@pytest.mark.parametrize(
    ("node", "died", "code"),
    [(Mean, TrainProcessDied, "SIGKILL"), (Twice, PredictProcessDied, "5")],
)
def test_a_process_that_dies_is_told(node, died, code):
    gradients = ({},) if node is Mean else ()
    node = node({"x": RAW}, {"y": OUT}, *gradients, spawn_subprocess=True)
    image = source(RAW, np.full((3, 4), 200.0), (2, 2))
    with gp.build(image + node) as pipeline:
        for _ in range(2):
            with pytest.raises(died, match=code) as caught:
                pipeline.request_batch(asking(RAW=WHOLE, OUT=WHOLE))
            assert isinstance(caught.value, gp.PipelineRequestError)


def test_an_error_in_a_step_keeps_its_type_and_the_training_goes_on(spawn):
    train = Mean({"x": RAW}, {"y": OUT}, {}, spawn_subprocess=spawn)
    image = gp.Array(np.full((3, 4), -1.0), gp.ArraySpec(gp.Roi(*WHOLE), (2, 2)))
    with gp.build(gp.ArraySource(RAW, image) + train) as pipeline:
        with pytest.raises(ArithmeticError, match="negative"):
            pipeline.request_batch(asking(RAW=WHOLE))
        image.data = image.data + 2
        assert pipeline.request_batch(asking(RAW=WHOLE)).iteration == 1


def test_an_input_that_is_not_asked_for_is_told(spawn):
    train = Mean({"x": RAW}, {"y": OUT}, {}, spawn_subprocess=spawn)
    with pytest.raises(KeyError, match="Mean needs RAW"):
        served(raw() + train, asking(OUT=WHOLE))


def test_specs_follow_from_the_inputs():
    train = Mean({"x": RAW, "name": "loss", "at hand": np.ones(2)}, {"y": OUT}, {"g": GRAD})
    given = gp.ArraySpec(voxel_size=(4, 4), interpolatable=True)
    train.array_specs[GRAD] = given
    with gp.build(raw() + train) as pipeline:
        assert pipeline.spec[OUT].voxel_size == (2, 2)
        assert pipeline.spec[OUT].interpolatable is False
        assert (pipeline.spec[OUT].roi, pipeline.spec[OUT].dtype) == (None, None)
        assert pipeline.spec[GRAD].voxel_size == (4, 4)
        assert pipeline.spec[GRAD].interpolatable is True


def test_inputs_of_different_voxel_sizes_need_a_spec():
    other = gp.ArrayKey("OTHER")
    both = (raw(), source(other, np.zeros((6, 8)), (1, 1))) + gp.MergeProvider()
    with pytest.raises(ValueError, match="cannot tell the voxel size of OUT"):
        served(both + Twice({"x": RAW, "z": other}, {"y": OUT}), asking(RAW=WHOLE))


def test_hooks_that_are_missing_are_told():
    with pytest.raises(NotImplementedError, match="train_step"):
        served(raw() + GenericTrain({"x": RAW}, {"y": OUT}, {}), asking(RAW=WHOLE))
    with pytest.raises(NotImplementedError, match="predict"):
        served(raw() + GenericPredict({"x": RAW}, {"y": OUT}), asking(RAW=WHOLE, OUT=WHOLE))


def test_names_of_checkpoints(tmp_path):
    train = Mean({"x": RAW}, {"y": OUT}, {})
    base = tmp_path / "a[1]"
    assert train._get_latest_checkpoint(base) == (None, 0)
    for iteration in (5, 10, 9):
        (tmp_path / train._checkpoint_name("a[1]", iteration)).touch()
    (tmp_path / "a[1]_checkpoint_20.part").touch()
    assert train._get_latest_checkpoint(base) == (f"{base}_checkpoint_10", 10)


def test_workers_must_not_each_train_a_copy():
    train = Mean({"x": RAW}, {"y": OUT}, {})
    with pytest.raises(gp.PipelineSetupError, match="Mean"):
        served(raw() + train + gp.PreCache(num_workers=2), asking(RAW=WHOLE))
