"""The page about cells is true: its three commands lead from a folder of images to scores."""

import json
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.cells.drawn import folder
from tests.test_docs import FENCE
from voxflow.cli.app import app

PAGE = Path(__file__).parents[2] / "docs" / "cells.md"


# A network that a test has the time for.
SMALLER = {"160": "96", "16": "8"}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_three_commands_find_drawn_cells(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder(tmp_path / "data" / "train", 6, ((96, 80),), number=9)
    folder(tmp_path / "data" / "val", 2, ((96, 80), (64, 101)), number=7, first=20)
    blocks = [m["code"] for m in FENCE.finditer(PAGE.read_text()) if m["tag"].strip() == "sh"]
    assert len(blocks) == 3
    for block in blocks:
        name, *words = (SMALLER.get(w, w) for w in shlex.split(block.replace("\\\n", " ")))
        assert name == "voxflow"
        more = ["--json", "scores.json"] if words[0] == "evaluate" else []
        done = CliRunner().invoke(app, [*words, *more])
        assert done.exit_code == 0, done.output
    scores = json.loads((tmp_path / "scores.json").read_text())["scores"]
    assert scores["average_precision@0.5"] > 0.7
