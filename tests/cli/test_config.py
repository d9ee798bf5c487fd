"""The commands that look at configurations."""

import importlib
import json
import sys
from types import ModuleType

import pytest
from click.testing import CliRunner

from voxflow.cli.app import app
from voxflow.training.config import load_config
from voxflow.training.config.schema import Config

GOOD = """
model: {name: UNet}
loss: {name: CrossEntropyLoss}
data:
  pairs: [{raw: [a.zarr, raw], labels: [a.zarr, labels]}]
  input_shape: [64, 64]
stop: {steps: 100}
"""


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    path = tmp_path / "run.yaml"
    path.write_text(GOOD)
    return path


def run(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_show_tells_each_value_and_its_origin(file):
    done = run("config", "show", file, "optimizer.lr=0.5")
    assert done.exit_code == 0
    assert "optimizer.lr = 0.5  # command line\n" in done.output
    assert f"stop.steps = 100  # {file}:7\n" in done.output
    assert "seed = 0\n" in done.output


def test_show_as_yaml_reproduces_the_run(file, tmp_path):
    done = run("config", "show", "--yaml", file, "seed=4")
    (tmp_path / "again.yaml").write_text(done.output)
    assert load_config(tmp_path / "again.yaml").config == load_config(file, ["seed=4"]).config


def test_check_says_what_is_wrong_and_fails(file):
    assert run("config", "check", file).exit_code == 0
    done = run("config", "check", file, "optimizr.lr=1", "stop.steps=x")
    assert done.exit_code == 2
    lines = done.stderr.splitlines()
    assert len(lines) == 2
    assert "command line: optimizr: is no option; did you mean optimizer?" in lines
    assert "Traceback" not in done.output


def test_lenient_only_warns(file):
    done = run("config", "check", "--lenient", file, "optimizr.lr=1")
    assert done.exit_code == 0
    assert done.stderr == (
        "warning: command line: optimizr: is no option; did you mean optimizer?\n"
    )


def test_explain(file):
    done = run("config", "explain", "optimizer.lr")
    assert done.output.startswith("optimizer.lr: The learning rate.\n  type     number > 0\n")
    done = run("config", "explain", "optimizer.lr", file, "optimizer.lr=3")
    assert "optimizer.lr = 3.0  (command line)" in done.output
    done = run("config", "explain", "optimizer.lrr")
    assert done.exit_code == 2
    assert "did you mean lr?" in done.stderr


def test_schema_knows_every_option():
    done = run("config", "schema")
    schema = json.loads(done.output)
    assert schema["properties"].keys() == Config.model_fields.keys()
    assert schema["$defs"]["OptimizerSection"]["properties"]["lr"]["exclusiveMinimum"] == 0


def test_convert(tmp_path):
    (tmp_path / "old.py").write_text("n_steps = 5\nMFP = [1]\n")
    done = run("config", "convert", tmp_path / "old.py")
    assert done.output == (
        "# MFP: no network needs it to predict all voxels; leave it out\nstop:\n  steps: 5\n"
    )


def test_train_says_mistakes_before_torch_is_loaded(file, monkeypatch):
    def refuse(name, *arguments, **options):
        raise AssertionError(f"{name} was loaded")

    monkeypatch.setattr(importlib, "import_module", refuse)
    done = run("train", file, "sed=1")
    assert done.exit_code == 2
    assert done.stderr == "command line: sed: is no option; did you mean seed?\n"


@pytest.mark.parametrize("package", ["click", "pydantic", "yaml"])
def test_a_package_that_is_missing_is_named_with_its_extra(monkeypatch, package):
    import voxflow.cli

    for parent in (voxflow, voxflow.cli):  # whose attributes an import sets anew
        for name, value in list(vars(parent).items()):
            if isinstance(value, ModuleType):
                monkeypatch.setattr(parent, name, value)
    for name in [n for n in sys.modules if n.startswith(("voxflow.cli.", "voxflow.training"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(SystemExit, match=rf'needs {package}: pip install "voxflow\[train\]"'):
        voxflow.cli.main()


def test_interruption_has_its_own_exit_code(file, monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    module = sys.modules["voxflow.cli.config"]
    monkeypatch.setattr(module, "load_config", interrupted)
    assert run("config", "check", file).exit_code == 130
