"""Metrics by name: golden numbers, batches pooled, what does not fit is said."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from voxflow.training.metrics import NAMES, metric

LABELS = torch.tensor([1, 1, 1, 0, 0, 0, 0, -1, -1])
PREDICTED = torch.tensor([1, 1, 0, 1, 0, 0, 0, 1, 0])
LOGITS = PREDICTED * 2.0 - 1


def found(name, *batches):
    one = metric(name)
    for batch in batches:
        one.add(*batch)
    return one.result()


GOLDEN = {
    "recall": 2 / 3,
    "false_positive_rate": 1 / 4,
    "precision": 2 / 3,
    "f1": 2 / 3,
    "balanced_accuracy": 0.7083,
    "accuracy": 0.7143,
    "error": 1 - 0.7143,
    "iou": 0.5,
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_numbers(name):
    expected = pytest.approx(GOLDEN[name], abs=5e-5)
    assert found(name, (LOGITS, LABELS)) == expected
    # In batches, and with a logit for each class.
    assert found(name, (LOGITS[:4], LABELS[:4]), (LOGITS[4:], LABELS[4:])) == expected
    assert found(name, (torch.stack([-LOGITS, LOGITS], 1), LABELS)) == expected


@given(
    hnp.arrays(np.int64, (2, 3, 4), elements=st.integers(-1, 2)),
    hnp.arrays(np.float64, (2, 3, 3, 4), elements=st.floats(-5, 5)),
)
def test_accuracy_is_the_share_of_voxels_with_a_label(labels, logits):
    known = labels >= 0
    result = found("accuracy", (torch.from_numpy(logits), torch.from_numpy(labels)))
    if not known.any():
        assert math.isnan(result)
        return
    expected = (logits.argmax(1) == labels)[known].mean()
    assert result == pytest.approx(expected)
    balanced = [
        (logits.argmax(1) == c)[labels == c].mean() for c in range(3) if (labels == c).any()
    ]
    result = found("balanced_accuracy", (torch.from_numpy(logits), torch.from_numpy(labels)))
    assert result == pytest.approx(np.mean(balanced))


def test_functions_and_distances_are_means_over_batches():
    a, b = (torch.ones(2), torch.zeros(2)), (torch.full((2,), 3.0), torch.zeros(2))
    assert found("mae", a, b) == 2
    assert found("mse", a, b, (*a, torch.ones(2))) == pytest.approx(11 / 3)
    assert found(lambda p, t: p.max(), a, b) == 2
    # What is no number does not count.
    assert found(lambda p, t: math.nan if p[0] == 1 else 4, a, b) == 4
    assert math.isnan(found(lambda p, t: math.nan, a))


def test_without_a_batch_there_is_no_number():
    assert all(math.isnan(found(name)) for name in NAMES)


def test_mistakes_are_said():
    with pytest.raises(ValueError, match=r"no metric 'acuracy'; do you mean 'accuracy'\? There is"):
        metric("acuracy")
    three = torch.zeros(4, 3)
    with pytest.raises(ValueError, match="one of two classes, the prediction has 3"):
        found("precision", (three, torch.zeros(4)))
    with pytest.raises(ValueError, match="the target has the class 3, the prediction has 3"):
        found("accuracy", (three, torch.tensor([0, 1, 2, 3])))
    with pytest.raises(ValueError, match=r"\(4, 3\) does not fit a target of the shape \(5,\)"):
        found("accuracy", (three, torch.zeros(5)))
