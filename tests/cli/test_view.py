"""The command that shows files in neuroglancer."""

import re
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from voxflow.cli import view as command
from voxflow.cli.app import app
from voxflow.stores import create_dataset


@pytest.fixture
def file(tmp_path):
    data = np.arange(64, dtype=np.uint8).reshape(4, 4, 4)
    create_dataset(tmp_path / "a.zarr", "raw", data.shape, data.dtype).write((), data)
    return tmp_path / "a.zarr"


def run(*arguments):
    return CliRunner().invoke(app, ["view", *map(str, arguments)])


def interrupted():
    raise KeyboardInterrupt


def test_the_link_is_printed_and_ctrl_c_ends_it(file, tmp_path, monkeypatch):
    pytest.importorskip("neuroglancer")
    monkeypatch.setattr(command, "_wait", interrupted)
    (tmp_path / "points.csv").write_text("z,y,x\n1,2,3\n")
    done = run(file, "--graph", tmp_path / "points.csv")
    assert done.exit_code == 0
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/v/[0-9a-f]{40}/\n", done.stdout)


def test_what_is_wrong_is_said_in_a_line(file, tmp_path):
    pytest.importorskip("neuroglancer")
    done = run(tmp_path / "none.zarr")
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: there is no file or folder")
    assert run(file, "--graph", tmp_path / "none.csv").stderr.startswith("Error: ")
    assert run(file, "--graph", file).stderr.startswith(f"Error: {file} has no graph")


def test_a_package_that_is_missing_is_named_with_its_extra(file, monkeypatch):
    for name in ("layers", "scene", "serve"):
        monkeypatch.delitem(sys.modules, f"voxflow.inspect.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "neuroglancer", None)
    said = run(file).stderr
    assert said == 'Error: the viewer needs neuroglancer: pip install "voxflow[view]"\n'
