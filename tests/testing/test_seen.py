"""Batches that differ are told apart, and the text says where."""

import numpy as np
import pytest

from voxflow.testing.seen import Seen, difference, unequal


def batch(values, spec="spec", key="RAW"):
    return {key: Seen(spec, {"values": np.asarray(values)})}


def test_the_same_is_the_same():
    assert difference(batch([1, 2]), batch([1, 2])) is None
    assert difference(batch([1, np.nan]), batch([1, np.nan])) is None


@pytest.mark.parametrize(
    ("other", "text"),
    [
        (batch([1.0, 3.0]), "RAW: 1 of 2 values differ, the first at \\(1,\\): 2.0 and 3.0"),
        (batch([1.0, 2.0], "another"), "RAW has the spec \\(spec\\) in one batch and \\(another"),
        (batch([1.0, 2.0], key="LABELS"), "one batch has RAW, the other LABELS"),
        (batch([1, 2]), "float64 of shape \\(2,\\) and int64 of shape"),
        (batch([[1.0, 2.0]]), "of shape \\(2,\\) and float64 of shape \\(1, 2\\)"),
        (batch([1.0, np.nan]), "RAW: 1 of 2 values differ"),
    ],
)
def test_what_differs_is_told(other, text):
    with pytest.raises(ValueError, match=text):
        raise ValueError(difference(batch([1.0, 2.0]), other))


def test_bits_count():
    assert "bits" in unequal(np.array([0.0]), np.array([-0.0]))
