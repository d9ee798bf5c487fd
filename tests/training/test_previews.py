"""Pictures of predictions: when they are due, of the right things, and nothing else changes."""

import threading

import numpy as np
import pytest
import torch

import voxflow as gp
from tests.torch.nets import OUT, RAW, TARGET, volume
from tests.training.fakes import Hands
from tests.training.sessions import Losses, same, session, weights
from voxflow.pictures.places import NOTHING
from voxflow.training import Every, PreviewRegion, Previews, read_events

pytest.importorskip("PIL")


def region(shape=(10, 10), begin=(4, 4), block=None, source=None, context=(2, 2)):
    roi = gp.Roi(begin, shape)
    asked, reference = gp.BatchRequest(), gp.BatchRequest()
    for key in (RAW, OUT):
        asked[key] = gp.ArraySpec(roi)
        reference[key] = gp.ArraySpec(gp.Roi(begin, block or shape))
    made = volume(seed=1) if source is None else source
    return PreviewRegion(made, asked, context, reference if block else None)


class Images:
    def __init__(self):
        self.found = {}
        self.threads = set()

    def log_images(self, step, images):
        self.threads.add(threading.current_thread())
        self.found.update({(step, name): pixels for name, pixels in images.items()})


class Hour:
    """Half an hour passes with each step."""

    def __init__(self, hands):
        self.hands = hands

    def after_step(self, session, step):
        self.hands.seconds += 1800


def failures(folder):
    return [event.value for event in read_events(folder, ["failure"])]


def test_nothing_of_the_training_changes(tmp_path):
    plain, losses = Losses(), Losses()
    untouched = session(hooks=[plain], stop_after=6)
    untouched.run()
    states = torch.get_rng_state(), np.random.get_state()[1].copy()
    images = Images()
    previews = Previews({"held": region()}, every=2, images=images)
    watched = session(hooks=[previews, losses], stop_after=6, run_dir=tmp_path)
    watched.run()
    assert same(weights(untouched.model), weights(watched.model))
    assert plain.values == losses.values
    assert all(module.training for module in watched.model.modules())
    assert torch.equal(torch.get_rng_state(), states[0])
    assert np.array_equal(np.random.get_state()[1], states[1])
    names = [f"{name}-step-{n}.png" for name in ("held", "training") for n in (2, 4, 6)]
    assert sorted(p.name for p in (tmp_path / "previews").iterdir()) == names
    assert images.found.keys() == {
        (n, f"previews.{name}") for name in ("held", "training") for n in (2, 4, 6)
    }
    assert not any(np.array_equal(images.found[2, k], images.found[6, k]) for _, k in images.found)
    assert threading.main_thread() not in images.threads  # drawn beside
    assert failures(tmp_path) == []


def test_previews_are_due_after_1_4_and_7_hours_of_8(tmp_path):
    hands = Hands()
    every = Every(first_hours=1, hours=3)
    previews = Previews(every=every, folder=tmp_path / "p")
    made = session(hooks=[Hour(hands), previews], stop_after=16, clock=hands.clock())
    made.run()
    assert hands.seconds == 8 * 3600
    names = [f"training-hours-{h}.png" for h in (1, 4, 7)]
    assert sorted(p.name for p in (tmp_path / "p").iterdir()) == names


def test_where_a_run_goes_on_its_previews_do(tmp_path):
    hands, every = Hands(), {"first_hours": 1, "hours": 3}
    for steps in (7, 10):
        hooks = [Hour(hands), Previews(every=Every(**every))]
        session(hooks=hooks, stop_after=steps, clock=hands.clock(), run_dir=tmp_path).run()
    # 3.5 h before the break, and 1.5 h after it.
    names = ["training-hours-1.png", "training-hours-4.png"]
    assert sorted(p.name for p in (tmp_path / "previews").iterdir()) == names


class Inside(torch.nn.Module):
    """Gives back what is in the middle of its input; or twice that, as two channels."""

    def __init__(self, channels=0):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.channels = channels

    def forward(self, x):
        inside = x[2:-2, 2:-2] + self.weight * 0
        return inside if not self.channels else torch.stack([inside, 0.75 - inside])


def made_by(previews, **options):
    made = session(hooks=[previews], stop_after=1, **options)
    made.run()
    return made


def panel(pixels, number, size):
    """The pixels of a panel: after the title, three lines and what is between."""
    top, left, scale = 8 + 4 * 15 + 4, 8 + number * (max(190, 256 // size * size) + 8), 256 // size
    shape = size * scale
    return pixels[top : top + shape, left : left + shape][::scale, ::scale]


def test_what_is_predicted_is_where_it_lies():
    images = Images()
    previews = Previews(
        {"a": region()}, every=1, images=images, training=False, styles={RAW: "image", OUT: "image"}
    )
    made_by(previews, model=Inside())
    pixels = images.found[1, "previews.a"]
    raw, out = (panel(pixels, n, 10) for n in (0, 1))
    assert len(np.unique(raw)) > 20
    assert np.array_equal(raw, out)


def test_blocks_and_the_whole_are_the_same_and_dropout_is_off():
    found = []
    for block in (None, (4, 4)):
        images = Images()
        previews = Previews({"a": region(block=block)}, every=1, images=images, training=False)
        made = made_by(previews)
        assert previews.now(made) == []  # there is no folder
        found += [images.found[1, "previews.a"]]
    assert np.array_equal(*found)


def test_training_data_are_shown_with_what_the_network_makes_of_them():
    images = Images()
    previews = Previews(every=1, images=images, styles={k: "image" for k in (RAW, TARGET, OUT)})
    made_by(previews, model=Inside())
    pixels = images.found[1, "previews.training"]
    raw, _, out = (panel(pixels, n, 12) for n in (0, 1, 2))
    assert (out[2:-2, 2:-2] != NOTHING).any(axis=-1).all()
    assert (out[:2] == NOTHING).all()
    # Of the same values, though the range of what is shown is another.
    order = raw[2:-2, 2:-2, 0].astype(int).ravel()
    assert np.corrcoef(order, out[2:-2, 2:-2, 0].ravel())[0, 1] > 0.99


@pytest.mark.parametrize(
    ("options", "panels"), [({}, 3), ({"channels": [1]}, 2), ({"classes": True}, 5)]
)
def test_channels_and_classes_are_panels(options, panels):
    images = Images()
    previews = Previews({"a": region()}, every=1, images=images, training=False, **options)
    loss = torch.nn.L1Loss()

    def of_both(out, target):
        return loss(out, target.expand(2, -1, -1))

    made_by(previews, model=Inside(channels=2), loss=of_both)
    # With classes there is the image with them over it, too.
    assert images.found[1, "previews.a"].shape[1] == 8 + panels * 258


class Broken(gp.BatchFilter):
    def process(self, batch, request):
        raise ZeroDivisionError("no preview")


def test_what_fails_is_told_and_the_training_goes_on(tmp_path, caplog):
    (tmp_path / "previews").write_text("in the way")
    broken = region(source=volume(seed=1) + Broken())
    previews = Previews({"a": broken, "b": region()}, every=1)
    made = session(hooks=[previews], stop_after=3, run_dir=tmp_path)
    assert made.run().step == 3
    told = [(one["method"], one["error"].partition(":")[0]) for one in failures(tmp_path)]
    assert sorted(told) == [
        ("draw b", "FileExistsError"),
        ("draw training", "FileExistsError"),
        ("predict a", "ZeroDivisionError"),
    ]
    assert "the training goes on" in caplog.text
    assert made.model.training
    assert previews.now(made) == []


def test_averaged_weights_are_shown_only_where_there_are_some(tmp_path):
    from voxflow.torch import StepOptions

    shown = {}
    for averaged in (False, True):
        images = Images()
        previews = Previews(
            {"a": region()}, every=4, images=images, training=False, averaged=averaged
        )
        made = session(hooks=[previews], stop_after=4, options=StepOptions(average=0.9))
        before = weights(made.model)
        made.run()
        assert not same(before, weights(made.model))
        shown[averaged] = images.found[4, "previews.a"]
    assert not np.array_equal(shown[False], shown[True])
    previews = Previews(every=1, averaged=True)
    session(hooks=[previews], stop_after=1, run_dir=tmp_path).run()
    assert "no averaged weights" in failures(tmp_path)[0]["error"]


def test_now_is_written_when_it_returns(tmp_path):
    previews = Previews({"a": region()}, every=Every(steps=100))

    class Looks:
        def after_step(self, session, step):
            self.files = previews.now(session)
            self.there = [file.exists() for file in self.files]

    looks = Looks()
    session(hooks=[previews, looks], stop_after=1, run_dir=tmp_path).run()
    names = [tmp_path / "previews" / f"{name}-step-1.png" for name in ("a", "training")]
    assert looks.files == names
    assert looks.there == [True, True]


def test_predicting_is_no_time_of_the_training(tmp_path):
    hands = Hands()

    class Slow(gp.BatchFilter):
        def process(self, batch, request):
            hands.seconds += 60

    previews = Previews({"a": region(source=volume(seed=1) + Slow())}, every=1, training=False)
    made = session(hooks=[previews], stop_after=3, clock=hands.clock(), run_dir=tmp_path)
    assert made.run().active_seconds == 0
    assert hands.seconds == 180
    assert len(list((tmp_path / "previews").iterdir())) == 3


def test_mistakes_are_errors():
    with pytest.raises(ValueError, match="rename the region"):
        Previews({"training": region()})
