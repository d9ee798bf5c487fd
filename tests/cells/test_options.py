"""Options come from a file and from the command line, which wins, and are written down."""

import pytest

from voxflow.cells import CellOptions, read_cell_options
from voxflow.training.config import ConfigError

REQUIRED = {
    "architecture": "unet",
    "epochs": 3,
    "batch": 6,
    "augments": 10,
    "trim_method": "resize",
    "train_data": "data/train",
    "val_data": "data/val",
    "model": "models/cells.pt",
}

# As in clb's documentation: what a training wrote beside its model.
DOCUMENTED = """
architecture: dcan
args_load_path: null
augments: 10
batch: 6
bnd_weight: 0.5
channels: 1
csv_log: log.csv
dcan_final_act: tanh
dropout: 0.0
epochs: 100
im_dim: 256
lr: 0.001
model: models/dcan.hdf5
obj_weight: 0.5
seed: 48
tb_dir: tensorboard/
train_data: data/a/+data/b/
trim_method: reflect
val_data: data/c/
"""


@pytest.mark.parametrize("name", REQUIRED)
def test_what_has_to_be_given(name):
    given = {key: value for key, value in REQUIRED.items() if key != name}
    with pytest.raises(ConfigError, match=f"{name}: is missing: ") as error:
        read_cell_options(given=given)
    assert len(error.value.mistakes) == 1


def test_defaults_are_those_of_clb():
    options = read_cell_options(given=REQUIRED)
    assert (options.channels, options.lr, options.im_dim, options.dropout) == (1, 0.001, 256, 0.5)
    assert (options.bnd_weight, options.obj_weight, options.seed) == (0.5, 0.5, 48)
    assert (options.dcan_final_act, options.blobs) == ("tanh", "ignore")


def test_explicit_options_win_over_a_file(tmp_path):
    file = tmp_path / "args.yaml"
    file.write_text(read_cell_options(given={**REQUIRED, "lr": 0.1, "batch": 3}).dump())
    assert read_cell_options(file).lr == 0.1
    options = read_cell_options(file, {"lr": 0.01})
    assert (options.lr, options.batch) == (0.01, 3)


def test_what_is_dumped_reads_back_as_the_same(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = {**REQUIRED, "dropout": 0.25, "elastic": True, "tb_dir": "a ${b} c", "workers": 2}
    options = read_cell_options(given=given)
    options.yaml.parent.mkdir()
    options.yaml.write_text(options.dump())
    assert read_cell_options("models/cells.yaml") == options
    assert "lr: 0.001" in options.dump()


def test_a_folder_that_is_moved_holds_what_it_says(tmp_path):
    """What is in it moves, too; what is elsewhere stays there."""
    (tmp_path / "models").mkdir()
    inside = {"model": "models/cells.pt", "csv_log": "models/cells/epochs.csv"}
    given = {**inside, "tb_dir": "curves"}
    given = {name: str(tmp_path / path) for name, path in given.items()}
    options = read_cell_options(given={**REQUIRED, **given})
    options.yaml.write_text(options.dump())
    assert "csv_log: cells/epochs.csv\n" in options.dump()
    (tmp_path / "models").rename(tmp_path / "moved")
    moved = read_cell_options(tmp_path / "moved" / "cells.yaml")
    assert {moved.model, moved.csv_log} == {
        str(tmp_path / "moved" / name) for name in ("cells.pt", "cells/epochs.csv")
    }
    assert (moved.tb_dir, moved.val_data) == (str(tmp_path / "curves"), options.val_data)


def test_the_file_of_clb_loads(tmp_path):
    (tmp_path / "args.yaml").write_text(DOCUMENTED)
    options = read_cell_options(tmp_path / "args.yaml")
    assert options.architecture == "dcan"
    assert options.folders("train_data") == [str(tmp_path / f"data/{name}") for name in "ab"]
    assert options.model == str(tmp_path / "models/dcan.hdf5")
    assert options.csv_log == str(tmp_path / "log.csv")
    assert (options.dropout, options.trim_method) == (0.0, "reflect")


def test_variables_of_the_environment(tmp_path, monkeypatch):
    """The same file runs with another root of data, and of what is written."""
    text = DOCUMENTED.replace("data/c/", "${DATA_ROOT}/c").replace("models/", "${RUNS:-models}/")
    (tmp_path / "args.yaml").write_text(text)
    monkeypatch.setenv("DATA_ROOT", "/cloud")
    options = read_cell_options(tmp_path / "args.yaml")
    assert options.val_data == "/cloud/c"
    assert options.model == str(tmp_path / "models/dcan.hdf5")
    monkeypatch.setenv("RUNS", "/runs")
    assert read_cell_options(tmp_path / "args.yaml").model == "/runs/dcan.hdf5"


def test_a_folder_with_a_plus_in_its_name_is_one(tmp_path):
    (tmp_path / "a+b").mkdir()
    options = read_cell_options(given={**REQUIRED, "train_data": str(tmp_path / "a+b")})
    assert options.folders("train_data") == [str(tmp_path / "a+b")]


def test_files_beside_the_model_have_its_name():
    """Models whose names differ have files that differ."""
    made = [
        read_cell_options(given={**REQUIRED, "model": f"/m/unet-lr{lr}.pt"}) for lr in (0.01, 0.001)
    ]
    assert [str(one.yaml) for one in made] == ["/m/unet-lr0.01.yaml", "/m/unet-lr0.001.yaml"]
    assert [str(one.run_dir) for one in made] == ["/m/unet-lr0.01", "/m/unet-lr0.001"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"architecture": "resnet"}, "architecture: .*'unet' or 'dcan', got 'resnet'"),
        ({"im_dim": 100}, "a unet takes .* multiple of 8; got 100, take 104"),
        ({"architecture": "dcan", "im_dim": 72}, "a dcan takes .* of 32; got 72, take 96"),
        ({"dropout": 1.0}, "dropout: .*less than 1"),
        ({"obj_weight": 0, "bnd_weight": 0}, "nothing would be learned"),
        *[
            ({"model": f"m/{name}"}, f"model: the name of .* such as .pt, not .yaml, got .*{name}'")
            for name in ("cells", "unet-lr0.001", "cells.", "cells.yaml", "a.b/cells")
        ],
        ({"batchsize": 3}, "batchsize: is no option; did you mean batch?"),
    ],
)
def test_mistakes_are_told(given, said):
    with pytest.raises(ConfigError, match=said):
        read_cell_options(given={**REQUIRED, **given})


def test_mistakes_of_a_file_have_lines(tmp_path):
    (tmp_path / "args.yaml").write_text("lr: 0.1\nepochs: many\n")
    with pytest.raises(ConfigError, match=r"args.yaml:2: epochs: .*got 'many'"):
        read_cell_options(tmp_path / "args.yaml")


def test_all_options_say_what_they_mean():
    assert all(field.description for field in CellOptions.model_fields.values())
