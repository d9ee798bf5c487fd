"""A gunpowder script runs with only its import line changed."""

import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from tests.integration.data import write_sample

SCRIPT = Path(__file__).parent / "scripts" / "tutorial.py"
ITERATIONS = 10


def run(folder, script, *args):
    """Run a script as a user does: by itself, from its own folder."""
    return subprocess.run(
        [sys.executable, "-W", "error", script.name, *map(str, args)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=110,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """The folder in which the script ran."""
    folder = tmp_path_factory.mktemp("tutorial")
    for seed, name in enumerate("AB"):
        write_sample(folder / f"sample_{name}.hdf", seed=seed)
    text = SCRIPT.read_text()
    assert text.count("import gunpowder as gp") == 1
    assert "__main__" not in text
    script = folder / "script.py"
    script.write_text(text.replace("import gunpowder as gp", "import voxflow as gp"))
    segments = set(os.listdir("/dev/shm"))
    done = run(folder, script, ".", ITERATIONS)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-6000:]
    assert f"trained to {ITERATIONS}" in done.stdout
    assert set(os.listdir("/dev/shm")) <= segments
    (folder / "stderr.txt").write_text(done.stderr)
    return folder


def test_it_leaves_what_it_is_to_leave(work):
    assert {p.name for p in work.glob("model_checkpoint_*")} == {
        "model_checkpoint_5",
        "model_checkpoint_10",
    }
    assert {p.name for p in (work / "snapshots").iterdir()} == {"batch_1.hdf", "batch_6.hdf"}
    assert list((work / "log").iterdir())
    told = (work / "stderr.txt").read_text()
    for name in ("AddSpeckle", "ElasticAugment", "Train", "Predict", "iteration=10 loss="):
        assert name in told
    assert "Scan, chunks processed" in told


def test_snapshots_hold_all_that_was_asked_for(work):
    with h5py.File(work / "snapshots" / "batch_6.hdf") as file:
        assert np.isfinite(file.attrs["loss"])
        assert file.attrs["iteration"] == 6
        volumes = file["volumes"]
        assert volumes["raw"].shape == (1, 1, 5, 20, 20)
        assert volumes["pred_affs"].shape == volumes["pred_affs_gradient"].shape
        assert volumes["labels/affs"].shape == (1, 3, 3, 16, 16)
        assert set(np.unique(volumes["labels/affs"])) <= {0, 1}
        assert np.abs(volumes["pred_affs_gradient"][:]).max() > 0
        for name in ("pred_affs", "pred_affs_gradient", "labels/affs"):
            assert tuple(volumes[name].attrs["resolution"]) == (40, 4, 4)
            np.testing.assert_array_equal(
                volumes[name].attrs["offset"], volumes["raw"].attrs["offset"] + (40, 8, 8)
            )


def test_the_scan_is_the_prediction_of_the_whole(work):
    weights = torch.load(work / f"model_checkpoint_{ITERATIONS}", weights_only=True)
    first, second = torch.nn.Conv3d(1, 4, (1, 3, 3)), torch.nn.Conv3d(4, 3, 3)
    net = torch.nn.ModuleDict({"first": first, "second": second})
    net.load_state_dict(weights["model_state_dict"])
    with h5py.File(work / "sample_B.hdf") as file:
        raw = file["volumes/raw"][:].astype(np.float32) / 255
    with torch.no_grad():
        whole = torch.sigmoid(second(torch.relu(first(torch.from_numpy(raw)[None, None]))))[0]
    with h5py.File(work / "predicted.hdf") as file:
        dataset = file["volumes/pred_affs"]
        assert tuple(dataset.attrs["offset"]) == (40, 8, 8)
        assert tuple(dataset.attrs["resolution"]) == (40, 4, 4)
        assert dataset.dtype == np.float32
        np.testing.assert_allclose(dataset[:], whole.numpy(), atol=1e-5, rtol=0)
