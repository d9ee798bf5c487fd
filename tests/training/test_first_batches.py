"""The batches that a training begins with."""

import numpy as np
import pytest

from tests.training.sessions import Losses
from voxflow.training import first_batches, make_session
from voxflow.training.config import load_config


@pytest.fixture
def config(toy):
    more = ["data.batch_size=1", "model.options.fmaps=2", "stop.steps=3"]
    return load_config(toy, more).config


def test_they_are_those_of_the_training_bit_for_bit(config):
    seen = Losses()
    made = list(first_batches(config, 3))
    make_session(config, hooks=[seen]).run()
    for batch, step in zip(made, seen.steps, strict=True):
        assert str(batch.token) == str(step.batch.token)
        assert set(batch.keys()) == set(step.batch.keys())
        for key, array in batch.items():
            assert np.array_equal(array.data, step.batch[key].data)
    assert not np.array_equal(*(b[next(iter(b.keys()))].data for b in made[:2]))
