"""The example of an agent that follows tubes: its parts, and that it learns."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
import torch

import voxflow as vf

SCRIPT = Path(__file__).parents[2] / "examples" / "tracing" / "follow.py"


@pytest.fixture(scope="module")
def example():
    spec = spec_from_file_location("follow", SCRIPT)
    module = module_from_spec(spec)
    sys.modules["follow"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["follow"]


def test_the_loss_has_three_zones(example):
    off = torch.tensor([[0.0, 1.0], [3.0, 0.0], [0.0, 14.0]])
    found = [float(example.zoned_loss(o[None], torch.zeros(1, 2), radius=3.0)) for o in off]
    assert found == pytest.approx([0.0, 2.0, 2.0 + 1.1])


def test_an_agent_is_followed_until_it_is_lost_or_turns_back(example):
    path = np.stack([np.full(100, 80.0), 20.0 + np.arange(100)], axis=1)
    tube = example.Tube(np.zeros((160, 160), np.float32), path)

    def straight(patches, headings):
        assert patches.shape == (1, 17, 17)
        return headings

    def aslant(patches, headings):
        return torch.tensor([[1.0, 1.0]])

    assert example.traced(straight, [tube])[0] > 90
    assert 1 <= example.traced(aslant, [tube])[0] <= 6  # to the border of the tube
    assert example.traced(lambda patches, headings: -headings, [tube])[0] == 0


def test_what_is_to_be_learned_lies_ahead(example):
    tubes = example.make_tubes(2, seed=1)
    request = vf.BatchRequest(random_seed=3)
    request.add(example.RAW, (17, 17))
    for key in (example.HEADING, example.AHEAD):
        request[key] = vf.ArraySpec(nonspatial=True)
    pipeline = example.make_pipeline(tubes, batch_size=24)
    with vf.build(pipeline):
        batch = pipeline.request_batch(request)
    heading, ahead = (batch[key].data for key in (example.HEADING, example.AHEAD))
    assert heading.shape == ahead.shape == (24, 2)
    assert np.linalg.norm(heading, axis=1) == pytest.approx(1, abs=1e-5)
    assert (np.linalg.norm(ahead, axis=1) < example.STEP + example.JITTER).all()
    assert np.mean((heading * ahead).sum(axis=1) > 0) > 0.8
    middle = batch[example.RAW].data[:, 6:11, 6:11].mean()
    assert middle > batch[example.RAW].data[:, :3].mean() + 0.3  # it is in the tube


@pytest.mark.slow
def test_the_agent_learns_to_follow(example):
    session = example.make_session(300, every=300)
    session.run()
    lengths = next(h for h in session.hooks if isinstance(h, example.Traces)).lengths
    assert lengths[300] > 3 * lengths[0]
    assert lengths[300] > 40
