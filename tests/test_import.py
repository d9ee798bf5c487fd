"""The face of the package: quick to import, light, and exactly these names."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import voxflow

HEAVY = (
    "torch",
    "h5py",
    "zarr",
    "matplotlib",
    "numba",
    "skimage",
    "scipy",
    "tensorboard",
    "jax",
    "daisy",
)
SECONDS = 0.3

PROBE = """
import json, sys, time
start = time.process_time()
import voxflow
seconds = time.process_time() - start
print(json.dumps([seconds, sorted({name.partition(".")[0] for name in sys.modules})]))
"""

FACE = Path(__file__).with_name("face.txt").read_text().split()


def fresh_import():
    """Import voxflow in a new interpreter: its CPU seconds, and top-level modules loaded."""
    # Without the tracer that measures coverage in subprocesses.
    plain = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    answer = subprocess.run(
        [sys.executable, "-c", PROBE],
        capture_output=True,
        text=True,
        check=True,
        timeout=110,
        env=plain,
    )
    seconds, modules = json.loads(answer.stdout)
    return seconds, set(modules)


def test_import_is_light():
    _, modules = fresh_import()
    assert "voxflow" in modules
    assert modules.isdisjoint(HEAVY)


def test_import_is_quick():
    # One of several, as a busy machine can only make it slower.
    assert any(fresh_import()[0] < SECONDS for _ in range(5))


def test_face_is_pinned():
    assert sorted(voxflow.__all__) == sorted(FACE)
    assert sorted(dir(voxflow)) == sorted(FACE)


@pytest.mark.parametrize("name", FACE)
def test_name_resolves(name):
    thing = getattr(voxflow, name)
    assert getattr(thing, "__name__", name).rpartition(".")[2] == name


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="NoSuchThing"):
        voxflow.NoSuchThing  # noqa: B018
