"""Predictions against targets: the right pairs, where they belong, and nothing else changes."""

import threading

import numpy as np
import pytest
import torch

from tests.torch.nets import OUT, RAW, TARGET, request
from tests.training.sessions import Losses, pipeline, same, session, weights
from voxflow.torch import squared_deviation
from voxflow.training import Regression, Validation, read_events, regression
from voxflow.training.regression_plot import _begun, density_picture, scatter_picture

pytest.importorskip("PIL")
pytest.importorskip("matplotlib")


class Drawn:
    """Takes the place of both pictures, and keeps what they are made of."""

    def __init__(self, monkeypatch):
        self.made, self.images, self.threads = {}, {}, set()
        for kind in ("scatter", "density"):
            monkeypatch.setitem(regression._PICTURES, kind, self)

    def __call__(self, pairs, *, central, title):
        self.threads.add(threading.current_thread())
        self.made[title] = pairs
        return np.zeros((4, 4, 3), np.uint8)

    def log_images(self, step, images):
        self.images.update({(step, name): pixels for name, pixels in images.items()})


@pytest.fixture
def drawn(monkeypatch):
    return Drawn(monkeypatch)


class Compares:
    """The loss, which keeps what it was given."""

    def __init__(self):
        self.given = []

    def __call__(self, prediction, target):
        kept = [t.detach().numpy().ravel().copy() for t in (target, prediction)]
        self.given.append(np.stack(kept, axis=1))
        return squared_deviation(prediction, target)


def test_pairs_are_what_the_loss_was_given_and_nothing_changes(tmp_path, drawn):
    plain, seen, loss = Losses(), Losses(), Compares()
    one = session(hooks=[plain], stop_after=4, loss=Compares())
    one.run()
    held_out = Validation(pipeline(seed=20), request(), batches=2, every=3)
    hooks = [Regression(every=2, images=drawn), seen]
    options = {"hooks": hooks, "validation": held_out, "loss": loss, "run_dir": tmp_path}
    other = session(stop_after=4, **options)
    other.run()
    assert same(weights(one.model), weights(other.model))
    assert plain.values == seen.values
    names = [
        f"{name}-{kind}-step-{n}.png"
        for name in ("training", "validation")
        for kind in ("density", "scatter")
        for n in (2, 4)
    ]
    assert sorted(p.name for p in (tmp_path / "regression").iterdir()) == sorted(names)
    assert (4, "regression.validation.density") in drawn.images
    assert threading.main_thread() not in drawn.threads
    # Validations were made before the first step and after the third.
    first, steps, second = loss.given[:2], [*loss.given[2:5], loss.given[7]], loss.given[5:7]
    expected = {
        "training, step 2": steps[:2],
        "training, step 4": steps,
        "validation, step 0": first,
        "validation, step 3": second,
    }
    assert drawn.made.keys() == expected.keys()
    for title, parts in expected.items():
        assert np.array_equal(drawn.made[title], np.concatenate(parts))
    assert read_events(tmp_path, ["failure"]) == []


@pytest.mark.parametrize(("pairs", "batches"), [(64, 8), (100, 8), (20, 7), (1000, 12)])
def test_of_a_training_the_last_pairs_are_drawn(drawn, pairs, batches):
    loss = Compares()
    hook = Regression(every=12, pairs=pairs)
    session(hooks=[hook], loss=loss, stop_after=12).run()
    found = drawn.made["training, step 12"]
    assert len(found) == min(pairs, 12 * 64)
    given = {tuple(pair) for part in loss.given[-batches:] for pair in part}
    assert {tuple(pair) for pair in found} <= given
    assert tuple(found[-1]) == tuple(loss.given[-1][-1])
    assert len(hook._trained) == batches


def test_what_has_no_target_is_no_pair():
    rng = np.random.default_rng(0)
    target = np.full((3, 40, 50), np.nan, np.float32)
    known = rng.random(target.shape) < 0.1
    target[known] = rng.random(known.sum())
    target.flat[7] = np.inf
    prediction = rng.random(target.shape, dtype=np.float32)
    given = {"a": torch.from_numpy(prediction), "b": torch.from_numpy(target)}
    known &= np.isfinite(target)
    every = np.stack([target[known], prediction[known]], axis=1)
    assert np.array_equal(regression._pairs_of(given, ("a", "b"), 10_000), every)
    some = regression._pairs_of(given, ("a", "b"), 20)
    assert len(some) == 20  # though most values have no target
    assert {*map(tuple, some)} < {*map(tuple, every)}
    nothing = {"a": given["a"], "b": torch.full_like(given["b"], torch.nan)}
    assert regression._pairs_of(nothing, ("a", "b"), 20).shape == (0, 2)


def test_halves_and_numbers_are_pairs():
    given = {0: torch.ones(2, 1, 3).bfloat16(), 1: torch.tensor([[1, 2, 3]] * 2)}
    assert regression._pairs_of(given, (0, 1), 9).tolist() == [[n, 1.0] for n in (1, 2, 3) * 2]


def test_points_lie_where_they_are_and_those_far_away_are_counted():
    line = np.linspace(0, 1, 101, dtype=np.float32)
    pairs = np.stack([line, line], axis=1)
    pairs[10] = 1e6, 0.1
    figure, axes, shown, limits = _begun(pairs, 99, "a")
    assert axes.get_title().startswith("a\n101 pairs, 1 beyond the axes are not shown\n")
    assert len(shown) == 100
    assert axes.get_xlim() == axes.get_ylim() == limits
    assert limits == pytest.approx((-0.02, 1.02), abs=0.02)
    assert figure.get_size_inches().tolist() == [6, 6]


@pytest.mark.parametrize("picture", [scatter_picture, density_picture])
def test_a_picture_shows_where_pairs_are(picture):
    def middle(target, prediction):
        corners = np.array([[0, 0], [1, 1]])
        many = np.random.default_rng(0).normal((target, prediction), 0.02, (300, 2))
        pixels = picture(np.concatenate([corners, many]), central=100)[100:540, 80:580].astype(int)
        blue = (
            pixels[..., 2] - pixels[..., 0] > 60
            if picture is scatter_picture
            else (pixels[..., 0] > 200) & (pixels[..., 2] < 120)
        )
        return np.argwhere(blue).mean(axis=0)

    low_right, high_left = middle(0.8, 0.2), middle(0.2, 0.8)
    assert low_right[0] > high_left[0] + 150
    assert low_right[1] > high_left[1] + 150


def test_one_value_is_a_picture_and_none_is_an_error():
    one = np.full((3, 2), 4.0, np.float32)
    for picture in (scatter_picture, density_picture):
        assert picture(one).shape == (600, 600, 3)
        with pytest.raises(ValueError, match="no pair"):
            picture(one[:0])


def test_keys_say_what_is_compared(drawn):
    def loss(first, second, third):
        return squared_deviation(second, first) + 0 * third.sum()

    keys = {"loss_inputs": [TARGET, OUT, RAW], "loss": loss, "stop_after": 1}
    session(hooks=[Regression(every=1)], **keys).run()
    with pytest.raises(ValueError, match="a prediction, which the loss is not given; .* TARGET"):
        session(hooks=[Regression()], loss_inputs=[TARGET], outputs={0: OUT}).check()
    with pytest.raises(ValueError, match="compares GONE"):
        session(hooks=[Regression(target=type(RAW)("GONE"))]).check()
    for wrong in ({"pairs": 0}, {"central": 0}, {"central": 101}):
        with pytest.raises(ValueError, match="pairs is at least 1"):
            Regression(**wrong)


def test_what_fails_is_told_and_the_training_goes_on(tmp_path, drawn):
    def loss(prediction, target, raw):
        return squared_deviation(prediction, target) + 0 * raw.sum()

    hooks = [Regression(target=RAW, every=1), Regression(every=1)]
    (tmp_path / "regression").write_text("in the way")
    options = {"loss_inputs": [OUT, TARGET, RAW], "loss": loss, "run_dir": tmp_path}
    assert session(hooks=hooks, stop_after=2, **options).run().step == 2
    told = {(e.value["hook"], e.value["method"]) for e in read_events(tmp_path, ["failure"])}
    assert told == {("Regression", "after_loss"), ("Regression-2", "draw training")}


def test_now_is_written_when_it_returns(tmp_path):
    hook = Regression(every=100)

    class Looks:
        def after_step(self, session, step):
            self.there = [file.exists() for file in hook.now(session)]

    looks = Looks()
    session(hooks=[hook, looks], stop_after=1, run_dir=tmp_path).run()
    assert looks.there == [True, True]
