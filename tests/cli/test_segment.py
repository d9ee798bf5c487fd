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


def test_a_file_says_what_to_segment_and_options_change_it(file, tmp_path):
    data, source, store = file
    config = tmp_path / "how.yaml"
    config.write_text(
        f"affinities: {source}\nsegments: {store}:s\nmethod: components\nthreshold: 0.6\n"
        f"block: 8\nneighborhood: {NEIGHBORHOOD}\nmin-size: 2\n"
    )
    done = run(config, "--threshold", 0.7)
    assert done.exit_code == 0, done.output
    whole = segment(data, Components(threshold=0.7), neighborhood=NEIGHBORHOOD, min_size=2)
    assert (open_dataset(store, "s").read() == whole).all()
    for text, mistake in (
        ("treshold: 0.5", "treshold, which is no option"),
        ("affinities: a.hdf:a", "SEGMENTS"),
        ("- 1", "lines like"),
        ("a: [", "cannot be read"),
    ):
        config.write_text(text)
        done = run(config)
        assert done.exit_code == 2
        assert mistake in done.output
