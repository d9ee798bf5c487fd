import logging

import pytest
import torch

from voxflow.torch.devices import choose_device


def test_auto_says_what_it_took(caplog, monkeypatch):
    with caplog.at_level(logging.INFO):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        assert choose_device("auto").type == "cpu"
        assert caplog.records[-1].levelno == logging.WARNING
        assert "computing on the CPU" in caplog.text
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        assert choose_device("auto").type == "cuda"
        assert "computing on cuda" in caplog.text


@pytest.mark.parametrize("device", ["cuda:99", "mps", "xpu", torch.device("cuda", 63)])
def test_a_device_that_is_not_there_is_refused(device):
    with pytest.raises(RuntimeError, match=r"was asked for and is not there.*device='auto'"):
        choose_device(device)


def test_what_is_there_is_taken():
    assert choose_device("cpu") == choose_device(torch.device("cpu")) == torch.device("cpu")
