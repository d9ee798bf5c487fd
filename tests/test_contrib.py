import ast
from pathlib import Path

import pytest

import voxflow as gp


def test_the_names_of_the_stub_and_no_others():
    stub = ast.parse(Path(gp.contrib.__file__).with_suffix(".pyi").read_text())
    imported = [
        a.name for line in stub.body if isinstance(line, ast.ImportFrom) for a in line.names
    ]
    [listed] = [ast.literal_eval(line.value) for line in stub.body if isinstance(line, ast.Assign)]
    assert sorted(imported) == sorted(listed) == gp.contrib.__all__ == dir(gp.contrib)
    for name in listed:
        thing = getattr(gp.contrib, name)
        assert thing.__name__ == name
        assert thing.__module__.startswith("voxflow.nodes.")


def test_unknown_names():
    with pytest.raises(AttributeError, match="'voxflow.contrib' has no attribute 'AddMagic'"):
        gp.contrib.AddMagic  # noqa: B018
    with pytest.raises(ImportError):
        from voxflow.contrib import AddMagic  # noqa: F401
