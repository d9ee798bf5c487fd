"""The names of nodes for TensorFlow 1 say what to take instead."""

import pytest

import voxflow as gp
from voxflow.zoo.tensorflow import unet


@pytest.mark.parametrize(
    ("use", "instead"),
    [
        (lambda: gp.tensorflow.Train("g", "o", "l", {}, {}, {}), r"voxflow\.torch\.Train"),
        (lambda: gp.tensorflow.Predict("c", {}, {}, graph="g"), r"voxflow\.torch\.Predict"),
        (gp.tensorflow.LocalServer.get_target, r"voxflow\.torch"),
        (lambda: unet(None, 12, 6, [[2, 2, 2]]), r"voxflow\.models\.UNet"),
    ],
)
def test_their_use_says_so(use, instead):
    with pytest.raises(ImportError, match=rf"TensorFlow 1.*(?s:.*){instead}"):
        use()
