import threading

import pytest
import torch

import voxflow as gp
from voxflow.torch.calls import arguments, capturing, checked_arguments, checked_names

A, B = gp.ArrayKey("A"), gp.ArrayKey("B")


def test_positions_may_be_numbers_or_texts():
    assert arguments({"1": "b", 0: "a", "x": "c"}) == (["a", "b"], {"x": "c"})


@pytest.mark.parametrize(
    ("names", "error", "text"),
    [
        ({0: "RAW"}, TypeError, "ArrayKeys, got 0: 'RAW'"),
        ({1.5: A}, TypeError, "positions or names"),
        ({0: A, "0": B}, ValueError, "one position twice"),
        ({-1: A}, ValueError, "count from 0"),
    ],
)
def test_names_that_make_no_sense_are_refused(names, error, text):
    with pytest.raises(error, match=text):
        checked_names("inputs", names)


def test_positions_leave_no_gap():
    assert checked_names("outputs", {2: A}) == {2: A}
    with pytest.raises(ValueError, match="without a gap, got \\['2'\\]"):
        checked_arguments("inputs", {0: A, 2: B})


class Two(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.body = torch.nn.Linear(3, 2)
        self.spare = torch.nn.Linear(3, 2)
        self.note = "no tensor"

    def forward(self, x):
        self.kept = self.body(x) + 1
        return self.kept * 2, x


def test_results_submodules_and_kept_tensors_are_seen():
    model = Two()
    with capturing("Train", model, [0, "1", "body", "kept"]) as call:
        outputs = call(torch.ones(1, 3))
    torch.testing.assert_close(outputs["body"], model.body(torch.ones(1, 3)))
    torch.testing.assert_close(outputs["kept"], outputs["body"] + 1)
    torch.testing.assert_close(outputs[0], outputs["kept"] * 2)
    assert outputs["1"].shape == (1, 3)
    assert not model.body._forward_hooks


@pytest.mark.parametrize(
    ("name", "error", "text"),
    [
        (2, IndexError, "output 2 of the model, which returns 2"),
        ("spare", ValueError, "did not use its submodule 'spare'"),
        ("head", ValueError, "no submodule 'head'; there is: body, spare"),
        ("note", ValueError, "no submodule 'note'"),
    ],
)
def test_what_is_not_there_is_said(name, error, text):
    with capturing("Train", Two(), [name]) as call:
        outputs = call(torch.ones(1, 3))
        with pytest.raises(error, match=text):
            outputs[name]


def test_models_return_tensors():
    class Strange(torch.nn.Module):
        def forward(self, x):
            return {"a": x} if len(x) == 1 else (x, None)

    with capturing("Train", Strange(), []) as call:
        with pytest.raises(TypeError, match="tuple of tensors, got dict"):
            call(torch.ones(1))
        with pytest.raises(TypeError, match="output 1 .* has to be a tensor, got NoneType"):
            call(torch.ones(2))[1]


def test_threads_see_their_own_outputs():
    class Slow(torch.nn.Module):
        def __init__(self, gate):
            super().__init__()
            self.body = torch.nn.Identity()
            self.gate = gate

        def forward(self, x):
            y = self.body(x)
            self.gate.wait(60)  # both are inside, with both hooks set
            return y

    model = Slow(threading.Barrier(2))
    started = threading.Barrier(2)
    seen = {}

    def run(i):
        with capturing("Predict", model, ["body"]) as call:
            started.wait(60)
            seen[i] = float(call(torch.full((1,), float(i)))["body"])

    threads = [threading.Thread(target=run, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {0: 0.0, 1: 1.0}
