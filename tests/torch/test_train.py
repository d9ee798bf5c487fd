"""Train: one step a batch, only what is asked for, and exactly the same after a resume."""

import copy
import logging

import numpy as np
import pytest
import torch

import voxflow as gp
from tests.torch.nets import GRADIENT, OUT, RAW, TARGET, convolution, request, volume
from voxflow.torch import NonFiniteLoss, Predict, Train, latest_checkpoint, load_checkpoint


def sources(shape=(24, 24), raw_dtype=np.float32, voxel_size=None):
    raw = volume(shape, voxel_size, RAW, raw_dtype, seed=1)
    return (raw, volume(shape, voxel_size, TARGET, seed=2)) + gp.MergeProvider()


def training(tmp_path, model=None, upstream=(), optimizer=None, **options):
    model = convolution() if model is None else model
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01) if optimizer is None else optimizer
    options = {
        "loss": torch.nn.MSELoss(),
        "inputs": {0: RAW},
        "outputs": {0: OUT},
        "loss_inputs": {0: OUT, 1: TARGET},
        "checkpoint_basename": str(tmp_path / "model"),
        "device": "cpu",
        **options,
    }
    pipeline = sources() + gp.RandomLocation()
    for node in upstream:
        pipeline = pipeline + node
    return pipeline + Train(model, optimizer=optimizer, **options)


def weights(model):
    return torch.cat([p.detach().ravel() for p in model.state_dict().values()])


def losses(pipeline, n, asked=None, seed=7):
    with gp.build(pipeline, seed=seed):
        return [float(pipeline.request_batch(asked or request()).loss) for _ in range(n)]


# -- a step -----------------------------------------------------------------------------------


def test_the_loss_falls_and_batches_say_it(tmp_path):
    pipeline = training(tmp_path)
    with gp.build(pipeline, seed=1):
        batches = [pipeline.request_batch(request()) for _ in range(30)]
    assert [batch.iteration for batch in batches] == list(range(1, 31))
    assert batches[0].loss.shape == ()
    found = [float(batch.loss) for batch in batches]
    assert np.mean(found[-5:]) < 0.7 * np.mean(found[:5])
    assert OUT not in batches[0]


@pytest.mark.parametrize(
    "names", [{0: OUT, 1: TARGET}, {"0": OUT, "1": TARGET}, {"input": OUT, "target": TARGET}]
)
def test_outputs_and_gradients_are_those_of_autograd(tmp_path, names):
    model = convolution()
    before = copy.deepcopy(model)
    pipeline = training(
        tmp_path,
        model,
        inputs={"x": RAW},
        outputs={"0": OUT},
        loss_inputs=names,
        gradients={0: GRADIENT},
    )
    asked = request(OUT=1, GRADIENT=1)
    with gp.build(pipeline, seed=1):
        batch = pipeline.request_batch(asked)
    raw, target = (torch.from_numpy(batch[key].data) for key in (RAW, TARGET))
    prediction = before(raw)
    prediction.retain_grad()
    loss = torch.nn.functional.mse_loss(prediction, target)
    loss.backward()
    np.testing.assert_array_equal(batch[OUT].data, prediction.detach())
    np.testing.assert_array_equal(batch[GRADIENT].data, prediction.grad)
    assert float(batch.loss) == loss.item()
    assert batch[OUT].spec.roi == batch[GRADIENT].spec.roi == asked[OUT].roi
    assert batch[OUT].spec.interpolatable is False
    assert not torch.equal(weights(model), weights(before))


def test_submodules_and_their_gradients_can_be_asked_for(tmp_path):
    hidden, slope = gp.ArrayKey("HIDDEN"), gp.ArrayKey("SLOPE")
    pipeline = training(
        tmp_path,
        outputs={0: OUT, "net.0": hidden},
        gradients={"net.0": slope},
        array_specs={hidden: gp.ArraySpec(nonspatial=True), slope: gp.ArraySpec(nonspatial=True)},
    )
    asked = request()
    asked[hidden] = asked[slope] = gp.ArraySpec(nonspatial=True)
    with gp.build(pipeline):
        batch = pipeline.request_batch(asked)
    assert batch[hidden].data.shape == batch[slope].data.shape == (1, 4, 10, 10)
    assert np.abs(batch[slope].data).sum() > 0


def test_a_gradient_that_is_not_there_is_said(tmp_path):
    def loss(output, target):
        return output.detach().sum() * 0 + torch.ones(1, requires_grad=True)

    pipeline = training(tmp_path, loss=loss, gradients={0: GRADIENT})
    with gp.build(pipeline), pytest.raises(ValueError, match="no gradient of 0, because the loss"):
        pipeline.request_batch(request(GRADIENT=1))


def test_an_array_may_feed_model_and_loss(tmp_path):
    def loss(out, raw):
        return (out.mean() - raw.mean()) ** 2

    pipeline = training(tmp_path, loss=loss, loss_inputs={0: OUT, "raw": RAW})
    assert len(losses(pipeline, 2)) == 2


def test_inputs_have_to_be_asked_for(tmp_path):
    pipeline = training(tmp_path)
    asked = request()
    del asked[TARGET]
    with (
        gp.build(pipeline),
        pytest.raises(KeyError, match="Train needs TARGET, which is not in the request"),
    ):
        pipeline.request_batch(asked)


def test_an_output_of_another_size_is_refused_before_the_step(tmp_path):
    model = convolution()
    before = weights(model)
    pipeline = training(tmp_path, model)
    asked = request()
    asked[OUT] = asked[RAW].roi
    with (
        gp.build(pipeline),
        pytest.raises(
            ValueError, match=r"OUT: the model made \(8, 8\) voxels.*\(12, 12\) were asked"
        ),
    ):
        pipeline.request_batch(asked)
    assert torch.equal(weights(model), before)


def test_a_loss_is_one_number(tmp_path):
    for loss, text in (
        (lambda a, b: (a - b) ** 2, r"one number, got the shape \(8, 8\)"),
        (lambda a, b: 3.0, "one number, got 3.0"),
    ):
        pipeline = training(tmp_path, loss=loss)
        with gp.build(pipeline), pytest.raises(ValueError, match=text):
            pipeline.request_batch(request())


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.uint64, np.int64])
def test_any_dtype_and_mirrored_views_are_taken(tmp_path, dtype):
    class Mirror(gp.BatchFilter):
        def process(self, batch, request):
            batch[RAW].data = batch[RAW].data[::-1, ::-1]

    model = convolution()
    pipeline = sources(raw_dtype=dtype) + Mirror()
    train = Train(
        model,
        torch.nn.MSELoss(),
        torch.optim.SGD(model.parameters(), lr=1e-6),
        {0: RAW},
        {0: OUT},
        {0: OUT, 1: TARGET},
        checkpoint_basename=str(tmp_path / "m"),
        device="cpu",
    )
    assert np.isfinite(losses(pipeline + train, 2)).all()


def test_an_id_that_torch_cannot_hold_is_refused(tmp_path):
    class Huge(gp.BatchFilter):
        def process(self, batch, request):
            batch[TARGET].data = np.full(batch[TARGET].data.shape, 2**63, np.uint64)

    pipeline = training(tmp_path, upstream=[Huge()])
    with gp.build(pipeline), pytest.raises(OverflowError, match="does not fit into int64"):
        pipeline.request_batch(request())


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"save_every": 0}, "save_every"),
        ({"inputs": {1: RAW}}, "without a gap"),
        ({"loss_inputs": {0: OUT, "0": TARGET}}, "one position twice"),
        ({"device": "cuda:77"}, "device='cuda:77' was asked for and is not there"),
    ],
)
def test_mistakes_are_said_at_once(tmp_path, options, text):
    with pytest.raises((ValueError, RuntimeError), match=text):
        training(tmp_path, **options)


def test_inputs_of_different_voxel_sizes_need_a_spec(tmp_path):
    raw, target = volume((24, 24), (2, 2)), volume((24, 24), (4, 4), TARGET)
    model = convolution()

    def train(**options):
        return Train(
            model,
            torch.nn.MSELoss(),
            torch.optim.SGD(model.parameters()),
            {0: RAW},
            {0: OUT},
            {0: OUT, 1: TARGET},
            checkpoint_basename=str(tmp_path / "m"),
            device="cpu",
            **options,
        )

    pipeline = (raw, target) + gp.MergeProvider() + train()
    with (
        pytest.raises(gp.PipelineSetupError, match=r"OUT, because its inputs differ"),
        gp.build(pipeline),
    ):
        pass
    pipeline = (
        (raw, target)
        + gp.MergeProvider()
        + train(array_specs={OUT: gp.ArraySpec(voxel_size=(2, 2))})
    )
    with gp.build(pipeline):
        assert pipeline.spec[OUT].voxel_size == (2, 2)


def test_a_model_in_evaluation_mode_is_told(tmp_path, caplog):
    model = convolution().eval()
    with gp.build(training(tmp_path, model)):
        assert "call model.train()" in caplog.text


def test_training_in_workers_is_refused(tmp_path):
    pipeline = training(tmp_path) + gp.PreCache(4, 2)
    with (
        pytest.raises(gp.PipelineSetupError, match="Train is upstream of PreCache"),
        gp.build(pipeline),
    ):
        pass
    pipeline = training(tmp_path) + gp.Scan(request(), num_workers=2)
    with (
        pytest.raises(gp.PipelineSetupError, match="Train is not directly upstream of Scan"),
        gp.build(pipeline),
    ):
        pass


# -- a loss that is not finite ----------------------------------------------------------------


class Poison(gp.BatchFilter):
    """Spoils the batches of some positions in the run."""

    def __init__(self, *indices):
        self.indices = indices

    def process(self, batch, request):
        if request.position is None or request.position.index in self.indices:
            batch[RAW].data = batch[RAW].data * np.float32(np.nan)


def test_a_loss_that_is_not_finite_leaves_the_model_and_can_be_replayed(tmp_path):
    model = convolution(norm=True)
    pipeline = training(tmp_path, model, [Poison(2)])
    with gp.build(pipeline, seed=3):
        for _ in range(2):
            pipeline.request_batch(request())
        before = weights(model)
        with pytest.raises(
            NonFiniteLoss, match=r"the loss is nan at iteration 3; the model was left"
        ) as info:
            pipeline.request_batch(request())
        error = info.value
        assert isinstance(error, gp.PipelineRequestError)
        # Running means of the normalisation are part of the model.
        assert torch.equal(weights(model), before)
        assert all(p.grad is None for p in model.parameters())
        assert np.isnan(error.batch[RAW].data).all()
        assert pipeline.request_batch(request()).iteration == 3
        assert not torch.equal(weights(model), before)
    without = sources() + gp.RandomLocation() + Poison(2)
    with gp.build(without, seed=99):
        again = without.replay(error.token)
    np.testing.assert_array_equal(again[TARGET].data, error.batch[TARGET].data)
    assert np.isnan(again[RAW].data).all()


def test_a_model_that_was_broken_before_is_said(tmp_path):
    model = convolution()
    with torch.no_grad():
        model.net[0].weight[0] = np.inf
    pipeline = training(tmp_path, model)
    with gp.build(pipeline), pytest.raises(NonFiniteLoss, match=r"broken before: net\.0\.weight"):
        pipeline.request_batch(request())


# -- going on ---------------------------------------------------------------------------------


def dropping():
    return convolution(seed=5, dropout=0.5, norm=True)


def test_a_resumed_training_is_as_one_without_a_break(tmp_path):
    straight, broken_off = dropping(), dropping()
    torch.manual_seed(11)
    expected = losses(training(tmp_path / "a", straight, save_every=4), 12)
    torch.manual_seed(11)
    found = losses(training(tmp_path / "b", broken_off, save_every=4), 10)
    torch.manual_seed(12345)
    resumed = convolution(seed=6, dropout=0.5, norm=True)
    pipeline = training(tmp_path / "b", resumed, save_every=4)
    # Without a seed: that of the run is in the checkpoint.
    with gp.build(pipeline):
        torch.rand(100)  # what else is drawn in between does not matter
        batches = [pipeline.request_batch(request()) for _ in range(4)]
    assert [batch.iteration for batch in batches] == [9, 10, 11, 12]
    assert found == expected[:10]
    assert [float(batch.loss) for batch in batches] == expected[8:]
    assert torch.equal(weights(resumed), weights(straight))


def test_another_seed_for_a_run_that_goes_on_is_refused(tmp_path):
    losses(training(tmp_path, save_every=2), 2)
    with (
        pytest.raises(gp.PipelineSetupError, match="made with seed=7, but.*seed=8"),
        gp.build(training(tmp_path), seed=8),
    ):
        pass


def test_checkpoints_of_something_else_are_refused(tmp_path):
    losses(training(tmp_path, save_every=2), 2)
    with (
        pytest.raises(gp.PipelineSetupError, match="is not from this model"),
        gp.build(training(tmp_path, torch.nn.Linear(1, 1))),
    ):
        pass
    model = convolution()
    some = torch.optim.Adam([next(model.parameters())])
    with (
        pytest.raises(gp.PipelineSetupError, match="is not from this optimizer"),
        gp.build(training(tmp_path, model, optimizer=some)),
    ):
        pass


def test_checkpoints_come_when_they_are_due_and_hold_all(tmp_path):
    losses(training(tmp_path, save_every=3), 7)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "model_checkpoint_3",
        "model_checkpoint_6",
    ]
    found = load_checkpoint(latest_checkpoint(tmp_path / "model"))
    assert found.iteration == 6
    assert (found.position.seed, found.position.index) == (7, 6)
    assert set(found.rng) >= {"cpu"}
    assert found.optimizer["state"]


def standardised(mean, upstream=RAW):
    statistics = gp.Statistics(mean, 0.25, 0.0, 1.0)
    return gp.Normalize(upstream, mode="standardise", statistics=statistics)


def test_checkpoints_hold_the_statistics_that_prediction_needs(tmp_path):
    model, upstream = convolution(), [standardised(0.5), gp.PreCache(2, 1)]
    losses(training(tmp_path, model, upstream, save_every=3), 3)
    path = latest_checkpoint(tmp_path / "model")
    assert torch.load(path, weights_only=True)["statistics"]["RAW"]["std"] == 0.25
    kept = load_checkpoint(path).statistics
    assert kept == {"RAW": {"mean": 0.5, "std": 0.25, "low": 0.0, "high": 1.0}}
    found = []
    for normalize in (
        standardised(0.5),
        gp.Normalize(RAW, mode="standardise", statistics=kept["RAW"]),
    ):
        predict = Predict(convolution(9), {0: RAW}, {0: OUT}, checkpoint=path, context=(2, 2))
        pipeline = volume(seed=1) + normalize + predict
        with gp.build(pipeline):
            asked = gp.BatchRequest({OUT: gp.Roi((2, 2), (20, 20))})
            found.append(pipeline.request_batch(asked)[OUT].data)
    np.testing.assert_array_equal(*found)


def test_statistics_that_differ_are_not_saved(tmp_path, caplog):
    losses(training(tmp_path, upstream=[standardised(0.5), standardised(0.1)], save_every=1), 1)
    assert load_checkpoint(latest_checkpoint(tmp_path / "model")).statistics == {}
    assert "RAW are normalised by different statistics" in caplog.text


def two_trainings(tmp_path, first="a", second="b", model=None, other=None, **options):
    model, other = model or convolution(), other or convolution(seed=9)
    pipeline = training(tmp_path, model, checkpoint_basename=str(tmp_path / first), **options)
    return pipeline + Train(
        other,
        torch.nn.MSELoss(),
        torch.optim.SGD(other.parameters(), lr=0.1),
        inputs={0: RAW},
        outputs={0: GRADIENT},
        loss_inputs={0: GRADIENT, 1: TARGET},
        checkpoint_basename=str(tmp_path / second),
        device="cpu",
        **options,
    )


def test_two_nodes_do_not_share_their_checkpoints(tmp_path):
    with (
        pytest.raises(
            gp.PipelineSetupError, match=r"Train and Train-2 would both save .*another checkpoint_b"
        ),
        gp.build(two_trainings(tmp_path, "a", "./a")),
    ):
        pass
    # The name is free again.
    losses(two_trainings(tmp_path, "a", "b", save_every=1), 1)
    assert {path.name for path in tmp_path.iterdir()} == {"a_checkpoint_1", "b_checkpoint_1"}


def test_without_a_checkpoint_a_node_counts_anew(tmp_path):
    pipeline = training(tmp_path, save_every=2)
    for _ in range(2):
        with gp.build(pipeline, seed=1):
            assert [pipeline.request_batch(request()).iteration for _ in range(3)] == [1, 2, 3]
        for path in tmp_path.iterdir():
            path.unlink()


def test_gunpowders_checkpoints_can_be_resumed(tmp_path, caplog):
    model = convolution(seed=3)
    torch.save(
        {
            "model_state_dict": model.state_dict(),
            "optimizer_state_dict": torch.optim.Adam(model.parameters()).state_dict(),
        },
        tmp_path / "model_checkpoint_50",
    )
    other = convolution(seed=4)
    pipeline = training(tmp_path, other)
    with gp.build(pipeline, seed=1):
        assert torch.equal(weights(other), weights(model))
        assert pipeline.request_batch(request()).iteration == 51


# -- outside of the run -----------------------------------------------------------------------


def test_a_replay_is_looked_at_and_not_trained_on(tmp_path):
    def found(replays):
        torch.manual_seed(11)
        model = dropping()
        folder = tmp_path / str(replays)
        pipeline = training(folder, model, gradients={0: GRADIENT}, save_every=4, log_every=1)
        losses = []
        with gp.build(pipeline, seed=7):
            batches = [pipeline.request_batch(request(OUT=1, GRADIENT=1)) for _ in range(3)]
            before = weights(model)
            for batch in batches[:replays]:
                again = pipeline.replay(batch.token)
                assert again.iteration is None
                assert again.loss.shape == ()
                np.testing.assert_array_equal(again[RAW].data, batch[RAW].data)
                assert again[OUT].data.shape == again[GRADIENT].data.shape == (8, 8)
                assert np.abs(again[GRADIENT].data).sum() > 0
            assert torch.equal(weights(model), before)
            for _ in range(5):
                losses.append(float(pipeline.request_batch(request()).loss))
        assert {path.name for path in folder.iterdir()} == {
            "model_checkpoint_4",
            "model_checkpoint_8",
        }
        return losses, weights(model).tolist()

    assert found(3) == found(0)


def test_nodes_that_were_not_saved_together_are_not_resumed_together(tmp_path):
    losses(two_trainings(tmp_path, save_every=2), 4)
    # As if it had been killed when only the first was saved.
    (tmp_path / "b_checkpoint_4").unlink()
    with (
        pytest.raises(
            gp.PipelineSetupError,
            match=r"Train at batch 4 of seed=7, Train-2 at batch 2 of seed=7.*one at batch 2",
        ),
        gp.build(two_trainings(tmp_path)),
    ):
        pass
    (tmp_path / "a_checkpoint_4").unlink()
    pipeline = two_trainings(tmp_path)
    with gp.build(pipeline):
        assert pipeline.run.next_position.index == 2


def test_a_node_that_starts_anew_in_a_run_that_goes_on_says_so(tmp_path, caplog):
    losses(two_trainings(tmp_path, save_every=2), 2)
    assert "starts anew" not in caplog.text
    # As if it had been killed when only the first was saved.
    (tmp_path / "b_checkpoint_2").unlink()
    pipeline = two_trainings(tmp_path)
    with gp.build(pipeline):
        for _ in range(2):
            pipeline.request_batch(request())
    (said,) = [record.getMessage() for record in caplog.records if "anew" in record.getMessage()]
    assert said.startswith("Train-2 found no checkpoint")
    assert "starts anew with batch 2 of the run" in said


def test_requests_outside_of_the_run_leave_its_position(tmp_path):
    own = gp.BatchRequest(request().array_specs, random_seed=3)
    pipeline = training(tmp_path, save_every=1)
    with gp.build(pipeline, seed=7):
        for asked in (request(), request(), own):
            batch = pipeline.request_batch(asked)
        assert batch.iteration == 3
    found = load_checkpoint(latest_checkpoint(tmp_path / "model"))
    assert found.iteration == 3
    assert (found.position.seed, found.position.index) == (7, 2)
    # The same after a resume.
    pipeline = training(tmp_path, save_every=1)
    with gp.build(pipeline):
        pipeline.request_batch(own)
    found = load_checkpoint(latest_checkpoint(tmp_path / "model"))
    assert (found.iteration, found.position.index) == (4, 2)


# -- the log ----------------------------------------------------------------------------------


def logged(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder)).Reload()
    return [(event.step, event.value) for event in events.Scalars("loss")]


def test_the_loss_is_in_the_log_once_for_each_step(tmp_path):
    expected = losses(training(tmp_path / "a", save_every=4), 12)
    options = {"save_every": 4, "log_dir": tmp_path / "log", "log_every": 2}
    losses(training(tmp_path / "b", **options), 6)
    pipeline = training(tmp_path / "b", **options)
    with gp.build(pipeline):
        for _ in range(8):
            pipeline.request_batch(request())
    found = logged(tmp_path / "log")
    assert [step for step, _ in found] == [2, 4, 6, 8, 10, 12]
    np.testing.assert_allclose([value for _, value in found], expected[1::2], rtol=1e-6)


def test_every_step_is_logged_as_text(tmp_path, caplog):
    with caplog.at_level(logging.INFO, "voxflow.torch.train"):
        losses(training(tmp_path), 1)
    assert "iteration=1 loss=" in caplog.text
