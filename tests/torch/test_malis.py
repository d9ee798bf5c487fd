"""The loss that weights affinities by the pairs that hang on them."""

import numpy as np
import pytest
import torch

from voxflow.ops.affinities import affinities as make_affinities
from voxflow.ops.maximin import malis_weights
from voxflow.torch import malis_loss

NEIGHBORHOOD = [[-1, 0], [0, -1]]


def example(seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, (2, 5, 6))
    grown = np.pad(labels, ((0, 0), (1, 0), (1, 0)))
    target = np.stack([make_affinities(one, NEIGHBORHOOD, np.float32) for one in grown])
    return rng.random(target.shape), target, labels


def test_the_loss_is_the_weighted_squared_error():
    predicted, target, labels = example()
    ignored = np.where(labels == 1, 9, labels)
    wanted = 0
    for sample in range(2):
        positive, negative = malis_weights(
            predicted[sample], target[sample], NEIGHBORHOOD, labels[sample], ignored[sample]
        )
        wanted += 0.3 * (positive / positive.sum() * (1 - predicted[sample]) ** 2).sum() / 2
        wanted += 0.7 * (negative / negative.sum() * predicted[sample] ** 2).sum() / 2
    tensors = torch.tensor(predicted), torch.tensor(target)
    both = torch.tensor(np.stack([ignored, labels], 1))
    found = malis_loss(*tensors, both, NEIGHBORHOOD, positive_share=0.3)
    assert float(found) == pytest.approx(wanted)
    plain = malis_loss(*tensors, torch.tensor(labels), NEIGHBORHOOD)
    twice = malis_loss(*tensors, torch.tensor(np.stack([labels, labels], 1)), NEIGHBORHOOD)
    assert float(plain) == float(twice)


def test_descent_connects_objects_and_separates_them():
    _, target, labels = example(1)
    wanted, ids = torch.tensor(target), torch.tensor(labels)
    logits = torch.zeros(target.shape, requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=0.3)
    losses = []
    for _ in range(25):
        optimizer.zero_grad()
        loss = malis_loss(logits.sigmoid(), wanted, ids, NEIGHBORHOOD)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.2 * losses[0]


def test_nothing_labelled_is_no_loss():
    zeros = torch.zeros(1, 2, 3, 3, requires_grad=True)
    loss = malis_loss(zeros, torch.zeros(1, 2, 3, 3), torch.zeros(1, 3, 3, dtype=int), NEIGHBORHOOD)
    loss.backward()
    assert float(loss.detach()) == 0
    assert (zeros.grad == 0).all()


def test_bad_arguments_are_refused():
    ones = torch.ones(1, 2, 3, 3)
    with pytest.raises(ValueError, match="labels have shape"):
        malis_loss(ones, ones, torch.ones(3, 3, dtype=int), NEIGHBORHOOD)
    with pytest.raises(ValueError, match="positive_share"):
        malis_loss(ones, ones, torch.ones(1, 3, 3, dtype=int), NEIGHBORHOOD, positive_share=2)
