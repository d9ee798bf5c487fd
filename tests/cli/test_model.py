"""The command that shows a network."""

import pytest
from click.testing import CliRunner

from voxflow.cli.app import app

TEXT = """
model: {name: UNet, options: {in_channels: 3, out_channels: 2, fmaps: 2, downsample: [[2, 2]]}}
loss: {name: CrossEntropyLoss}
data: {pairs: [{raw: [a.zarr, raw], labels: [a.zarr, labels]}], input_shape: [21, 30]}
stop: {steps: 100}
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    (tmp_path / "run.yaml").write_text(TEXT)
    return lambda *more: CliRunner().invoke(app, ["model", str(tmp_path / "run.yaml"), *more])


def test_a_network_is_shown_without_its_data(run):
    done = run()
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert any(line.endswith("(2, 3, 3, 3)") for line in lines)
    shown = dict(line.split("  ", 1) for line in lines if "  " in line)
    assert shown["stride"].strip() == "1, 1"
    assert shown["smallest"].strip() == "3x18x18 in, 2x2x2 out (channels first)"
    assert shown["a patch"].strip() == "20x30 in, 4x14 out"
    assert sum(line.startswith("UNet: ") for line in lines) == 1


def test_without_a_shape_of_patches_the_axes_have_to_be_said(run):
    own = ["data.pairs=[]", "data.input_shape=null", "data.pipeline=os:getcwd"]
    done = run(*own)
    assert done.exit_code == 1
    assert "give --dims" in str(done.exception)
    assert "smallest      3x18x18 in" in run(*own, "--dims", "2").output
