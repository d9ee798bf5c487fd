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
        arrays, trained = dict(batch.items()), dict(step.batch.items())
        assert arrays.keys() == trained.keys()
        assert all(np.array_equal(arrays[key].data, trained[key].data) for key in arrays)
    raws = [next(a.data for key, a in batch.items() if str(key) == "RAW") for batch in made[:2]]
    assert not np.array_equal(*raws)
