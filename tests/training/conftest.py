"""The example that is trained from a configuration."""

import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "toy"


@pytest.fixture(scope="session")
def toy(tmp_path_factory):
    """The example, beside its data."""
    folder = tmp_path_factory.mktemp("toy")
    sys.path.insert(0, str(EXAMPLE))
    try:
        import make_data
    finally:
        sys.path.remove(str(EXAMPLE))
    make_data.make(folder / "data")
    (folder / "toy.yaml").write_text((EXAMPLE / "toy.yaml").read_text())
    return folder / "toy.yaml"
