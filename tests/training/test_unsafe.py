"""Files that would run code do not, wherever they turn up in a training."""

import io
import os
import pickle
import zipfile

import pytest
import torch

from tests.training.sessions import same, session, weights
from voxflow.training import load_newest_checkpoint
from voxflow.training.config import ConfigError, load_config
from voxflow.training.config.text import parse_value


class Trap:
    """Makes a folder when it is loaded as a pickle."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


def plain(trap):
    return pickle.dumps({"model_state_dict": trap})


def in_torchs_format(trap):
    """What `torch.save` writes, with another pickle in it."""
    written = io.BytesIO()
    torch.save({"w": torch.ones(2)}, written)
    made = io.BytesIO()
    with zipfile.ZipFile(written) as old, zipfile.ZipFile(made, "w") as new:
        for name in old.namelist():
            new.writestr(name, plain(trap) if name.endswith("data.pkl") else old.read(name))
    return made.getvalue()


@pytest.mark.parametrize("pack", [plain, in_torchs_format])
def test_a_checkpoint_that_would_run_code_does_not(tmp_path, pack):
    trap = tmp_path / "sprung"
    run = tmp_path / "run"
    session(run_dir=run, stop_after=2).run()
    hostile = run / "checkpoints" / "last.pt"
    hostile.write_bytes(pack(Trap(trap)))
    with pytest.raises(ValueError, match="cannot be read as a checkpoint"):
        session().load(hostile)
    path, found = load_newest_checkpoint(run / "checkpoints")
    assert (path.name, found.iteration) == ("final.pt", 2)
    one, other = session(run_dir=run, stop_after=4), session(stop_after=4)
    one.run()
    other.run()
    assert same(weights(one.model), weights(other.model))
    assert not trap.exists()


def test_the_trap_is_one(tmp_path):
    pickle.loads(plain(Trap(tmp_path / "sprung")))
    assert (tmp_path / "sprung").exists()


@pytest.mark.parametrize("tag", ["object/apply:os.mkdir", "object/new:os.mkdir", "name:os.mkdir"])
def test_tags_of_yaml_that_make_objects_are_refused_everywhere(tmp_path, tag):
    trap, file = tmp_path / "sprung", tmp_path / "a.yaml"
    text = f"!!python/{tag} [{trap}]"
    file.write_text(f"seed: {text}\nmodel: {{name: UNet, options: {text}}}\n")
    for call in (
        lambda: load_config(file),
        lambda: load_config(None, [f"seed={text}"]),
        lambda: parse_value(text),
    ):
        with pytest.raises((ConfigError, ValueError), match="the tag !!python"):
            call()
    assert not trap.exists()
