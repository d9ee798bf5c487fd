"""Every name of gunpowder is there, and is called as it was."""

import inspect
import os
import subprocess
import tomllib
from pathlib import Path

import numpy as np
import pytest

import voxflow
from voxflow.as_gunpowder import _Module

TABLE = tomllib.loads(Path(__file__).with_name("gunpowder_names.toml").read_text())
DIFFERS = TABLE.pop("differs")
ROWS = [(module, name) for module, names in TABLE.items() for name in names]


def found(module, name):
    """What a name stands for, and whether it is called with an object first."""
    thing = _Module(module)
    unbound = False
    for part in name.split("."):
        owner, thing = thing, getattr(thing, part)
        static = inspect.getattr_static(owner, part, None) if inspect.isclass(owner) else None
        unbound = inspect.isfunction(static)
    return thing, unbound


def called_with(thing, unbound):
    """The parameters of a function, or of the constructor of a class."""
    if inspect.isclass(thing):
        makers = [getattr(thing, name) for name in ("__init__", "__new__")]
        thing, unbound = next((m for m in makers if inspect.isfunction(m)), _plain), True
        if thing.__qualname__ == "BatchProvider.__new__":  # hands on whatever a node takes
            thing = _plain
    parameters = list(inspect.signature(thing).parameters.values())
    return parameters[1:] if unbound else parameters


def _plain(self): ...


def written(text):
    """The parameters that a row of the table names."""
    made = {"np": np}
    exec(f"def function{text}: ...", made)
    return list(inspect.signature(made["function"]).parameters.values())


def told(parameters):
    return [
        (p.name, p.kind, p.default if not isinstance(p.default, float) else p.default + 0.0)
        for p in parameters
        if p.kind is not p.KEYWORD_ONLY
    ]


def expected(module, name):
    short = f"{module}.{name}".removeprefix("gunpowder.")
    return DIFFERS[short][0] if short in DIFFERS else TABLE[module][name]


@pytest.mark.parametrize(("module", "name"), ROWS, ids=[f"{m}.{n}" for m, n in ROWS])
def test_it_is_there_and_is_called_as_it_was(module, name):
    try:
        thing, unbound = found(module, name)
    except (AttributeError, ImportError) as error:
        pytest.fail(f"{module}.{name} is missing: {error}")
    text = expected(module, name)
    if not text:
        return
    ours, theirs = called_with(thing, unbound), written(text)
    assert told(ours) == told(theirs)
    # What it takes by name only, it takes here; what we add, is by name only.
    wanted = {p.name: p.default for p in theirs if p.kind is p.KEYWORD_ONLY}
    assert {p.name: p.default for p in ours if p.name in wanted} == wanted


def test_what_differs_is_in_the_table():
    names = {f"{module}.{name}".removeprefix("gunpowder.") for module, name in ROWS}
    assert DIFFERS.keys() <= names
    assert all(why for _, why in DIFFERS.values())


def test_the_names_of_the_face_are_those_of_gunpowder():
    plain = {name for name in TABLE["gunpowder"] if "." not in name}
    assert plain - {*voxflow.__all__} == set()


PROBE = """
import importlib, inspect, json, sys, warnings
warnings.simplefilter("ignore")
found = {}
for module, names in json.loads(sys.argv[1]).items():
    there = importlib.import_module(module)
    for name in names:
        thing = there
        for part in name.split("."):
            thing = getattr(thing, part)
        if inspect.isclass(thing):
            thing = thing.__init__
        try:
            taken = inspect.signature(thing).parameters
            found[f"{module} {name}"] = [p for p in taken if p != "self"]
        except (TypeError, ValueError):
            found[f"{module} {name}"] = None
print(json.dumps(found))
"""


@pytest.mark.skipif("VOXFLOW_GUNPOWDER" not in os.environ, reason="needs gunpowder's own Python")
def test_the_table_is_true_of_gunpowder():
    import json

    done = subprocess.run(
        [os.environ["VOXFLOW_GUNPOWDER"], "-c", PROBE, json.dumps(TABLE)],
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    there = json.loads(done.stdout.splitlines()[-1])
    own = ("args", "kwargs")
    differ = {
        row: (names, parts)
        for row, names in there.items()
        if (text := TABLE[row.split()[0]][row.split()[1]]) and names is not None
        if names != (parts := [p.name for p in written(text)]) and not set(own) <= set(names)
    }
    assert differ == {}
