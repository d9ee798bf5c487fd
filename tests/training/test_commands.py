"""Commands are parsed, checked and logged; they change what they say, and nothing else."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.torch.nets import RAW, request
from tests.training.sessions import Losses, pipeline, same, session, weights
from voxflow.torch import StepOptions, load_checkpoint
from voxflow.torch.ranks import Ranks
from voxflow.training import Validation, read_events
from voxflow.training.commands import CommandError, Commands, NeedsYes, standard_commands
from voxflow.training.commands.words import Value, arguments, usage, value_of
from voxflow.training.statistics import statistics, table


class Says:
    """Says things to a session after a step, and keeps the answers."""

    def __init__(self, *lines, step=2):
        self.lines, self.step, self.answers = lines, step, {}

    def after_step(self, session, step):
        if self.step in (step.number, None):
            for line in self.lines:
                try:
                    self.answers[line] = session.commands.run(session, line, "test")
                except Exception as error:
                    self.answers[line] = error


def validation():
    return Validation(pipeline(seed=3), request(), batches=1, every=100)


def after(*lines, step=2, stop=4, **options):
    """The answers to what is said after a step, and the session afterwards."""
    torch.manual_seed(0)
    says = Says(*lines, step=step)
    made = session(hooks=[says], stop_after=stop, **options)
    made.report = made.run()
    return says.answers, made


@pytest.fixture(scope="module")
def untouched():
    torch.manual_seed(0)
    made = session(stop_after=4)
    made.run()
    return weights(made.model)


# -- words --------------------------------------------------------------------------------------

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)


@given(plain, st.booleans())
def test_a_value_is_what_was_written(value, as_yaml):
    def put(session, target: str, value: Value): ...

    written = str(value).lower() if as_yaml and not isinstance(value, list) else repr(value)
    assert arguments("set", put, f"model.x {written}") == (["model.x", value], {})
    assert arguments("set", put, f"model.x '{written}'") == (["model.x", value], {})


def test_words_are_texts_where_they_are_nothing_else():
    assert value_of("reflect") == "reflect"
    assert value_of("__import__('os')") == "__import__('os')"

    def put(session, target: str, value: Value): ...

    assert arguments("set", put, "a [1,  2, [3]]") == (["a", [1, 2, [3]]], {})
    with pytest.raises(CommandError, match="no closing quotation"):
        arguments("set", put, "a 'b")


def test_arguments_are_checked():
    def make(session, name: str, count: int = 1, rate: float | None = None, **options: Value): ...

    assert usage("make", make) == "make NAME [COUNT] [RATE] [KEY=VALUE]..."
    assert arguments("make", make, "a 2 .5 deep=[1,2]") == (["a", 2, 0.5], {"deep": [1, 2]})
    for rest, what in [
        ("", "missing a required argument: 'name'; say: make NAME"),
        ("a b", "make needs a whole number for COUNT, got 'b'"),
        ("a 1 x", "make needs a number for RATE, got 'x'"),
        ("a 1 2 3", "an option is written KEY=VALUE, got '3'"),
    ]:
        with pytest.raises(CommandError, match=what.replace("[", "\\[")):
            arguments("make", make, rest)


# -- the registry -------------------------------------------------------------------------------


def test_names_are_guessed():
    commands = standard_commands()
    with pytest.raises(CommandError, match="did you mean setlr"):
        commands.run(None, "setrl 0.1")
    with pytest.raises(CommandError, match="say what to do"):
        commands.run(None, "  ")
    with pytest.raises(CommandError, match="takes? .*positional|too many"):
        commands.run(None, "pause now")


def test_every_command_is_told_of():
    commands = standard_commands()
    assert {"resume", "stop", "kill", "save", "load", "get", "set", "setlr", "setmom"} <= {
        command.name for command in commands
    }
    for command in commands:
        assert command.summary.endswith("."), command.name
        assert command.usage in commands.help(), command.name
        assert commands.run(None, f"help {command.name}").startswith(command.usage)


def test_own_commands_are_added():
    def double(session, number: float):
        """Say twice as much."""
        return str(number * 2)

    commands = Commands()
    commands.add(double)
    assert commands.run(None, "double 1.5") == "3.0"
    assert commands.call(None, "double", 2) == "4"
    assert commands.call(None, "double", number="0.25") == "0.5"
    with pytest.raises(ValueError, match="is a word"):
        commands.add(double, name="two words")


# -- what is changed ----------------------------------------------------------------------------


def test_what_changes_something_is_logged(tmp_path):
    answers, made = after(
        "setlr 0.5",
        "setmom 0.8",
        "setwd 0.1",
        "sethist 3",
        "set model.dropout 0.25",
        "get optimizer.lr",
        "setlr -1",
        run_dir=tmp_path,
        validation=validation(),
    )
    assert answers["setlr 0.5"] == "optimizer.lr: 0.01 -> 0.5"
    assert answers["get optimizer.lr"] == "optimizer.lr  0.5"
    assert isinstance(answers["setlr -1"], ValueError)
    group = made.optimizer.param_groups[0]
    assert (group["lr"], group["betas"][0], group["weight_decay"]) == (0.5, 0.8, 0.1)
    assert made.get("model.dropout") == 0.25
    said = [event.value for event in read_events(tmp_path, ["command"])]
    assert [one["line"] for one in said] == [line for line in answers if line[:3] != "get"]
    assert "has to be 0 or more" in said[-1]["error"]
    assert {one["from"] for one in said} == {"test"}
    steps = [event.step for event in read_events(tmp_path, ["validation.loss"])]
    assert steps == [0, 3]


def test_how_often_a_validation_is_made_stays_after_a_resume(tmp_path):
    after("sethist 2", step=1, stop=2, run_dir=tmp_path, validation=validation())
    _, made = after(stop=4, run_dir=tmp_path, validation=validation())
    assert made.get("validation.steps") == 2
    steps = [event.step for event in read_events(tmp_path, ["validation.loss"])]
    assert steps == [0, 2, 4]


def test_without_a_validation_there_is_none_to_make():
    answers, _ = after("sethist 2", "validate")
    assert "no validation" in str(answers["sethist 2"])
    assert "no validation" in str(answers["validate"])


@pytest.mark.parametrize(
    ("line", "files", "step"),
    [("stop", {"final"}, 2), ("kill yes", set(), 2), ("kill", {"final"}, 4)],
)
def test_stop_saves_and_kill_does_not(tmp_path, line, files, step):
    answers, made = after(line, run_dir=tmp_path)
    assert made.report.step == step
    assert {path.stem for path in (tmp_path / "checkpoints").iterdir()} == files
    if line == "kill":
        assert isinstance(answers["kill"], NeedsYes)
        assert "2 steps would be lost (nothing is saved)" in str(answers["kill"])
        assert not list(read_events(tmp_path, ["command"]))


def test_kill_asks_nothing_where_nothing_is_lost(tmp_path):
    answers, made = after("save", "kill", run_dir=tmp_path)
    assert made.report.step == 2
    assert answers["kill"] == "the run ends after step 2; nothing is saved"
    answers, _ = after("kill", step=3, run_dir=tmp_path)
    assert "1 step would be lost (saved is step 2)" in str(answers["kill"])


def test_what_is_saved_is_loaded_bit_for_bit(tmp_path):
    class Spoils:
        def after_step(self, session, step):
            if step.number == 2:
                self.before = weights(session.model)
                session.commands.run(session, "save mine")
                for parameter in session.model.parameters():
                    parameter.data.zero_()
                assert not same(weights(session.model), self.before)
                session.commands.run(session, "load mine")
                self.after = weights(session.model)
                session.commands.run(session, "stop")

    spoils = Spoils()
    session(hooks=[spoils], run_dir=tmp_path).run()
    assert same(spoils.before, spoils.after)
    assert load_checkpoint(tmp_path / "checkpoints" / "mine.pt").iteration == 2


def test_names_of_files_are_checked(tmp_path):
    answers, _ = after("save ../a", "load mien", "save mine", "load mien ", run_dir=tmp_path)
    assert "no folders" in str(answers["save ../a"])
    assert "There are: none" in str(answers["load mien"])
    assert "did you mean mine" in str(answers["load mien "])
    assert not (tmp_path / "a.pt").exists()
    answers, _ = after("save", "snapshot", "filters")
    assert "keeps no checkpoints" in str(answers["save"])
    assert "keeps no checkpoints" in str(answers["snapshot"])
    assert "no run_dir" in str(answers["filters"])


@pytest.mark.parametrize("then", ["optimizer adam lr=0.002", "optimizer LBFGS", "optimizer cg"])
def test_another_optimizer_goes_on_with_the_weights_also_after_a_resume(tmp_path, then):
    losses = Losses()

    def run(stop, run_dir):
        torch.manual_seed(0)
        lines = [Says("optimizer SGD momentum=0.5", step=1), Says(then, step=2)]
        made = session(hooks=[*lines, losses], stop_after=stop, run_dir=run_dir)
        made.run()
        return made

    whole = run(5, tmp_path / "whole")
    assert type(whole.optimizer).__name__.lower() in (then.split()[1].lower(), "nonlinearcg")
    assert np.isfinite(losses.values).all()
    run(3, tmp_path / "parts")
    resumed = run(5, tmp_path / "parts")
    assert same(weights(whole.model), weights(resumed.model))


def test_an_optimizer_takes_over_rates_and_groups():
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 1, 3), torch.nn.Conv2d(1, 1, 3))
    groups = [
        {"params": model[0].parameters(), "lr": 0.1, "weight_decay": 0.01},
        {"params": model[1].parameters(), "lr": 0.2},
    ]
    made = session(model, torch.optim.SGD(groups))
    run = made.commands.run
    run(made, "optimizer AdamW")
    assert [(g["lr"], g["weight_decay"]) for g in made.optimizer.param_groups] == [
        (0.1, 0.01),
        (0.2, 0.0),
    ]
    run(made, "optimizer LBFGS max_iter=3")
    assert [(g["lr"], g["max_iter"]) for g in made.optimizer.param_groups] == [(1, 3)]
    with pytest.raises(LookupError, match="did you mean SGD"):
        run(made, "optimizer sgdd")
    with pytest.raises(LookupError, match="no optimizer 'os:system'"):
        run(made, "optimizer os:system")
    with pytest.raises(TypeError, match="takes no speed; it takes lr"):
        run(made, "optimizer SGD speed=1")
    assert isinstance(made.optimizer, torch.optim.LBFGS)


def test_an_optimizer_that_does_not_fit_leaves_the_one_before():
    made = session(options=StepOptions(clip_norm=1.0))
    with pytest.raises(ValueError, match="searches along lines"):
        made.commands.run(made, "optimizer LBFGS")
    assert isinstance(made.optimizer, torch.optim.Adam)
    assert made.switched is None


def test_several_processes_do_not_come_to_differ():
    made = session()
    made.ranks = Ranks(0, 2)
    for line in ("optimizer SGD", "load x"):
        with pytest.raises(CommandError, match="2 processes that train together"):
            made.commands.run(made, line)
    assert made.commands.run(made, "setlr 0.1")


# -- what is looked at --------------------------------------------------------------------------


class Previews:
    def __init__(self):
        self.made = []

    def now(self, session):
        torch.rand(3)
        self.made.append(session.step)
        return [session.run_dir / "region.png"]


def test_who_looks_changes_nothing(tmp_path, untouched):
    previews = Previews()
    lines = ["status", "get", "paramstats", "gradstats", "actstats", "validate", "snapshot"]
    lines += ["save", "preview", "filters", "debugbatch", "help"]
    torch.manual_seed(0)
    says = Says(*lines, step=None)
    made = session(hooks=[says, previews], stop_after=4, run_dir=tmp_path, validation=validation())
    made.run()
    assert same(weights(made.model), untouched)
    pictures = {"filters", "debugbatch"}
    wrong = {line: a for line, a in says.answers.items() if isinstance(a, Exception)}
    assert wrong.keys() <= pictures  # where nothing can draw
    assert all("cannot be drawn" in str(error) for error in wrong.values())
    assert previews.made == [1, 2, 3, 4]
    assert says.answers["preview"] == f"drawn: {tmp_path / 'region.png'}"
    assert (tmp_path / "checkpoints" / "snapshot-4.pt").is_file()
    attributes = json.loads((tmp_path / "snapshots" / "snapshot-4.zarr" / ".zattrs").read_text())
    assert "replay_token" in attributes
    assert made.batch is None


def test_what_cannot_be_looked_at_is_told():
    answers, _ = after("preview", stop=2)
    assert "no hook that makes previews" in str(answers["preview"])
    made = session()
    for line in ("gradstats", "actstats", "debugbatch", "snapshot"):
        with pytest.raises(CommandError, match="no step was made"):
            made.commands.run(made, line)


def rows(text):
    """The numbers of a table, by name and column."""
    head, *lines = [line.split() for line in text.splitlines()]
    return {line[0]: dict(zip(head[1:], line[1:], strict=True)) for line in lines}


def agrees(row, values):
    values = np.asarray(values, np.float64)
    found = {
        "mean": values.mean(),
        "std": values.std(),
        "min": values.min(),
        "max": values.max(),
        "norm": np.sqrt((values**2).sum()),
        "median": np.median(np.abs(values)),
    }
    assert row["shape"] == "x".join(map(str, values.shape))
    for name, value in found.items():
        assert float(row[name]) == pytest.approx(value, rel=1e-4, abs=1e-6), name


def test_tables_have_what_numpy_finds():
    class Looks(Says):
        def after_step(self, session, step):
            super().after_step(session, step)
            if step.number == 2:
                self.weights = {n: p.detach().clone() for n, p in session.model.named_parameters()}
                self.grads = {n: p.grad.clone() for n, p in session.model.named_parameters()}
                was = session.model.training
                session.model.eval()
                with torch.no_grad():
                    raw = torch.as_tensor(step.batch[RAW].data)
                    self.first = session.model.net[0](raw[None, None])
                session.model.train(was)

    looks = Looks("paramstats", "gradstats", "actstats")
    session(hooks=[looks], stop_after=3).run()
    for line, found in (("paramstats", looks.weights), ("gradstats", looks.grads)):
        table = rows(looks.answers[line])
        assert list(table) == list(found)
        for name, tensor in found.items():
            agrees(table[name], tensor)
    table = rows(looks.answers["actstats"])
    assert list(table) == [f"net.{i}" for i in range(5)]
    agrees(
        table["net.0"],
        looks.first.reshape(table["net.0"]["shape"].count("x") and looks.first.shape),
    )


def test_tensors_of_any_kind_have_statistics():
    assert np.isnan(statistics(torch.empty(0, 3))[1:]).all()
    assert statistics(torch.tensor(2.0, dtype=torch.bfloat16))[1:] == (2, 0, 2, 2, 2, 2)
    assert statistics(torch.tensor([1, 5]))[1:5] == (3, 2, 1, 5)
    assert statistics(torch.tensor([4, -1, -2]))[6] == 2  # of magnitudes
    assert statistics(torch.tensor([[4, -1], [-2, 1]]))[6] == 1.5
    assert "-" in table({"scalar": statistics(torch.tensor(2.0))}).splitlines()[1]
