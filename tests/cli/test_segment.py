"""The command that segments."""

import numpy as np
import pytest
from click.testing import CliRunner

from voxflow.cli.app import app
from voxflow.segmentation import Components, MutexWatershed, Watershed, segment
from voxflow.stores import Geometry, create_dataset, open_dataset

NEIGHBORHOOD = [[-1, 0], [0, -1], [0, -2]]


@pytest.fixture
def file(tmp_path):
    data = np.random.default_rng(0).random((3, 12, 14)).astype(np.float32)
    store = tmp_path / "a.hdf"
    place = {"geometry": Geometry((4, 4), (0, 0))}
    create_dataset(store, "x/affinities", data.shape, "float32", **place).write((), data)
    return data, f"{store}:x/affinities", tmp_path / "b.zarr"


def run(*arguments):
    return CliRunner().invoke(app, ["segment", *map(str, arguments)])


@pytest.mark.parametrize(
    ("options", "method"),
    [
        (["--bias", 0.6, "--stride", 2], MutexWatershed(bias=0.6, stride=2)),
        (["--method", "components", "--threshold", 0.7], Components(threshold=0.7)),
        (
            ["--method", "watershed", "--tile", 4, "--in-sections", "--foreground", 0.1],
            Watershed(tile=4, in_sections=True, foreground=0.1),
        ),
    ],
)
def test_files_are_segmented(file, options, method):
    data, source, store = file
    offsets = " ".join(",".join(map(str, offset)) for offset in NEIGHBORHOOD)
    if method == Watershed(tile=4, in_sections=True, foreground=0.1):
        pytest.importorskip("skimage")
    done = run(source, f"{store}:s", *options, "--neighborhood", offsets, "--block", 8)
    assert done.exit_code == 0, done.output
    whole = segment(data, method, neighborhood=NEIGHBORHOOD)
    assert (open_dataset(store, "s").read() == whole).all()
    assert f"{whole.max()} segments" in done.stdout


def test_mistakes_are_told_in_a_line(file):
    _, source, store = file
    for options, text in (
        ([], "affinity_neighborhood"),
        (["--threshold", "0.5"], "--threshold is not for --method mutex"),
        (["--neighborhood", "a,b"], "offsets in voxels"),
        (["--neighborhood", "-1,0 0,-1 0,-2", "--block", "8", "--block", "8", "--block", "8"],
         "block is 2 sizes"),
    ):  # fmt: skip
        done = run(source, f"{store}:s", *options)
        assert done.exit_code != 0
        assert text in done.output
        assert "Traceback" not in done.output
    assert run("nowhere.zarr:a", f"{store}:s").exit_code == 1
