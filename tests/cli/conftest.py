"""The example, for commands."""

import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "toy"


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A folder with the example and its data."""
    monkeypatch.setenv("XDG_CONFIG_HOME", "/nowhere")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(EXAMPLE))
    import make_data

    make_data.make(tmp_path / "data")
    (tmp_path / "toy.yaml").write_text((EXAMPLE / "toy.yaml").read_text())
    yield tmp_path
    sys.modules.pop("make_data")
