"""The same scripts, run by gunpowder 1.4.4 and by `python -m voxflow.as_gunpowder`.

What rolls no dice has to be equal bit for bit, what does is compared as distributions. Where the
two differ, it is said here why.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from benchmarks.harness.environments import python_of

pytestmark = pytest.mark.slow

SCRIPTS = Path(__file__).parent / "scripts"

#: Chances below which two samples are taken to come from different distributions. The draws of both
#: sides are seeded, so what passes once passes again.
RARE = 1e-4

#: What gunpowder 1.4.4 cannot do at all, and why; here it has to work.
ONLY_HERE = {
    "boundaries_between_voxels": "gunpowder makes float64 and has promised float32",
}

#: Where results differ, and why.
DIFFERENT = {
    "crop_by_fractions/provides A": "gunpowder cuts the fractions of the end off the begin",
    "scan/order": "blocks lie on a grid that begins with the data, not with the request",
    "rasterize_edges/A": "where a line passes right between voxels, ours takes the upper one, "
    "wherever the block begins",
    "rasterize_peaks/A": "gunpowder does not see peaks that are more than two radii away",
    "vector_map/B": "gunpowder draws balls only up to their upper side",
}

#: Where results differ in the last digit, as sums are taken in another order.
NEARLY = {"resample_image_down/B": 2e-7, "resample_image_up/B": 2e-7}

_STRETCHED = "gunpowder's field is stretched: it moves things even without anything to move them"

#: Where distributions differ, and why.
DISTRIBUTED_OTHERWISE = {
    "elastic_augment_scale/place": "gunpowder scales about a voxel, not about the centre",
    "elastic_augment_sections/step": "gunpowder puts a section that slips where it was before all "
    "shifts, which may be further than max_misalign from its neighbours",
    "deform_augment_points/place": _STRETCHED,
    "deform_augment_scale/place": _STRETCHED,
    "deform_augment_rotation/place": _STRETCHED,
}


def run(name, folder, environment="gunpowder"):
    """What a script leaves when each of the two runs it, each from a process of its own."""
    made = []
    here = [sys.executable, "-m", "voxflow.as_gunpowder"]
    for side, command in (("gunpowder", [python_of(environment)]), ("voxflow", here)):
        file = folder / f"{name}_{side}.npz"
        done = subprocess.run(
            [*command, str(SCRIPTS / f"{name}.py"), str(file)],
            capture_output=True,
            text=True,
            timeout=400,
            cwd=folder,
            env={**os.environ, "PYTHONWARNINGS": "ignore", "OMP_NUM_THREADS": "1"},
        )
        assert done.returncode == 0, done.stderr[-4000:]
        with np.load(file) as found:
            made.append({key: found[key] for key in found.files})
    return made


@pytest.fixture(scope="module")
def same(tmp_path_factory):
    return run("every_node", tmp_path_factory.mktemp("same"))


@pytest.fixture(scope="module")
def random(tmp_path_factory):
    return run("every_random_node", tmp_path_factory.mktemp("random"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return run("every_torch_node", tmp_path_factory.mktemp("trained"), "gunpowder-torch")


def failed(found):
    return {key.partition("/")[0]: str(value) for key, value in found.items() if "/error" in key}


@pytest.mark.timeout(900)
def test_what_rolls_no_dice_is_the_same(same):
    theirs, ours = same
    assert failed(ours) == {}
    assert set(failed(theirs)) == set(ONLY_HERE)
    keys = {key for key in {*theirs, *ours} if key.partition("/")[0] not in ONLY_HERE}
    assert keys <= set(theirs)
    assert keys <= set(ours)
    unequal = {
        key
        for key in keys
        if ours[key].dtype != theirs[key].dtype
        or ours[key].shape != theirs[key].shape
        or (np.abs(np.subtract(ours[key], theirs[key], dtype=float)) > NEARLY.get(key, 0)).any()
    }
    assert unequal == set(DIFFERENT)


@pytest.mark.timeout(900)
def test_what_rolls_dice_is_distributed_alike(random):
    theirs, ours = random
    assert failed(ours) == {}
    assert failed(theirs) == {}
    assert set(ours) == set(theirs)
    unlike = {}
    for key in ours:
        chances = [
            chance(np.float64(a), np.float64(b))
            for a, b in zip(columns(theirs[key]), columns(ours[key]), strict=True)
        ]
        if min(chances) < RARE:
            unlike[key] = min(chances)
    assert set(unlike) == set(DISTRIBUTED_OTHERWISE), unlike


@pytest.mark.timeout(900)
def test_training_and_prediction_are_the_same(trained):
    theirs, ours = trained
    assert set(ours) == set(theirs)
    for key in ours:
        np.testing.assert_array_equal(ours[key], theirs[key], err_msg=key)


def columns(values):
    return values.reshape(len(values), -1).T


def chance(a, b):
    """How likely two samples are that different, if they come from one distribution."""
    values = np.unique(np.concatenate([a, b]))
    if len(values) == 1:
        return 1.0
    if len(values) > 40:
        return float(stats.ks_2samp(a, b).pvalue)
    counts = np.array([[(sample == value).sum() for value in values] for sample in (a, b)])
    often = counts.sum(axis=0) >= 10  # the rare ones together, as the test wants
    grouped = np.column_stack([counts[:, often], counts[:, ~often].sum(axis=1)])
    grouped = grouped[:, grouped.sum(axis=0) > 0]
    return float(stats.chi2_contingency(grouped).pvalue) if grouped.shape[1] > 1 else 1.0


def test_the_comparison_sees_a_difference():
    rng = np.random.default_rng(0)
    a = rng.normal(size=800)
    assert chance(a, rng.normal(size=800)) > RARE
    assert chance(a, rng.normal(0.3, size=800)) < RARE
    assert chance(a, rng.normal(scale=1.6, size=800)) < RARE
    a, b = rng.integers(0, 6, (2, 800))
    assert chance(a, b) > RARE
    assert chance(a, np.minimum(b, 4)) < RARE
