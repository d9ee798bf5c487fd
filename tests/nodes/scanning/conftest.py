"""Scans of a few small blocks, as these are, would start no workers."""

import pytest

from voxflow.nodes.scanning import worth


@pytest.fixture(autouse=True)
def workers_pay(monkeypatch):
    """However little there is to do."""
    monkeypatch.setattr(worth, "_WORTH", 0.0)
