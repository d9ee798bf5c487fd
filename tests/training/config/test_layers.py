"""Later layers win, all mistakes are told at once, and nothing heavy is loaded for it."""

import json
import os
import subprocess
import sys
import time

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from voxflow.training.config import ConfigError, load_config
from voxflow.training.config.layers import user_file
from voxflow.training.config.text import parse_value, write_yaml

GOOD = """
model: {name: UNet, options: {in_channels: 1, out_channels: 2}}
loss: {name: CrossEntropyLoss}
data:
  pairs:
    - {raw: [a.zarr, raw], labels: [a.zarr, labels]}
  input_shape: [64, 64]
stop: {steps: 100}
"""

FIVE = """\
model: {name: UNit}
loss: {name: CrossEntropyLoss}
optimizr: {name: Adam}
data:
  pairs:
    - {raw: [a.zarr, raw], labels: [a.zarr, labels]}
  input_shape: [64, 64]
  btach_size: 2
lr: 0.1
stop: {steps: many}
"""


@pytest.fixture
def write(tmp_path):
    def written(text, name="run.yaml"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return written


def load(file, *assignments, **options):
    """Without the file of the user who runs the tests."""
    environment = {"XDG_CONFIG_HOME": "/nowhere", **options.pop("environment", {})}
    return load_config(file, assignments, environment=environment, **options)


def mistakes(file, *assignments, **options):
    with pytest.raises(ConfigError) as caught:
        load(file, *assignments, **options)
    return str(caught.value).splitlines()


# -- layers ---------------------------------------------------------------------------------------


def test_each_layer_wins_over_those_before(write):
    file = write(GOOD)
    user = write("optimizer: {lr: 0.2}", "user.yaml")
    own = write(GOOD + "optimizer: {lr: 0.3}", "own.yaml")
    found = [
        load(file),
        load(file, user=user),
        load(own, user=user),
        load(own, "optimizer.lr=0.4", user=user),
    ]
    assert [settings.config.optimizer.lr for settings in found] == [1e-3, 0.2, 0.3, 0.4]
    assert [settings.origin("optimizer.lr") for settings in found] == [
        "default",
        f"{user}:1",
        f"{own}:9",
        "command line",
    ]


def test_more_files_are_on_top_of_the_first_and_below_the_command_line(write):
    run = write(GOOD)
    one = write("optimizer: {lr: 0.5, weight_decay: 0.1}", "one.yaml")
    other = write("optimizer: {lr: 0.25}\nstop: {steps: 7}", "other.yaml")
    found = load(run, "stop.steps=8", more=[one, other])
    assert (found.config.optimizer.lr, found.config.optimizer.weight_decay) == (0.25, 0.1)
    assert found.config.stop.steps == 8
    assert found.origin("optimizer.lr") == f"{other}:1"
    assert found.config.name == "run"


def test_mappings_are_merged_and_lists_replaced(write):
    user = write("data: {input_shape: [8, 8, 8]}\nmodel: {options: {fmaps: 3}}", "user.yaml")
    config = load(write(GOOD), user=user).config
    assert config.data.input_shape == [64, 64]
    assert config.model.options == {"in_channels": 1, "out_channels": 2, "fmaps": 3}


def test_a_value_that_replaces_a_section_has_its_own_origin(write):
    file = write(GOOD + "validation: {pairs: [{raw: [b, r], labels: [b, l]}], batches: 3}")
    settings = load(file, "validation=null")
    assert settings.config.validation is None
    assert settings.origin("validation") == "command line"
    assert settings.origin("validation.batches") == "default"


def test_the_users_file_is_found(write, tmp_path):
    user = write("seed: 7", "home/voxflow/config.yaml")
    environment = {"XDG_CONFIG_HOME": str(tmp_path / "home")}
    assert user_file(environment) == user
    assert load_config(write(GOOD), environment=environment).config.seed == 7


def test_a_users_file_that_is_named_has_to_be_there(write, tmp_path):
    assert "cannot be read" in mistakes(write(GOOD), user=tmp_path / "none.yaml")[0]


def test_targets_of_schedules_keep_their_dots(write):
    config = load(write(GOOD), "schedules.optimizer.lr.decay=0.9", "seed=3").config
    assert config.schedules["optimizer.lr"].decay == 0.9
    assert config.seed == 3


def test_the_run_has_the_name_of_its_file(write):
    assert load(write(GOOD)).config.name == "run"
    assert load(write(GOOD), "name=other").config.name == "other"


def test_paths_begin_at_the_folder_of_their_file(write, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    file = write(GOOD)
    config = load(file, "run.folder=out", "model.start_from=~/a.pt").config
    assert config.data.pairs[0].raw == (str(tmp_path / "a.zarr"), "raw")
    assert config.run.folder == str(tmp_path / "elsewhere" / "out")
    assert config.model.start_from == os.path.expanduser("~/a.pt")
    address = "data.pairs=[{raw: [s3://b/a.zarr, raw], labels: [a.zarr, labels]}]"
    assert load(file, address).config.data.pairs[0].raw[0] == "s3://b/a.zarr"


# -- mistakes -------------------------------------------------------------------------------------


def test_five_mistakes_are_five_lines_before_anything_is_loaded(write, capsys):
    file = write(FIVE)
    program = (
        "import sys, json\n"
        "from voxflow.training.config import ConfigError, load_config\n"
        "try:\n"
        f"    load_config({str(file)!r}, environment={{}}, user=None)\n"
        "except ConfigError as error:\n"
        "    lines = str(error).splitlines()\n"
        "print(json.dumps([lines, sorted({m.partition('.')[0] for m in sys.modules})]))\n"
    )
    plain = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    plain["XDG_CONFIG_HOME"] = "/nowhere"
    start = time.perf_counter()
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=plain
    )
    with capsys.disabled():
        print(f"\nfive mistakes told in {time.perf_counter() - start:.2f} s, with the interpreter")
    lines, modules = json.loads(answer.stdout)
    assert lines == [
        f"{file}:1: model.name: 'UNit' is not a network of voxflow.models, nor module:name; "
        "did you mean UNet?",
        f"{file}:3: optimizr: is no option; did you mean optimizer?",
        f"{file}:8: data.btach_size: is no option; did you mean batch_size?",
        f"{file}:9: lr: is no option; did you mean optimizer.lr?",
        f"{file}:10: stop.steps: should be a valid integer, unable to parse string as an integer, "
        "got 'many'",
    ]
    assert set(modules).isdisjoint({"torch", "h5py", "zarr", "numba", "tensorstore", "scipy"})


def test_mistakes_of_all_layers_are_told_together_in_their_order(write):
    user = write("devise: cpu", "user.yaml")
    lines = mistakes(write(GOOD + "sed: 1"), "x", "optimizer.lr=-1", user=user)
    assert lines == [
        f"{user}:1: devise: is no option; did you mean device?",
        f"{user.parent / 'run.yaml'}:9: sed: is no option; did you mean seed?",
        "command line: 'x' should be key=value, such as optimizer.lr=0.01",
        "command line: optimizer.lr: should be greater than 0, got -1",
    ]


def test_what_has_to_be_given_is_said_with_its_meaning(write):
    lines = mistakes(write("loss: {options: {}}"))
    assert any(line.endswith("loss.name: is missing: " + LOSS) for line in lines)
    assert {line.partition(": is missing")[0].rpartition(": ")[2] for line in lines} == {
        "model",
        "loss.name",
        "data",
        "stop",
    }


LOSS = "A loss of torch.nn or voxflow.torch, module:name or file.py:name."


def test_lenient_warns_of_unknown_keys_only(write):
    file = write(GOOD + "sed: 1\noptimizer: {lrr: 2}")
    with pytest.warns(UserWarning, match="is no option") as caught:
        settings = load(file, lenient=True)
    assert [str(w.message) for w in caught] == [
        f"{file}:9: sed: is no option; did you mean seed?",
        f"{file}:10: optimizer.lrr: is no option; did you mean lr?",
    ]
    assert settings.config.optimizer.lr == 1e-3
    assert "should be" in mistakes(write(GOOD + "seed: x", "b.yaml"), lenient=True)[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("stop: {}", "a run needs an end"),
        ("data: {pipeline: 'a:b'}", "give one of pairs, folders and pipeline"),
        ("data: {target: affinities}", "need each other"),
        ("data: {target: affinities, neighborhood: [[1, 0, 0]]}", "2 numbers for each shift"),
        ("data: {balance: true}", "balance is for"),
        ("schedules: {optimizer.lr: {decay: 0.5, linear: [0, 9]}}", "one of decay, linear"),
        ("schedules: {optimizer.lr: {updates: [[1, 2], [1, 3]]}}", "two values to one step"),
        ("schedules: {optimizer.lr: {every: 5}}", "one of decay"),
        ("checkpoints: {best: {validation.loss: min}}", "a validation section"),
        ("checkpoints: {every: {}}", "steps or hours"),
        ("model: {name: 'nowhere/a.py:make'}", "there is no file"),
        ("model: {name: 'a-b:c'}", "module:name"),
        ("data: {augment: {ElasticAgument: {}}}", "did you mean ElasticAugment?"),
        ("optimizer: {name: Admm}", "did you mean Adam"),
        ("name: a/b", "the name of a folder"),
        ("name: ..", "the name of a folder"),
        ("device: gpu", "cuda:N"),
        ("seed: .inf", "finite"),
    ],
)
def test_options_that_do_not_fit_are_told(write, text, said):
    file = write(GOOD)
    extra = write(text, "user.yaml")
    merged = yaml.safe_load(GOOD)
    for key, value in yaml.safe_load(extra.read_text()).items():
        if key == "stop":
            merged[key] = value
        else:
            merged[key] = {**merged.get(key, {}), **value} if isinstance(value, dict) else value
    file = write(write_yaml(merged))
    lines = mistakes(file)
    assert len(lines) == 1
    assert said in lines[0]
    assert lines[0].startswith(str(file))


def test_names_are_taken_however_they_are_written(write):
    config = load(write(GOOD), "optimizer.name=rporp", "loss.name=nll").config
    assert (config.optimizer.name, config.loss.name) == ("Rprop", "CrossEntropyLoss")


# -- safety ---------------------------------------------------------------------------------------


def test_tags_of_python_do_nothing(write, tmp_path):
    trap = tmp_path / "trap"
    tag = f"!!python/object/apply:os.mkdir [{trap}]"
    assert "the tag !!python/object/apply:os.mkdir is not taken" in "\n".join(
        mistakes(write(GOOD + f"seed: {tag}"), f"name={tag}")
    )
    assert not trap.exists()


def test_aliases_of_aliases_end(write):
    lines = ["a0: &a0 [1, 1]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    assert "holds more than" in mistakes(write("\n".join(lines)))[0]
    assert "holds itself" in mistakes(write("a: &a [*a]"))[0]


def test_a_key_that_is_said_twice_is_a_mistake(write):
    line = mistakes(write("seed: 1\nstop: {steps: 1}\nseed: 2"))[0]
    assert ":3: seed: is said twice, here and in line 1" in line


def test_what_is_no_yaml_is_told_with_its_line(write):
    assert ":2: " in mistakes(write("a: 1\n b: 2"))[0]
    assert "should be a mapping" in mistakes(write("[1]"))[0]


# -- the environment ------------------------------------------------------------------------------


def test_variables_of_the_environment(write):
    file = write(GOOD + "run: {folder: '${OUT:-/data}/runs'}\noptimizer: {lr: '${LR:-0.5}'}")
    config = load(file).config
    assert (config.run.folder, config.optimizer.lr) == ("/data/runs", 0.5)
    config = load(file, environment={"OUT": "/scratch", "LR": "0.25"}).config
    assert (config.run.folder, config.optimizer.lr) == ("/scratch/runs", 0.25)


def test_variables_that_are_missing_are_told_all_at_once(write):
    lines = mistakes(write(GOOD + "run: {folder: '${A}'}\nname: '${B'"))
    assert len(lines) == 2
    assert "the variable A of the environment is not set" in lines[0]
    assert "neither ${VAR} nor" in lines[1]


# -- files of Python ------------------------------------------------------------------------------

PYTHON = """
import math
from pathlib import Path
_hidden = 3
WIDTH = [2 ** i for i in range(3)]
def make():
    return WIDTH
class Helper: pass
model = dict(name=make)
loss = dict(name="nll")
data = dict(pairs=[dict(raw=(Path("a.zarr"), "raw"), labels=("a.zarr", "l"))], input_shape=(8, 8))
stop = dict(steps=10)
"""


def test_a_python_file_gives_its_public_values(write):
    file = write(PYTHON.replace("WIDTH", "_WIDTH"), "run.py")
    config = load(file).config
    assert config.model.name == f"{file}:make"
    assert config.data.input_shape == [8, 8]
    assert config.data.pairs[0].raw == (str(file.parent / "a.zarr"), "raw")


def test_a_stray_value_of_a_python_file_is_told(write):
    file = write(PYTHON, "run.py")
    assert mistakes(file) == [f"{file}: WIDTH: is no option"]


def test_a_python_file_that_fails_is_told_with_its_line(write):
    file = write("x = 1\n1 / 0\n", "run.py")
    assert f"{file}:2: fails with ZeroDivisionError" in mistakes(file)[0]
    file = write("x = (\n", "bad.py")
    assert "fails with SyntaxError" in mistakes(file)[0]


def test_what_cannot_be_written_down_is_a_mistake(write):
    file = write(PYTHON.replace("WIDTH", "_W") + "model['options'] = dict(a=object())", "run.py")
    assert "holds what cannot be written down" in mistakes(file)[0]


# -- text -----------------------------------------------------------------------------------------

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs", "Cc"]))
    | st.sampled_from(["1e-3", "1E5", "-2e3", "yes", "null", "~", "0o7", "1_000", "12:30", "=", ""])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("abc.*/ ", max_size=3) | st.integers(0, 9), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(VALUES)
def test_values_are_written_as_they_are_read(value):
    assert parse_value(write_yaml(value)) == value
    assert parse_value(write_yaml([value], flow=True)) == [value]
