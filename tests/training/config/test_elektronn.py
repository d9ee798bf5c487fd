"""Configurations of ELEKTRONN, ELEKTRONN2 and clb are read, and no key of theirs is lost."""

import pytest

from voxflow.training.config import Config, ConfigError, load_config, read_elektronn
from voxflow.training.config.elektronn import OLD_KEYS, what_became_of
from voxflow.training.config.options import find_option

ELEKTRONN = """
save_path = "/runs/"
save_name = "neuro"
data_path, label_path = "/data/", "/labels/"
d_files = [(f"raw_{i}.h5", "raw") for i in range(3)]
l_files = [(f"lab_{i}.h5", "lab") for i in range(3)]
valid_cubes = [2]
batch_size = 1
desired_input = [127, 126, 7]
background_processes = True
grey_augment_channels = [0]
warp_on = 0.5
flip_data = True
example_ignore_threshold = 0.75
n_steps = 1000
max_runtime = 24 * 3600
history_freq = [2000]
optimizer = "RPORP"
SGD_params = dict(LR=0.01, momentum=0.9)
weight_decay = False
LR_decay = 0.993
LR_schedule = [(80000, 1e-5), (50000, 1e-4)]
class_weights = None
device = False
target = "nll"
MFP = [1, 0]
strange = 1
"""


@pytest.fixture
def read(tmp_path):
    def written(text, name="old.py"):
        (tmp_path / name).write_text(text)
        return read_elektronn(tmp_path / name)

    return written


def test_a_configuration_of_elektronn(read):
    values, notes = read(ELEKTRONN)
    assert values["name"] == "neuro"
    assert values["run"] == {"folder": "/runs/"}
    assert [pair["raw"] for pair in values["data"]["pairs"]] == [
        ["/data/raw_0.h5", "raw"],
        ["/data/raw_1.h5", "raw"],
    ]
    assert values["validation"]["pairs"][0]["labels"] == ["/labels/lab_2.h5", "lab"]
    assert values["data"]["input_shape"] == [7, 126, 127]
    assert values["data"]["workers"] == 2
    assert values["data"]["min_labelled"] == 0.25
    assert values["data"]["augment"] == {"GreyAugment": {"channels": [0]}, "Warp": {"chance": 0.5}}
    assert values["stop"] == {"steps": 1000, "hours": 24.0}
    assert values["log"] == {"every": {"steps": 2000}}
    assert values["optimizer"] == {
        "name": "RPORP",
        "lr": 0.01,
        "options": {"momentum": 0.9},
        "weight_decay": 0.0,
    }
    # Sorted: ELEKTRONN took its own example in the order given, and lost the second entry.
    assert values["schedules"]["optimizer.lr"] == {
        "decay": 0.993,
        "updates": [[50000, 1e-4], [80000, 1e-5]],
    }
    assert values["device"] == "auto"
    assert values["loss"] == {"name": "nll"}
    said = {note.partition(":")[0] for note in notes}
    assert {"MFP", "flip_data", "strange"} <= said
    assert said.isdisjoint({"d_files", "l_files", "data_path", "label_path", "valid_cubes"})


def test_what_was_taken_over_is_a_configuration(read, tmp_path):
    from voxflow.training.config.text import write_yaml

    values, _ = read(ELEKTRONN)
    values["model"] = {"name": "UNet"}
    (tmp_path / "new.yaml").write_text(write_yaml(values))
    config = load_config(tmp_path / "new.yaml", environment={"XDG_CONFIG_HOME": "/nowhere"}).config
    assert config.optimizer.name == "Rprop"
    assert config.schedules["optimizer.lr"].updates == [(50000, 1e-4), (80000, 1e-5)]


def test_a_configuration_of_elektronn2(read):
    values, notes = read(
        "def create_model(): pass\n"
        "optimiser = 'SGD'\n"
        "optimiser_params = dict(lr=0.1, mom=0.9, wd=0.5e-4)\n"
        "schedules = {'lr': {'dec': 0.995}, 'mom': {'updates': [(500, 0.8), (100, 0.7)]},"
        " 'wd': {'lindec': [4000, 0.001]}}\n"
        "data_init_kwargs = {}\n"
    )
    assert values["optimizer"] == {
        "name": "SGD",
        "lr": 0.1,
        "options": {"momentum": 0.9},
        "weight_decay": 0.5e-4,
    }
    assert values["schedules"] == {
        "optimizer.lr": {"decay": 0.995},
        "optimizer.momentum": {"updates": [[100, 0.7], [500, 0.8]]},
        "optimizer.weight_decay": {"linear": [0.0, 4000]},
    }
    assert [note.partition(":")[0] for note in notes] == ["data_init_kwargs"]


def test_arguments_of_clb(read):
    values, notes = read(
        "architecture: unet\nepochs: 10\nbatch: 6\naugments: 10\nlr: 0.001\nim_dim: 256\n"
        "channels: 1\nseed: 48\ntb_dir: tensorboard/\nmodel: out.h5\n",
        "args.yaml",
    )
    assert values == {
        "model": {"name": "UNet", "options": {"in_channels": 1}},
        "data": {"batch_size": 6, "input_shape": [256, 256]},
        "optimizer": {"lr": 0.001},
        "seed": 48,
    }
    assert {note.partition(":")[0] for note in notes} == {
        "architecture",
        "epochs",
        "augments",
        "tb_dir",
        "model",
    }
    assert "voxflow train cells --args-load-path FILE" in notes[0]


@pytest.mark.parametrize("name", OLD_KEYS)
def test_every_old_key_leads_somewhere(name):
    old = OLD_KEYS[name]
    assert old.key or old.advice
    if old.key is not None and not old.key.startswith("schedules."):
        find_option(Config, old.key)  # raises if there is none
    if name not in Config.model_fields and name != "lr":
        assert what_became_of(name)


def test_values_that_are_none_are_told(read):
    with pytest.raises(ConfigError, match="n_steps: 'many'"):
        read("n_steps = 'many'")
    with pytest.raises(ConfigError, match="names 2 images, and l_files 1 labels"):
        read("d_files = [('a', 'b'), ('c', 'd')]\nl_files = [('a', 'b')]")
    with pytest.raises(ConfigError, match="'resnet' is not there"):
        read("architecture: resnet", "args.yaml")


def test_an_old_key_in_a_new_file_is_explained(tmp_path):
    (tmp_path / "a.yaml").write_text("LR_decay: 0.9\nMFP: [1]\n")
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path / "a.yaml", environment={"XDG_CONFIG_HOME": "/nowhere"})
    lines = str(caught.value).splitlines()
    assert lines[-2].endswith("ELEKTRONN; its place is schedules.optimizer.lr.decay") or any(
        line.endswith("ELEKTRONN; its place is schedules.optimizer.lr.decay") for line in lines
    )
    assert any("no network needs it" in line for line in lines)
