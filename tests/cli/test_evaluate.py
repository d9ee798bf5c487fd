"""The command that compares: tables, JSON and pictures; what is wrong is said in a line."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from voxflow.cli.app import app
from voxflow.evaluation import contingency, scores_of
from voxflow.stores import Geometry, create_dataset

pytest.importorskip("rich")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A truth, a segmentation that is shifted and merged, scores, and affinities."""
    folder = tmp_path_factory.mktemp("evaluate")
    truth = np.repeat(np.repeat([[1, 2, 3], [4, 5, 2**63]], 6, 0), 6, 1).astype("u8")
    found = np.where(truth == 5, 4, truth)[2:]
    scores = np.where(np.arange(18) % 6 == 5, 0.2, 0.9) * np.ones((12, 1), "f4")
    pairs = np.stack([np.roll(truth, 1, axis) == truth for axis in (0, 1)]).astype("u1") * 255
    for name, data, offset in [("truth", truth, (0, 0)), ("found", found, (8, 0)),
                               ("scores", scores, (0, 0)), ("pairs", pairs, (0, 0)),
                               ("other", truth, (1, 0)), ("signed", found.astype("i8"), (8, 0)),
                               ("mask", (truth > 1).astype("u1"), (0, 0))]:  # fmt: skip
        dataset = create_dataset(folder / "a.hdf", name, data.shape, data.dtype,
                                 geometry=Geometry((4, 9.8), offset))  # fmt: skip
        dataset.write((), data)
        if name == "pairs":
            dataset.attrs["affinity_neighborhood"] = [[-1, 0], [0, -1]]
    return folder, truth, found


def run(files, *arguments):
    named = [str(files[0] / "a.hdf") + a if a.startswith(":") else a for a in arguments]
    return CliRunner().invoke(app, ["evaluate", "--quiet", *named])


def test_a_table_json_and_a_picture(files, tmp_path):
    pytest.importorskip("matplotlib")
    _, truth, found = files
    done = run(files, ":truth", ":found", "--json", str(tmp_path / "a.json"),
               "--png", str(tmp_path / "a.png"))  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "only the region [8:48, 0:176.4] (40, 176.4) is compared" in done.output
    assert "16.67% is left out" in done.output
    assert "worst merges" in done.output
    plain = json.loads((tmp_path / "a.json").read_text())
    assert plain["scores"] == pytest.approx(scores_of(contingency(truth[2:], found)))
    assert [entry["id"] for entry in plain["merges"]] == [4]
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_options(files):
    done = run(files, ":truth", ":found", "--json", "-", "--mask", ":mask", "--ignore", "3",
               "--region", "24:48,0:117.6", "--background", "object", "--worst", "0")  # fmt: skip
    plain = json.loads(done.output)
    assert plain["scores"]["voxels"] == 6 * 12
    assert plain["scores"]["voi_merge"] == 1
    assert plain["merges"] == []


def test_scores(files, tmp_path):
    pytest.importorskip("matplotlib")
    done = run(files, ":truth", ":scores", "--scores", "--threshold", "0.5",
               "--png", str(tmp_path / "a.png"))  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "accuracy            0.8333" in done.output
    assert (tmp_path / "a.png").exists()
    done = run(files, ":truth", ":pairs", "--scores", "--json", "-", "--channel", "1")
    assert json.loads(done.output)["scores"]["roc_area"] == 1


def test_a_sweep(files, tmp_path):
    pytest.importorskip("matplotlib")
    for found, json_file in ((":scores", tmp_path / "a.json"), (":pairs", tmp_path / "b.json")):
        done = run(files, ":truth", found, "--sweep", "threshold=0.1:0.5:0.2",
                   "--json", str(json_file), "--png", str(tmp_path / "a.png"))  # fmt: skip
        assert done.exit_code == 0, done.output
        rows = json.loads(json_file.read_text())["sweep"]
        assert [row["threshold"] for row in rows] == [0.1, 0.3, 0.5]
    assert rows[0]["voi"] == 0
    assert (tmp_path / "a.png").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((":truth", ":scores"), "is float64, but ids are integers"),
        ((":truth", ":signed"), "has the id -9223372036854775808 at voxel"),
        ((":truth", ":other"), "(1, 0) world units beside the voxels"),
        ((":truth", ":fuond"), "no dataset 'fuond' in"),
        ((":truth", "nowhere.zarr"), "nowhere.zarr"),
        ((":truth", ":found", "--region", "900:990,0:98"), "no region of the world is common"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(files, arguments, message):
    done = run(files, *arguments)
    assert done.exit_code == 1
    assert done.output.startswith("Error: ")
    assert message in done.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--scores", "--sweep", "threshold=0:1:0.1"], "exclude each other"),
        (["--sweep", "threshold=0:1"], "is not like threshold=0.1:0.9:0.1"),
        (["--sweep", "bias=0:1:0.1"], "only the threshold can be swept"),
        (["--region", "1-2"], "is not like 0:400"),
        (["--background", "none"], "ignore"),
    ],
)
def test_options_that_are_none(files, arguments, message):
    done = run(files, ":truth", ":found", *arguments)
    assert done.exit_code == 2
    assert message in done.output
