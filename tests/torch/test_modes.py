import threading

import torch

from voxflow.torch.modes import evaluating


def test_the_last_to_end_puts_the_modes_back():
    model = torch.nn.Sequential(torch.nn.Dropout(), torch.nn.Dropout().eval())
    inside, leave = threading.Event(), threading.Event()

    def other():
        with evaluating(model):
            inside.set()
            leave.wait(60)

    thread = threading.Thread(target=other)
    with evaluating(model):
        assert not model.training
        thread.start()
        assert inside.wait(60)
    assert not model.training
    assert not model[0].training
    leave.set()
    thread.join()
    assert model.training
    assert model[0].training
    assert not model[1].training
