import math
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections import Counter

import numpy as np
import pytest
import torch

from voxflow.pipeline.data import RunPosition
from voxflow.torch.checkpoint import (
    Checkpoint,
    checkpoint_path,
    latest_checkpoint,
    link_checkpoint,
    load_checkpoint,
    remove_unfinished,
    save_checkpoint,
)

WEIGHTS = {"a": torch.arange(3.0)}


def test_everything_comes_back(tmp_path):
    model = torch.nn.Linear(2, 1)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    rng = {"cpu": torch.get_rng_state()}
    position = RunPosition(2**62 + 1, 21)
    path = tmp_path / "deep" / "model_checkpoint_20"
    save_checkpoint(path, Checkpoint(model.state_dict(), optimizer.state_dict(), 20, rng, position))
    found = load_checkpoint(path)
    assert found.iteration == 20
    assert found.position == position
    assert found.statistics == {}
    assert torch.equal(found.rng["cpu"], rng["cpu"])
    assert torch.equal(found.model["weight"], model.weight)
    assert found.optimizer["state"][0]["step"] == 1
    # Nothing in it needs code to be run.
    assert torch.load(path, weights_only=True)["iteration"] == 20


def test_other_files_can_be_loaded(tmp_path):
    plain = tmp_path / "plain"
    torch.save(WEIGHTS, plain)
    assert torch.equal(load_checkpoint(plain).model["a"], WEIGHTS["a"])
    gunpowders = tmp_path / "model_checkpoint_7"
    torch.save({"model_state_dict": WEIGHTS, "optimizer_state_dict": {"state": {}}}, gunpowders)
    found = load_checkpoint(gunpowders)
    assert (found.iteration, found.rng, found.position) == (7, None, None)


def test_what_is_no_checkpoint_is_said(tmp_path):
    save_checkpoint(tmp_path / "model_checkpoint_1", Checkpoint(WEIGHTS))
    with pytest.raises(FileNotFoundError, match="no checkpoint .*; there is: model_checkpoint_1"):
        load_checkpoint(tmp_path / "model_checkpoint_2")
    broken = tmp_path / "broken"
    broken.write_bytes((tmp_path / "model_checkpoint_1").read_bytes()[:300])
    with pytest.raises(ValueError, match="broken cannot be read as a checkpoint.*Remove it"):
        load_checkpoint(broken)
    torch.save([1], tmp_path / "list")
    with pytest.raises(ValueError, match="holds a list"):
        load_checkpoint(tmp_path / "list")
    torch.save({"format": 99, "model_state_dict": {}}, tmp_path / "new")
    with pytest.raises(ValueError, match="format 99, this version reads"):
        load_checkpoint(tmp_path / "new")


def test_no_code_is_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "pwned"),)

    torch.save({"model_state_dict": Evil()}, tmp_path / "evil")
    with pytest.raises(ValueError, match="cannot be read"):
        load_checkpoint(tmp_path / "evil")
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("base", ["model", "sub[1]/model*", "folder/"])
def test_the_latest_is_found_by_number(tmp_path, base, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert latest_checkpoint(base) is None
    for name in (8, 10, 9, "10_best", "best"):
        save_checkpoint(checkpoint_path(base, name), Checkpoint(WEIGHTS))
    save_checkpoint(f"{base}_other_checkpoint_99", Checkpoint(WEIGHTS))
    assert latest_checkpoint(base) == checkpoint_path(base, 10)


def test_a_failed_save_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "model_checkpoint_1"
    save_checkpoint(path, Checkpoint(WEIGHTS, iteration=1))
    with pytest.raises(Exception, match="pickle"):
        save_checkpoint(path, Checkpoint({"a": (i for i in ())}))
    assert load_checkpoint(path).iteration == 1
    assert os.listdir(tmp_path) == [path.name]


SAVING = """
import sys, torch
from voxflow.torch.checkpoint import Checkpoint, checkpoint_path, save_checkpoint

for i in range(1, 10**6):
    # Every value says the iteration, so that a mixture would be seen.
    weights = {"a": torch.full((300, 300), float(i)), "b": torch.full((9,), float(i))}
    save_checkpoint(checkpoint_path(sys.argv[1], i % 3), Checkpoint(weights, iteration=i))
    if i == 1:
        print("up", flush=True)
"""


def test_a_kill_while_saving_leaves_whole_files(tmp_path):
    script = tmp_path / "saving.py"
    script.write_text(textwrap.dedent(SAVING))
    base = tmp_path / "out" / "model"
    for wait in (0.05, 0.113):
        process = subprocess.Popen(
            [sys.executable, str(script), str(base)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout.readline() == "up\n"
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        for path in base.parent.glob("model_checkpoint_*"):
            found = load_checkpoint(path)
            assert all((values == found.iteration).all() for values in found.model.values())
        assert latest_checkpoint(base) is not None
        remove_unfinished(base)
        assert not list(base.parent.glob(".*"))


def test_only_what_the_dead_left_is_removed(tmp_path):
    base = tmp_path / "model"
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    dead = tmp_path / f".model_checkpoint_5.{process.pid}.part"
    own = tmp_path / f".model_checkpoint_6.{os.getpid()}.part"
    other = tmp_path / f".other_checkpoint_6.{process.pid}.part"
    for path in (dead, own, other):
        path.touch()
    remove_unfinished(base)
    assert not dead.exists()
    assert own.exists()
    assert other.exists()


def test_states_of_others_come_back(tmp_path):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [2, 2, 5])
    extra = {
        "clock": {"active_seconds": np.float64(1.5), "n": np.int64(3), "ok": np.bool_(True)},
        "nested": [(1, "a", None, b"x"), {2: torch.ones(2)}, math.inf],
        "scheduler": scheduler.state_dict(),
        "ids": 2**64 - 1,
    }
    save_checkpoint(tmp_path / "a", Checkpoint(WEIGHTS, extra=extra))
    found = load_checkpoint(tmp_path / "a").extra
    assert found["clock"] == {"active_seconds": 1.5, "n": 3, "ok": True}
    assert [type(v) for v in found["clock"].values()] == [float, int, bool]
    assert found["nested"][0] == (1, "a", None, b"x")
    assert torch.equal(found["nested"][1][2], torch.ones(2))
    assert found["nested"][2] == math.inf
    assert found["ids"] == 2**64 - 1
    assert found["scheduler"] == scheduler.state_dict()
    assert type(found["scheduler"]["milestones"]) is Counter
    save_checkpoint(tmp_path / "a", Checkpoint(WEIGHTS))
    assert load_checkpoint(tmp_path / "a").extra == {}


def test_states_that_could_not_be_loaded_are_refused_before_anything_is_written(tmp_path):
    save_checkpoint(tmp_path / "a", Checkpoint(WEIGHTS))
    with pytest.raises(TypeError, match=r"extra\['hooks'\]\[1\] is a object"):
        save_checkpoint(tmp_path / "a", Checkpoint({}, extra={"hooks": [1, object()]}))
    with pytest.raises(TypeError, match="a key of extra is a Path|a key of extra is a PosixPath"):
        save_checkpoint(tmp_path / "a", Checkpoint({}, extra={tmp_path: 1}))
    assert load_checkpoint(tmp_path / "a").model.keys() == WEIGHTS.keys()
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("links", [True, False])
def test_a_second_name_is_given_in_one_step(tmp_path, monkeypatch, links):
    def no_link(*_):
        raise OSError("no links here")

    if not links:
        monkeypatch.setattr(os, "link", no_link)
    save_checkpoint(tmp_path / "a", Checkpoint(WEIGHTS, iteration=1))
    save_checkpoint(tmp_path / "b", Checkpoint({}, iteration=2))
    link_checkpoint(tmp_path / "a", tmp_path / "b")
    link_checkpoint(tmp_path / "a", tmp_path / "b")
    assert load_checkpoint(tmp_path / "b").iteration == 1
    assert (tmp_path / "a").samefile(tmp_path / "b") == links
    # A new one under the first name leaves the second as it is.
    save_checkpoint(tmp_path / "a", Checkpoint({}, iteration=3))
    assert load_checkpoint(tmp_path / "b").iteration == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]
