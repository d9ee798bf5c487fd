"""A training that runs is talked to from outside; nobody who does so can hold it up."""

import contextlib
import json
import os
import socket
import stat
import threading
import time
from types import SimpleNamespace

import click.testing
import pytest
import torch

from tests.training.fakes import Hands
from tests.training.sessions import Losses, same, session, weights
from voxflow.cli.app import app
from voxflow.torch.ranks import Ranks
from voxflow.training import read_events, unix_socket
from voxflow.training.attach import NotRunning, attach_to
from voxflow.training.listener import SOCKET, Listener
from voxflow.training.unix_socket import BoundSocket, connected

SECONDS = 60  # until a test has failed that waits for something


class Waits:
    """Makes no step but those that are allowed."""

    def __init__(self):
        self.allowed = threading.Semaphore(0)

    def after_step(self, session, step):
        assert self.allowed.acquire(timeout=SECONDS)


class Running:
    """A training in a thread."""

    def __init__(self, folder, *hooks, **options):
        torch.manual_seed(0)
        self.session = session(hooks=hooks, run_dir=folder, **options)
        self.folder = folder
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        self.report = self.session.run()

    def __enter__(self):
        self._thread.start()
        end = time.monotonic() + SECONDS
        while True:
            with contextlib.suppress(OSError), connected(self.folder / SOCKET):
                return self
            assert time.monotonic() < end
            time.sleep(0.005)

    def __exit__(self, *error):
        self.session.request_stop("the test is over")
        self.join()

    def join(self):
        self._thread.join(SECONDS)
        assert not self._thread.is_alive()


@pytest.fixture
def running(tmp_path):
    with Running(tmp_path) as made:
        yield made


def raw(folder):
    """A client that does as it likes."""
    made = connected(folder / SOCKET)
    made.settimeout(SECONDS)
    return made


# -- commands -----------------------------------------------------------------------------------


def test_commands_act_between_two_steps(tmp_path):
    with Running(tmp_path / "run", console="auto") as made, attach_to(made.folder) as training:
        assert training.say("pause").state == "paused"
        step = training.step
        assert training.say("status").step == step
        assert training.say("setlr 0.1").text == "optimizer.lr: 0.01 -> 0.1"
        assert not training.say("setlr fast").ok
        assert training.say("get optimizer.lr").text == "optimizer.lr  0.1"
        assert training.say("resume").state == "running"
        while training.say("actstats").step < step + 3:
            pass
        assert training.say("stop").state == "ending"
        made.join()
    assert made.report.reason == "somebody said stop"

    class Sets:
        def begin(self, session):
            self.after_step(session, None)

        def after_step(self, session, result):
            if session.step == step:
                session.set("optimizer.lr", 0.1)

    torch.manual_seed(0)
    other = session(hooks=[Sets()], stop_after=made.report.step)
    other.run()
    assert same(weights(made.session.model), weights(other.model))
    said = [event.value for event in read_events(made.folder, ["command"])]
    assert [one["line"] for one in said] == ["pause", "setlr 0.1", "resume", "stop"]
    assert said[1]["from"] == "attach"


def test_a_run_that_is_held_makes_no_step_and_takes_no_time(tmp_path):
    hands = Hands()
    with Running(tmp_path, clock=hands.clock()) as made, attach_to(made.folder) as training:
        step = training.say("pause").step
        hands.seconds += 100
        assert training.say("status").step == step
        assert training.say("stop").ok
    assert (made.report.step, made.report.active_seconds) == (step, 0)


def test_what_would_be_lost_needs_a_yes(running):
    with attach_to(running.folder) as training:
        training.say("pause")
        if training.step == 0:
            pytest.skip("it was too fast")
        reply = training.say("kill")
        assert (reply.ok, reply.needs_yes) == (False, True)
        assert training.say("kill yes").state == "ending"
    running.join()
    assert not list((running.folder / "checkpoints").iterdir())


def test_nothing_but_commands_is_done(running):
    with attach_to(running.folder) as training:
        for line in ("print(1)", "session.step = 5", "__import__('os')", "", "optimizer os.py:x"):
            assert not training.say(line).ok
        assert not training.say("set optimizer.lr __import__('os').getpid()").ok


def test_who_waits_is_told_for_what(tmp_path):
    waits, told = Waits(), []
    with Running(tmp_path, waits) as made, attach_to(made.folder) as training:
        waits.allowed.release()

        def waiting(doing):
            told.append(doing)
            waits.allowed.release(1000)

        assert training.say("status", waiting).ok
    assert told == ["a step has to be done"]


def test_no_answer_in_time_is_told_and_the_command_is_done_all_the_same(tmp_path):
    waits = Waits()
    with Running(tmp_path, waits) as made:
        with attach_to(made.folder, timeout=SECONDS) as training:
            training._socket.settimeout(1)  # as what is asked for now is not answered
            with pytest.raises(TimeoutError, match="did not answer in 1"):
                training.say("stop")
        waits.allowed.release(1000)
        made.join()
        assert made.report.reason == "somebody said stop"


def test_an_answer_that_came_too_late_is_not_taken_for_the_next_one(tmp_path):
    waits = Waits()
    with Running(tmp_path, waits) as made, attach_to(made.folder, timeout=SECONDS) as training:
        training._socket.settimeout(0.5)
        with pytest.raises(TimeoutError):
            training.say("setlr 0.125")
        waits.allowed.release(10**6)
        training._socket.settimeout(SECONDS)
        assert "0.125" not in training.say("get model.dropout").text
        assert "optimizer.lr" not in training.say("get model.dropout").text


# -- clients that are no good -------------------------------------------------------------------


def test_what_is_no_command_is_answered(running):
    with raw(running.folder) as client, client.makefile("rw") as lines:
        assert json.loads(lines.readline())["state"] == "running"
        for wrong in ("garbage", "{}", "3", '{"command": 3}', "[" * 10_000, "\udcff"):
            client.sendall(wrong.encode("utf8", "surrogateescape") + b"\n")
            assert not json.loads(lines.readline())["ok"]
        client.sendall(b'{"command": "status"}\n')
        assert json.loads(lines.readline())["received"]
        assert json.loads(lines.readline())["ok"]


def test_a_line_without_an_end_ends_the_client(running):
    with raw(running.folder) as client:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            client.sendall(b"x" * 1_000_000)
        with contextlib.suppress(ConnectionResetError):
            while client.recv(65536):
                pass
    with attach_to(running.folder) as training:
        assert training.say("status").ok


def test_clients_that_hang_or_go_hold_up_nobody(tmp_path):
    losses = Losses()
    with Running(tmp_path, losses) as made:
        with contextlib.ExitStack() as stack:
            silent = [stack.enter_context(raw(tmp_path)) for _ in range(3)]
            silent[0].setblocking(False)
            with contextlib.suppress(BlockingIOError):
                for _ in range(500):  # whose answers are more than the system keeps
                    silent[0].send(b'{"command": "get"}\n')
            for _ in range(3):
                with raw(tmp_path) as gone:
                    gone.sendall(b'{"command": "get"}\n{"command": "set')
            before = len(losses.steps)
            with attach_to(tmp_path) as training:
                while training.say("status").step < before + 3:
                    pass
                assert training.say("stop").ok
            made.join()
    assert made.report.step == len(losses.steps)


def test_so_many_clients_and_no_more(running):
    with contextlib.ExitStack() as stack:
        many = [stack.enter_context(raw(running.folder)) for _ in range(40)]
        greeted = [client.recv(1) for client in many]
        assert greeted.count(b"{") == 16
    with contextlib.suppress(NotRunning), attach_to(running.folder):
        pass


def test_who_still_waits_at_the_end_is_told(tmp_path):
    asked = []
    listener = Listener(tmp_path, asked.append, lambda: {"doing": "nothing"})
    with raw(tmp_path) as client, client.makefile() as lines:
        lines.readline()
        client.sendall(b'{"command": "status"}\n')
        assert json.loads(lines.readline())["received"]
        listener.close()
        assert json.loads(lines.readline())["text"] == "the run has ended"
        assert lines.readline() == ""
    assert [said.line for said in asked] == ["status"]
    assert not any("voxflow attach" in thread.name for thread in threading.enumerate())


# -- the socket ---------------------------------------------------------------------------------


def test_one_who_comes_as_it_ends_does_no_harm(tmp_path, monkeypatch):
    comes = threading.Event()

    class Slow(threading.Thread):
        def start(self):
            if self.name == "voxflow attach client":
                comes.set()
                time.sleep(0.2)
            super().start()

    names = SimpleNamespace(**{**vars(threading), "Thread": Slow})
    monkeypatch.setattr("voxflow.training.listener.threading", names)
    listener = Listener(tmp_path, lambda said: None, lambda: {"doing": ""})
    with connected(tmp_path / SOCKET):
        assert comes.wait(SECONDS)
        listener.close()


def test_nobody_else_can_connect_at_any_moment(tmp_path, monkeypatch):
    seen = []
    bind = socket.socket.bind

    def watched(made, address):
        bind(made, address)
        parent = os.stat(os.path.dirname(os.path.realpath(address)))
        seen.append(stat.S_IMODE(parent.st_mode))

    kind = type("Watched", (socket.socket,), {"bind": watched})
    monkeypatch.setattr(unix_socket.socket, "socket", kind)
    before = os.umask(0)
    try:
        made = BoundSocket(tmp_path / "s")
    finally:
        os.umask(before)
    assert seen == [0o700]
    assert stat.S_IMODE(os.stat(tmp_path / "s").st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["s"]
    made.close()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("length", [20, 200])
@pytest.mark.parametrize("elsewhere", [False, True])
def test_folders_of_any_length_and_kind_do(tmp_path, monkeypatch, length, elsewhere):
    """Elsewhere: as on a file system that knows no sockets."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(home) if len(str(home)) < 60 else "/tmp")
    if elsewhere:

        def fails(made):
            raise OSError("no sockets here")

        monkeypatch.setattr(BoundSocket, "_bind_here", fails)
    folder = tmp_path / ("x" * length)
    folder.mkdir()
    made = BoundSocket(folder / "s")
    assert (folder / "s").is_symlink() == elsewhere
    target = (folder / "s").resolve()
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    with connected(folder / "s"):
        made.socket.accept()[0].close()
    made.close()
    assert not list(folder.iterdir())
    assert not target.exists()
    assert not (elsewhere and target.parent.exists())


def test_what_a_kill_left_is_told_and_replaced(tmp_path):
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(tmp_path / SOCKET)) if len(str(tmp_path)) < 80 else pytest.skip("long path")
    left.close()
    with pytest.raises(NotRunning, match="was killed, or runs on another machine"):
        attach_to(tmp_path)
    with Running(tmp_path) as made, attach_to(tmp_path) as training:
        assert training.say("stop").ok
        made.join()
    assert not (tmp_path / SOCKET).exists()


def test_the_socket_of_another_run_stays(tmp_path):
    first = BoundSocket(tmp_path / "s")
    second = BoundSocket(tmp_path / "s")
    first.close()
    with connected(tmp_path / "s"):
        pass
    second.close()
    assert not (tmp_path / "s").exists()


def test_a_run_that_cannot_listen_goes_on(tmp_path, monkeypatch, caplog):
    def fails(made, path):
        raise OSError("no sockets at all")

    monkeypatch.setattr(BoundSocket, "__init__", fails)
    made = session(run_dir=tmp_path, stop_after=2)
    assert made.run().step == 2
    assert "nobody can attach to this run: no sockets at all" in caplog.text


def test_the_first_process_alone_listens(tmp_path):
    made = session(run_dir=tmp_path)
    made.ranks = Ranks(1, 2)
    with made.outside.listening():
        assert not (tmp_path / SOCKET).exists()
    made.ranks = Ranks(0, 2)
    with made.outside.listening():
        assert (tmp_path / SOCKET).exists()


def test_where_nothing_runs_it_is_told(tmp_path):
    with pytest.raises(NotRunning, match="no training runs in"):
        attach_to(tmp_path)
    with pytest.raises(FileNotFoundError, match="is no folder"):
        attach_to(tmp_path / "nowhere")


# -- the command --------------------------------------------------------------------------------


def said(*arguments, **options):
    return click.testing.CliRunner().invoke(app, ["attach", *map(str, arguments)], **options)


def test_the_command_says_what_came_of_it(running):
    done = said(running.folder, "setlr", "0.25")
    assert (done.exit_code, done.stdout) == (0, "optimizer.lr: 0.01 -> 0.25\n")
    done = said(running.folder, "setlr", "-1")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "has to be 0 or more" in done.stderr
    done = said(running.folder, "set", "optimizer.betas", "[0.8, 0.9]")
    assert done.exit_code == 0, done.output
    assert said(running.folder, "get", "optimizer.momentum").stdout.split()[1] == "0.8"


def test_the_command_has_a_prompt(running):
    done = said(running.folder, input="setlr 0.5\n\nsetrl 1\nstop\nget\n")
    assert done.exit_code == 0
    assert "attached: running" in done.stdout
    assert "optimizer.lr: 0.01 -> 0.5" in done.stdout
    assert "did you mean setlr" in done.stderr
    assert "the run ends after step" in done.stdout
    assert "model.dropout" not in done.stdout  # the run has ended before
    running.join()
    assert running.report.reason == "somebody said stop"


def test_the_command_fails_where_nothing_answers(tmp_path):
    assert said(tmp_path, "status").exit_code == 3
    assert said(tmp_path / "nowhere", "status").exit_code == 2
    waits = Waits()
    with Running(tmp_path, waits) as made:
        done = said(made.folder, "status", "--timeout", "0.05")
        assert done.exit_code == 4
        assert "did not answer" in done.stderr
        waits.allowed.release(1000)
