"""The commands for cells: options become a training, files of it a prediction."""

import shlex

import pytest
from click.testing import CliRunner

from tests.cells.drawn import folder
from voxflow.cells import read_cell_options
from voxflow.cli.app import app

TRAIN = {
    "architecture": "unet",
    "epochs": "1",
    "batch": "2",
    "augments": "0",
    "trim-method": "padding",
    "train-data": "train",
    "val-data": "train",
    "model": "models/cells.pt",
}
SMALL = ["--fmaps", "2", "--im-dim", "32", "--device", "cpu"]


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder(tmp_path / "train", 2)
    return tmp_path


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def flags(given):
    return [word for name, value in given.items() for word in (f"--{name}", value)]


def tree(path):
    return sorted(str(file.relative_to(path)) for file in path.rglob("*"))


def test_train_and_predict(data):
    """Nothing is written without an output, and no score is told with one."""
    done = run("train", "cells", *flags(TRAIN), *SMALL)
    assert done.exit_code == 0, done.output
    assert "weights: " in done.stdout
    options = read_cell_options("models/cells.yaml")
    assert (options.lr, options.im_dim, options.dropout) == (0.001, 32, 0.5)

    before = tree(data)
    predict = ["predict", "cells", "--config", "models/cells.yaml", "--test-data", "train/images"]
    done = run(*predict, "--device", "cpu")
    assert done.exit_code == 0, done.output
    assert "nothing is written without --output" in done.stdout
    assert tree(data) == before

    done = run(*predict, "--device", "cpu", "--output", "out", "--channels", "1")
    assert done.exit_code == 0, done.output
    assert len(list((data / "out").glob("*/*.png"))) == 6
    assert not {"iou", "precision", "score", "loss"} & set(done.output.lower().split())

    done = run("evaluate", "train", "out", "--images", "--json", "scores.json")
    assert done.exit_code == 0, done.output
    assert "average_precision@0.5" in done.stdout
    assert (data / "scores.json").is_file()

    for more, said in (
        (["--architecture", "dcan"], "--architecture dcan is not that of models/cells.yaml, unet"),
        (["--channels", "3"], "--channels 3 is not that of"),
        (["--plot"], "writes figures into --output, which is not given"),
        (["--output", "out"], "nothing is written over"),
        (["--weights", "magic"], "is not one of"),
    ):
        done = run(*predict, *more)
        assert done.exit_code in (1, 2)
        assert said in done.stderr

    for words, said in (
        ([*flags(TRAIN), *SMALL], "would write over"),
        (["--args-load-path", "models/cells.yaml"], "is where the options of"),
    ):
        done = run("train", "cells", *words)
        assert done.exit_code == 2
        assert said in done.stderr
        assert "go on with --resume" in done.stderr


@pytest.mark.parametrize("missing", TRAIN)
def test_what_is_missing_is_a_mistake_of_usage(data, missing):
    done = run("train", "cells", *flags({k: v for k, v in TRAIN.items() if k != missing}))
    assert done.exit_code == 2
    assert f"{missing.replace('-', '_')}: is missing" in done.stderr


def test_the_words_of_clb_and_its_files(data, monkeypatch):
    """Underscores do; what is on the command line wins over the file."""
    seen = []

    def train_cells(options, resume):
        seen.append(options)
        raise ValueError("enough")

    monkeypatch.setattr("voxflow.cells.train_cells", train_cells, raising=False)
    old = "".join(f"{name.replace('-', '_')}: {value}\n" for name, value in TRAIN.items())
    (data / "args.yaml").write_text(old + "lr: 0.1\nim_dim: 64\n")
    done = run("train", "cells", "--args_load_path", "args.yaml", "--lr", "0.01", "--batch", 3)
    assert done.exit_code == 1
    assert "enough" in done.stderr
    (options,) = seen
    assert (options.lr, options.im_dim, options.batch) == (0.01, 64, 3)


def test_bad_folders_are_told_in_a_line(data):
    (data / "train" / "labels" / "cell_1.png").unlink()
    done = run("train", "cells", *flags(TRAIN), *SMALL)
    assert done.exit_code == 1
    assert "cell_1.png of images has no partner in labels" in done.stderr
    assert "Traceback" not in done.output
    assert not (data / "models").exists()


def test_a_file_of_that_name_is_trained_all_the_same(data):
    (data / "cells").write_text("{}")
    done = run("train", "./cells")
    assert done.exit_code == 2
    assert "model: is missing: The network" in done.stderr
    assert "voxflow train cells" in run("train", "--help").stdout


@pytest.mark.parametrize("line", ["--images --scores", "--images --sweep threshold=0:1:0.5",
                                  "--images --region 0:4,0:4"])  # fmt: skip
def test_folders_of_images_are_compared_as_labels_only(data, line):
    done = run("evaluate", "train", "train", *shlex.split(line))
    assert done.exit_code == 2
    assert "--images" in done.stderr
