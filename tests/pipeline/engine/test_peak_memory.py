"""The memory that is told before the run is what the system sees during it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pipeline.engine.peak_memory import PIPELINES, volumes

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux tells it"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("volumes")
    volumes(folder)
    return folder


@pytest.mark.parametrize("name", PIPELINES)
def test_what_is_told_is_what_is_taken(folder, name):
    if name == "predict":
        pytest.importorskip("torch")
    # A process of its own: what others left behind would be taken again, instead of more.
    done = subprocess.run(
        [sys.executable, "-m", "tests.pipeline.engine.peak_memory", name, str(folder)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    found = json.loads(done.stdout.splitlines()[-1])
    told = found["held"] + found["kept"]
    assert found["taken"] > 100e6  # else it says little
    assert told == pytest.approx(found["taken"], rel=0.2), found
