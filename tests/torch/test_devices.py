import logging

import pytest
import torch

from voxflow.torch.devices import _freest, choose_device


@pytest.mark.usefixtures("asked_anew")
def test_auto_says_what_it_took(caplog, monkeypatch):
    with caplog.at_level(logging.INFO):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        assert choose_device("auto").type == "cpu"
        assert caplog.records[-1].levelno == logging.WARNING
        assert "computing on the CPU" in caplog.text
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        assert choose_device("auto").type == "cuda"
        assert "computing on cuda" in caplog.text


@pytest.fixture
def asked_anew():
    _freest.cache_clear()
    yield
    _freest.cache_clear()


@pytest.mark.usefixtures("asked_anew")
@pytest.mark.parametrize(
    ("used", "rank", "taken"),
    [(False, None, "cuda:2"), (True, None, "cuda"), (False, "1", "cuda")],
)
def test_auto_takes_the_gpu_with_the_most_free_memory(monkeypatch, used, rank, taken):
    free = [3 << 30, 1 << 30, 5 << 30, 5 << 30]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(free))
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: used)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda i: (free[i], 8 << 30))
    if rank is not None:
        monkeypatch.setenv("LOCAL_RANK", rank)
    assert choose_device("auto") == torch.device(taken)
    free[2] = 0  # what this process has taken itself does not change its choice
    assert choose_device("auto") == torch.device(taken)


@pytest.mark.parametrize("device", ["cuda:99", "mps", "xpu", torch.device("cuda", 63)])
def test_a_device_that_is_not_there_is_refused(device):
    with pytest.raises(RuntimeError, match=r"was asked for and is not there.*device='auto'"):
        choose_device(device)


def test_what_is_there_is_taken():
    assert choose_device("cpu") == choose_device(torch.device("cpu")) == torch.device("cpu")
