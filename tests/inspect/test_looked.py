"""Where a training has looked, as rows and pictures."""

import io
import json
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from rich.console import Console

from voxflow.cli.app import app
from voxflow.inspect import describe, write_page
from voxflow.inspect.table import print_reports
from voxflow.stores import create_dataset
from voxflow.training.covered import Branch, Covered, SourceMap


@pytest.fixture
def run(tmp_path):
    of = SourceMap.of("ZarrSource", "RAW", (0.0, 0.0), (40.0, 80.0), name="[red]Z[a]", cells=32)
    of.add(np.array([[0.0, 0.0]]), np.array([[40.0, 20.0]]))
    points = SourceMap.of("CsvPointsSource", "POINTS", (), (), cells=32)
    counts = np.zeros(257, np.int64)
    counts[[0, 2]] = 1, 3
    branches = [Branch("RandomProvider", 0, ["ZarrSource"], 0.25)]
    Covered([of, points], branches, {"LABELS": counts}, 5).write(tmp_path / "coverage.npz")
    create_dataset(tmp_path / "snapshots" / "a.zarr", "raw", (4, 4), np.uint8)
    return tmp_path


def told(path):
    console = Console(width=160, file=io.StringIO())
    print_reports(describe(path), console)
    return console.file.getvalue()


def test_it_is_a_table_before_those_of_the_snapshots(run):
    text = told(run)
    assert "where 5 steps have looked" in text
    row = next(line for line in text.splitlines() if "ZarrSource" in line)
    assert "0.25 on average, 1 at most" in row
    assert "75.0%" in row
    assert "0:40, 20:80" in row
    assert "inputs of RandomProvider  0: 100.0% (wanted 25.0%)" in text
    assert "classes of LABELS  0: 25.00%, 2: 75.00%" in text
    assert text.index("coverage.npz") < text.index("a.zarr")
    assert told(run / "snapshots") == text
    assert "a.zarr" not in told(run / "coverage.npz")
    assert "drawn in" not in text


def test_a_run_without_snapshots_has_it_alone(run):
    other = run / "other"
    other.mkdir()
    (run / "coverage.npz").rename(other / "coverage.npz")
    (report,) = describe(other)
    assert report.error is None
    assert report.coverage["steps"] == 5


def test_one_that_is_damaged_is_a_row(run):
    (run / "coverage.npz").write_bytes(b"PK")
    assert "is damaged" in told(run)
    page = write_page(run, run / "page.html").read_text()
    assert "is damaged" in page


def test_numbers_for_scripts(run):
    done = CliRunner().invoke(app, ["inspect", "--json", str(run)])
    looked, snapshot = json.loads(done.output)
    assert snapshot["coverage"] is None
    source, points = looked["coverage"]["sources"]
    assert source["never_boxes"] == [[[0, 20], [40, 80]]]
    assert points["never"] is None
    assert looked["coverage"]["classes"] == {"LABELS": {"0": 0.25, "2": 0.75}}


def test_pictures(run):
    image = pytest.importorskip("PIL.Image")
    pytest.importorskip("matplotlib")
    done = CliRunner().invoke(app, ["inspect", str(run), "--png", str(run / "sheet.png")])
    assert done.output.split() == [str(run / "sheet.png"), str(run / "sheet-coverage.png")]
    pixels = np.asarray(image.open(run / "sheet-coverage.png").convert("RGB")).reshape(-1, 3)
    red = (pixels == (0xD4, 0x3D, 0x51)).all(axis=1).sum()
    yellow = (pixels == (253, 231, 36)).all(axis=1).sum()  # the most that there is
    assert 2.5 * yellow < red < 3.5 * yellow  # three quarters were never read
    page = write_page(run, run / "page.html").read_text()
    assert page.count("data:image/png;base64,") == 1


def test_without_matplotlib_the_page_says_what_to_install(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    page = write_page([run], run / "page.html").read_text()
    assert "data:image/png" not in page
    assert "voxflow[plots]" in page
