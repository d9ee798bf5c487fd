"""The face of the package: quick to import, light, and exactly these names."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import voxflow
from voxflow.stores import create_dataset, open_dataset

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
{work}
seconds = time.process_time() - start
print(json.dumps([seconds, sorted({{name.partition(".")[0] for name in sys.modules}})]))
"""

SCAN = """
import voxflow as gp
raw = gp.ArrayKey("RAW")
reference = gp.BatchRequest()
reference[raw] = gp.ArraySpec(gp.Roi((0, 0), (8, 8)))
pipeline = gp.ZarrSource("in.zarr", {raw: "raw"}) + gp.Pad(raw, (2, 2))
pipeline += gp.ZarrWrite({raw: "raw"}, ".", "out.zarr") + gp.Scan(reference)
with gp.build(pipeline):
    pipeline.request_batch(gp.BatchRequest())
"""

FACE = Path(__file__).with_name("face.txt").read_text().split()


def fresh(work, folder="."):
    """Run something in a new interpreter: its CPU seconds, and top-level modules loaded."""
    # Without the tracer that measures coverage in subprocesses.
    plain = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    answer = subprocess.run(
        [sys.executable, "-c", PROBE.format(work=work)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        timeout=110,
        env=plain,
    )
    seconds, modules = json.loads(answer.stdout.splitlines()[-1])
    return seconds, set(modules)


def test_import_is_light():
    _, modules = fresh("import voxflow")
    assert "voxflow" in modules
    assert modules.isdisjoint(HEAVY)


def test_import_is_quick():
    # One of several, as a busy machine can only make it slower.
    assert any(fresh("import voxflow")[0] < SECONDS for _ in range(5))


def test_a_scan_loads_what_it_uses(tmp_path):
    dataset = create_dataset(tmp_path / "in.zarr", "raw", (20, 20), np.uint8, chunks=(8, 8))
    dataset.write((), np.ones((20, 20), np.uint8))
    dataset.attrs["resolution"] = (1, 1)
    _, modules = fresh(SCAN, tmp_path)
    assert modules >= {"voxflow", "zarr"}
    assert modules.isdisjoint({*HEAVY, "llvmlite"} - {"zarr"})
    assert open_dataset(tmp_path / "out.zarr", "raw").read().sum() == 20 * 20


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
