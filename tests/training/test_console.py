"""Ctrl-C opens a prompt between two steps; whatever is typed there, the training is not lost."""

import builtins
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

from tests.training.fakes import Hands
from tests.training.sessions import Poison, same, session, weights
from voxflow.torch import NonFiniteLoss, StepOptions, load_checkpoint
from voxflow.training import outside, read_events
from voxflow.training.console import Console
from voxflow.training.interrupts import Interrupts, at_terminal

EXAMPLE = Path(__file__).parents[2] / "examples" / "toy"


class Presses:
    """Presses Ctrl-C after some steps."""

    def __init__(self, *steps, times=1):
        self.steps, self.times = steps, times

    def after_step(self, session, step):
        for _ in range(self.times if step.number in self.steps else 0):
            signal.raise_signal(signal.SIGINT)


@pytest.fixture(autouse=True)
def _as_usual():
    """Also where whoever started the tests has let them ignore the signal."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Types:
    """Types lines at prompts; then Ctrl-D."""

    def __init__(self, *lines):
        self.lines, self.prompts = list(lines), []

    def __call__(self, prompt=""):
        self.prompts.append(prompt)
        if not self.lines:
            raise EOFError
        line = self.lines.pop(0)
        if isinstance(line, BaseException):
            raise line
        return line() if callable(line) else line


@pytest.fixture
def types(monkeypatch):
    """Somebody at a terminal, without IPython."""

    def begin(*lines):
        made = Types(*lines)
        monkeypatch.setattr(builtins, "input", made)
        return made

    monkeypatch.setitem(sys.modules, "IPython", None)
    monkeypatch.setattr(outside, "at_terminal", lambda: True)
    return begin


def trained(*hooks, stop=4, **options):
    torch.manual_seed(0)
    made = session(hooks=hooks, stop_after=stop, **options)
    made.report = made.run()
    return made


@pytest.fixture(scope="module")
def untouched():
    return weights(trained(console=False).model)


def opened(types, *lines, **options):
    """A console into which lines were typed, of a session that does not run."""
    types(*lines)
    console = Console(session(**options))
    print(console.open())
    return console


# -- the prompt ---------------------------------------------------------------------------------


def test_a_run_that_was_looked_at_is_the_untouched_run(types, untouched, tmp_path, capfd):
    typed = types("1 + 1", "model", "x = 3", "status", "", "x + 1", "paramstats", "q")
    made = trained(Presses(1, 2, 3), run_dir=tmp_path)
    assert same(weights(made.model), untouched)
    assert made.report.step == 4
    assert typed.prompts.count("voxflow> ") == 10  # two of them were left with Ctrl-D
    shown = capfd.readouterr()
    assert "2\n" in shown.out
    assert "Flat(" in shown.out
    assert "4\n" in shown.out
    assert "net.0.weight" in shown.out
    assert shown.err.count("a prompt opens when the step is done") == 3
    said = [event.value for event in read_events(tmp_path, ["console"])]
    assert said == ["opened", "1 + 1", "model", "x = 3", "x + 1", "opened", "opened"]


BROKEN = {"nodes": [Poison(2)], "options": StepOptions(nonfinite="console")}


def test_a_loss_that_is_not_finite_opens_a_prompt(types, tmp_path):
    types("session.step", "stop")
    made = trained(run_dir=tmp_path, **BROKEN)
    assert (made.report.step, made.report.reason) == (3, "somebody said stop")
    (said,) = read_events(tmp_path, ["nonfinite"])
    assert said.value["action"] == "skip"
    assert [event.step for event in read_events(tmp_path, ["console"])] == [3, 3]


def test_where_nobody_is_at_a_terminal_a_loss_that_is_not_finite_stops_the_run(types):
    types("stop")
    with pytest.raises(NonFiniteLoss):
        trained(console=False, **BROKEN)


def test_what_is_set_acts_from_the_next_step_on(types, tmp_path):
    class Sets:
        def after_step(self, session, step):
            if step.number == 2:
                session.set("optimizer.lr", 0.1)

    types("setlr 0.1", "resume")
    made = trained(Presses(2), run_dir=tmp_path)
    assert same(weights(made.model), weights(trained(Sets(), console=False).model))
    (said,) = read_events(tmp_path, ["command"])[:1]
    assert (said.step, said.value) == (2, {"line": "setlr 0.1", "from": "console"})


def test_stop_ends_the_run_with_a_checkpoint(types, tmp_path):
    types("stop", "never asked for")
    made = trained(Presses(2), run_dir=tmp_path)
    assert (made.report.step, made.report.reason) == (2, "somebody said stop")
    assert (tmp_path / "checkpoints" / "final.pt").is_file()


@pytest.mark.parametrize(("sure", "step"), [("y", 2), ("", 4), ("n", 4)])
def test_kill_asks_where_something_would_be_lost(types, tmp_path, sure, step):
    typed = types("kill", sure)
    made = trained(Presses(2), run_dir=tmp_path)
    assert made.report.step == step
    assert any("2 steps would be lost" in prompt for prompt in typed.prompts)
    assert (tmp_path / "checkpoints" / "final.pt").is_file() == (step == 4)


def test_time_at_the_prompt_is_no_time_of_the_training(types):
    hands = Hands()

    def thinks():
        hands.seconds += 100
        return "q"

    types(thinks)
    assert trained(Presses(2), clock=hands.clock()).report.active_seconds == 0


def test_what_fails_is_shown_and_the_training_goes_on(types, capsys, untouched):
    lines = ["1 / 0", "setlr fast", "setrl 1", "raise KeyboardInterrupt", "(", ")"]
    types(*lines, KeyboardInterrupt())
    made = trained(Presses(2))
    assert same(weights(made.model), untouched)
    shown = capsys.readouterr()
    assert "ZeroDivisionError" in shown.err
    assert "During handling" not in shown.err
    assert "setlr needs a number for RATE, got 'fast'" in shown.out
    assert "no command 'setrl'; did you mean setlr" in shown.out
    assert shown.out.rstrip().endswith("the training goes on after step 2")


@pytest.mark.parametrize("leave", ["exit()", "quit", "raise SystemExit", "import sys; sys.exit(1)"])
def test_whoever_leaves_the_prompt_lets_the_training_go_on(types, leave):
    types(leave)
    assert trained(Presses(2), stop=3).report.step == 3
    assert not sys.stdin.closed


def test_a_console_that_fails_is_told(types, monkeypatch, caplog, untouched):
    def fails(console):
        raise OSError("no terminal any more")

    monkeypatch.setattr(Console, "open", fails)
    assert same(weights(trained(Presses(2)).model), untouched)
    assert "the console failed, the training goes on" in caplog.text


def test_variables_stay_and_parts_are_those_of_now(types, capsys):
    first = ["mine = batch", "metrics = 5", EOFError()]
    types(*first, "mine is batch, metrics, optimizer")
    trained(Presses(1, 2), stop=2)
    assert "(False, 5, Adam" in capsys.readouterr().out


def test_what_a_script_gives_has_a_name(types, capsys):
    types("given * 1234")
    made = session()
    made.scope["given"] = 7
    Console(made).open()
    assert "8638" in capsys.readouterr().out


def test_a_mode_that_was_left_is_told(types, capsys):
    opened(types, "_ = model.eval()")
    assert "the model is in evaluation mode now" in capsys.readouterr().out


def test_own_prompts_of_python_stay(types, monkeypatch):
    monkeypatch.setattr(sys, "ps1", "mine> ", raising=False)
    monkeypatch.delattr(sys, "ps2", raising=False)
    opened(types)
    assert sys.ps1 == "mine> "
    assert not hasattr(sys, "ps2")


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("setlr 0.001", "setlr 0.001"),
        ("  setlr   -1 ", "setlr -1"),
        ("set optimizer.lr [1, 2]", "set optimizer.lr [1, 2]"),
        ("load ../run/x.pt", "load ../run/x.pt"),
        ("load /a/b.pt strict", "load /a/b.pt strict"),
        ("optimizer SGD momentum=0.9", "optimizer SGD momentum=0.9"),
        ("status", "status"),
        ("q", "resume"),
        ("help setlr", "help setlr"),
        ("setrl 1", "setrl 1"),
        ("status = 3", None),
        ("status == 3", None),
        ("setlr (0.1)", None),
        ("setlr(0.1)", None),
        ("optimizer", None),
        ("optimizer.param_groups", None),
        ("optimizer is None", None),
        ("set([1])", None),
        ("for i in range(3):", None),
        ("import os", None),
        ("x", None),
        ("(", None),
        ("print 'a", "print 'a"),
        ("not batch", None),
        ("status\nstatus", None),
        ("", None),
    ],
)
def test_lines_are_commands_or_python(types, line, command):
    console = opened(types)
    expected = line if command is None else f"_voxflow_do({command!r})"
    assert console.translated(line) == expected


def test_a_name_that_somebody_uses_is_theirs(types, capsys):
    console = opened(types, "save = 7", "status = 'mine'")
    assert console.translated("save") == "save"
    assert console.translated("status x") == "status x"
    types("save + 1")
    console.open()
    assert "8\n" in capsys.readouterr().out


# -- Ctrl-C -------------------------------------------------------------------------------------


@pytest.fixture
def pressed():
    """Interrupts whose first one is noted."""
    asked = []
    made = Interrupts(lambda: asked.append("asked") or "it comes", lambda: "still waiting")
    made.asked = asked
    before = signal.getsignal(signal.SIGINT)
    yield made
    assert signal.getsignal(signal.SIGINT) is before


def press():
    signal.raise_signal(signal.SIGINT)


def test_the_third_breaks_off(pressed, capfd):
    with pytest.raises(KeyboardInterrupt):
        with pressed:
            press()
            assert pressed.asked == ["asked"]
            assert "it comes; Ctrl-C twice more breaks off" in capfd.readouterr().err
            press()
            assert pressed.asked == ["asked"]
            assert "still waiting; Ctrl-C once more breaks off" in capfd.readouterr().err
            press()
            pytest.fail("it went on")


def test_at_the_prompt_it_is_as_usual_and_counted_anew_afterwards(pressed):
    with pressed:
        press()
        press()
        with pressed.as_usual(), pytest.raises(KeyboardInterrupt):
            press()
        press()
        assert pressed.asked == ["asked", "asked"]


def test_a_handler_of_somebody_else_stays(pressed):
    def theirs(number, frame):
        pass

    before = signal.signal(signal.SIGINT, theirs)
    try:
        with pressed:
            assert signal.getsignal(signal.SIGINT) is theirs
        assert signal.getsignal(signal.SIGINT) is theirs
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_handle_none(pressed):
    found = []

    def run():
        with pressed:
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [signal.default_int_handler]


def test_without_a_terminal_it_ends_the_run_with_a_checkpoint(tmp_path, capfd, untouched):
    made = trained(Presses(3), run_dir=tmp_path)
    assert (made.report.step, made.report.reason) == (3, "it was interrupted")
    assert "the run ends when the step is done" in capfd.readouterr().err
    assert same(weights(trained(run_dir=tmp_path).model), untouched)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_three_at_once_break_off_and_the_step_is_not_lost(types, tmp_path, untouched):
    types()
    with pytest.raises(KeyboardInterrupt):
        trained(Presses(3, times=3), run_dir=tmp_path)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert same(weights(trained(run_dir=tmp_path).model), untouched)


def test_whether_there_is_a_console_can_be_said(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        trained(Presses(2), console=False, run_dir=tmp_path)
    assert not (tmp_path / "attach.sock").exists()
    with pytest.raises(RuntimeError, match="console=True needs a terminal"):
        trained(console=True)
    with pytest.raises(ValueError, match="console is True, False or 'auto'"):
        session(console="maybe")


def test_a_terminal_is_one_that_is_ours(monkeypatch):
    assert not at_terminal()
    ours, theirs = os.openpty()
    with open(theirs, "w", closefd=False) as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        monkeypatch.setattr(sys, "stdout", stream)
        assert not at_terminal()  # it is not the one of this session
        monkeypatch.setattr(os, "tcgetpgrp", lambda fd: os.getpgrp())
        assert at_terminal()
        monkeypatch.setattr(os, "tcgetpgrp", lambda fd: os.getpgrp() + 1)
        assert not at_terminal()  # in the background
    os.close(ours)
    os.close(theirs)


# -- a command in a terminal --------------------------------------------------------------------

PLAIN = "import sys; sys.modules['IPython'] = None; from voxflow.cli import main; main()"
IPYTHON = "from voxflow.cli import main; main()"
PROMPTS = {PLAIN: "voxflow> ", IPYTHON: r"In \[\d+\]: "}


class Terminal:
    """``voxflow`` in a terminal, and somebody who types."""

    def __init__(self, folder, *arguments, program=PLAIN):
        pexpect = pytest.importorskip("pexpect")
        self.prompt = PROMPTS[program]
        self.end = pexpect.EOF
        command = ["-c", program, *map(str, arguments)]
        self._made = pexpect.spawn(
            sys.executable, command, cwd=folder, env=surroundings(), timeout=90, encoding="utf8"
        )

    def expect(self, *patterns):
        for pattern in patterns:
            self._made.expect(pattern)

    def begun(self, run):
        end = time.monotonic() + 90
        while not (run / "attach.sock").exists():
            assert time.monotonic() < end
            time.sleep(0.05)

    def interrupt(self):
        self._made.sendintr()
        self.expect("a prompt opens", "step +([0-9]+)")
        step = int(self._made.match[1])
        self.expect(self.prompt)
        return step

    def say(self, line, *answers):
        self._made.sendline(line)
        self.expect(*answers, self.prompt)

    def leave(self, line, *answers):
        self._made.sendline(line)
        self.expect(*answers)

    def ended(self):
        self.expect(self.end)
        self._made.close()
        return self._made.exitstatus


def surroundings():
    plain = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    # IPython's own files do not matter, and neither do colours.
    extra = {"XDG_CONFIG_HOME": "/nowhere", "PYTHONPATH": str(EXAMPLE.parents[1]), "TERM": "dumb"}
    return {**plain, **extra, "PYTHONWARNINGS": "error::ResourceWarning"}


def voxflow(folder, *arguments, status=0):
    command = [sys.executable, "-m", "voxflow.cli", *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=folder, env=surroundings(), timeout=110
    )
    assert done.returncode == status, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy")
    make = [sys.executable, EXAMPLE / "make_data.py", "--out", folder / "data"]
    subprocess.run(make, check=True, env=surroundings())
    (folder / "toy.yaml").write_text((EXAMPLE / "toy.yaml").read_text())
    return folder


def train(name, steps=10**6):
    small = ["device=cpu", "data.input_shape=[52,52]", "validation.batches=1"]
    return ["train", "toy.yaml", *small, f"stop.steps={steps}", f"name={name}"]


def final(folder, name):
    return load_checkpoint(folder / "runs" / name / "checkpoints" / "final.pt")


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("program", [PLAIN, IPYTHON], ids=["plain", "ipython"])
def test_a_real_training_in_a_real_terminal(toy, program):
    if program == IPYTHON:
        pytest.importorskip("IPython")
    name = "plain" if program == PLAIN else "ipython"
    terminal = Terminal(toy, *train(name), program=program)
    terminal.begun(toy / "runs" / name)
    first = terminal.interrupt()
    terminal.say("help", "setlr RATE")
    terminal.say("x = 3")
    terminal.say("x + 1", "4")
    terminal.say("model", "UNet")
    terminal.say("preview", "previews|preview")
    terminal.say("1 / 0", "ZeroDivisionError")
    terminal.leave("q", "goes on after step")
    second = terminal.interrupt()
    assert second >= first
    terminal.say("x", "3")
    terminal.leave("stop", "the run ends after step", "somebody said stop")
    assert terminal.ended() == 0

    # Who only looked has changed nothing.
    looked = final(toy, name)
    assert looked.iteration == second
    voxflow(toy, *train(f"{name}-untouched", steps=second))
    untouched = final(toy, f"{name}-untouched")
    assert same(looked.model, untouched.model)
    assert str(looked.optimizer) == str(untouched.optimizer)

    # On with it: what is changed acts, and a second process does the same.
    run = toy / "runs" / name
    terminal = Terminal(toy, *train(name), "--resume", program=program)
    terminal.begun(run)
    assert terminal.interrupt() >= second
    terminal.say("setlr 0.125", "-> 0.125")
    terminal.say("optimizer.param_groups[0]['lr']", "0.125")
    terminal.leave("resume", "goes on")
    assert "lr 0.125" in voxflow(toy, "attach", run, "status")
    assert "waits after step" in voxflow(toy, "attach", run, "pause")
    assert "0.125 -> 0.25" in voxflow(toy, "attach", run, "set", "optimizer.lr", "0.25")
    assert "snapshot-" in voxflow(toy, "attach", run, "snapshot")
    assert "validation.loss" in voxflow(toy, "attach", run, "validate")
    voxflow(toy, "attach", run, "setlrr", "1", status=1)
    voxflow(toy, "attach", run, "resume")
    assert "the run ends" in voxflow(toy, "attach", run, "stop")
    assert terminal.ended() == 0
    voxflow(toy, "attach", run, "status", status=3)

    said = [event.value["line"] for event in read_events(run, ["command"])]
    wanted = ["setlr 0.125", "resume", "pause", "set optimizer.lr 0.25", "snapshot", "resume"]
    assert said[-7:] == [*wanted, "stop"]
    assert final(toy, name).optimizer["param_groups"][0]["lr"] == 0.25
    assert not (run / "attach.sock").exists()
