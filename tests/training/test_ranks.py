"""Two processes under torchrun are as one with twice the batches, and one goes on from two."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from voxflow.training import read_events

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def trained(folder, processes, stop_after, accumulate, *spoiled):
    """Train; what was printed."""
    run = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
    run = [*run, str(processes)] if processes > 1 else [sys.executable]
    arguments = ["-m", "tests.training.ranked", folder, stop_after, accumulate, *spoiled]
    environment = {k: v for k, v in os.environ.items() if k not in ("RANK", "WORLD_SIZE")}
    done = subprocess.run(
        [*run, *map(str, arguments)],
        cwd=ROOT,
        env={**environment, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def final(folder):
    return torch.load(folder / "checkpoints" / "final.pt", weights_only=True)


def close(left, right):
    for name, value in left["model_state_dict"].items():
        torch.testing.assert_close(value, right["model_state_dict"][name], atol=1e-6, rtol=0)
    assert left["position"] == right["position"]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """Six steps of one process, each of two batches."""
    folder = tmp_path_factory.mktemp("alone")
    trained(folder, 1, 6, 2)
    return folder


def test_two_processes_are_as_one_with_twice_the_batches(alone, tmp_path):
    printed = trained(tmp_path, 2, 6, 1)
    # Only the first process runs hooks.
    assert re.findall(r"hooks of rank (\d)", printed) == ["0"]
    close(final(tmp_path), final(alone))
    found, expected = (
        read_events(folder, ["loss", "gradient_norm"]) for folder in (tmp_path, alone)
    )
    assert [event.step for event in found] == [event.step for event in expected]
    for one, other in zip(found, expected, strict=True):
        assert one.value == pytest.approx(other.value, abs=1e-6)
    rates = [final(folder)["optimizer_state_dict"]["param_groups"][0]["lr"] for folder in
             (tmp_path, alone)]  # fmt: skip
    assert rates == [0.05, 0.05]


def test_one_process_goes_on_from_two_and_two_from_one(alone, tmp_path):
    trained(tmp_path / "a", 2, 4, 1)
    trained(tmp_path / "a", 1, 6, 2)
    close(final(tmp_path / "a"), final(alone))
    trained(tmp_path / "b", 1, 2, 2)
    trained(tmp_path / "b", 2, 6, 1)
    close(final(tmp_path / "b"), final(alone))


@pytest.mark.parametrize("spoiled", [4, 5])
def test_a_batch_that_breaks_the_loss_of_one_process_is_left_out_by_all(tmp_path, spoiled):
    trained(tmp_path / "a", 2, 6, 1, spoiled)
    trained(tmp_path / "b", 1, 6, 2, spoiled)
    close(final(tmp_path / "a"), final(tmp_path / "b"))
    (said,) = [event.value["step"] for event in read_events(tmp_path / "a", ["nonfinite"])]
    assert said == 3
    assert sorted(p.name for p in (tmp_path / "a" / "nonfinite").iterdir()) == [
        "step-3-rank-0.npz",
        "step-3-rank-1.npz",
    ]
