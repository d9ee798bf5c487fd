"""The other process: it serves, fails by name, and leaves nothing behind."""

import os
import subprocess
import sys
import time

import psutil
import pytest

import voxflow as gp
from voxflow.testing import draw_world, elsewhere
from voxflow.testing.seen import difference, seen

WORLD = draw_world("yx", 0)
REQUEST = gp.BatchRequest({WORLD.raw: WORLD.inner}, random_seed=1)


class Dies(gp.BatchFilter):
    def process(self, batch, request):
        if os.getpid() != self.home:
            os._exit(3)

    home = os.getpid()

    def __init__(self):
        self.home = os.getpid()


class Refuses(Dies):
    def process(self, batch, request):
        if os.getpid() != self.home:
            raise ZeroDivisionError("only here")


def served(node):
    pipeline = WORLD.upstream + node
    with gp.build(pipeline, seed=1):
        mine = seen(pipeline.request_batch(REQUEST))
        return mine, elsewhere.served_elsewhere(pipeline, [REQUEST, REQUEST])


def test_the_same_is_served_there():
    mine, theirs = served(gp.IntensityScaleShift(WORLD.raw, 0.5, 1))
    assert [difference(mine, batch) for batch in theirs] == [None, None]


def test_errors_and_deaths_are_named_and_the_next_one_is_served():
    with pytest.raises(elsewhere.Failed, match="ZeroDivisionError: only here"):
        served(Refuses())
    with pytest.raises(elsewhere.Failed, match="the process died"):
        served(Dies())
    served(gp.Normalize(WORLD.raw))


def test_a_process_that_is_about_to_die_is_not_asked_again(monkeypatch):
    monkeypatch.setattr(elsewhere, "START", "import os, time; os.close(1); time.sleep(30)")
    worker = elsewhere.Worker()
    with pytest.raises(elsewhere.Failed, match="the process died"):
        worker.ask(b"")
    assert not worker.alive
    worker.close()


SCRIPT = """
import voxflow as gp
from voxflow.testing import check_node, elsewhere

class OfTheScript(gp.BatchFilter):
    def setup(self):
        self.enable_autoskip()
        self.updates(gp.ArrayKey("RAW"), self.spec[gp.ArrayKey("RAW")].copy())

    def process(self, batch, request):
        batch[gp.ArrayKey("RAW")].data = batch[gp.ArrayKey("RAW")].data // 2

check_node(lambda world: OfTheScript(), axes="yx", examples=1)
print(elsewhere._worker._process.pid)
"""


def test_nodes_of_a_script_are_served_and_no_process_is_left(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "script.py")],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(["", *sys.path]).strip(os.pathsep)},
    )
    assert done.returncode == 0, done.stderr
    pid = int(done.stdout)
    for _ in range(600):
        if not psutil.pid_exists(pid):
            return
        time.sleep(0.05)
    raise AssertionError(f"process {pid} is still there")
