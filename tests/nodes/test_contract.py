"""What every node keeps to, whatever it does: `voxflow.testing.check_node`, held to all of them."""

import ast
from importlib import import_module
from pathlib import Path

import pytest

import voxflow as gp
from voxflow.pipeline.engine.provider import BatchProvider
from voxflow.testing.nodes import AXES

CASES = {
    name: case
    for path in sorted(Path(__file__).parent.glob("cases/*.py"))
    for name, case in getattr(import_module(f"tests.nodes.cases.{path.stem}"), "CASES", {}).items()
}
ELSEWHERE = {
    "PreCache": "its workers, seeds and order have tests of their own: tests/nodes/flow",
    "DaisyRequestBlocks": "it is asked for nothing, and runs below a server of daisy",
    "DvidSource": "it reads from a server",
    "KlbSource": "it needs a package that is not there, and is tested with a stand-in",
}
"""Nodes that are not held to the contract here, and why."""
EVERYWHERE = [(name, axes) for name, case in CASES.items() for axes in case.axes]


def shared_out(name, axes):
    """The seeds of this world and of the other one; both are tried where there are no other axes.

    What a node does when it is asked for everything hardly depends on the axes.
    """
    others = CASES[name].axes
    first = others.index(axes) % 2
    return ([0, 1], []) if len(others) == 1 else ([first], [1 - first])


@pytest.mark.parametrize(("name", "axes"), EVERYWHERE)
def test_keeps_its_promises(name, axes):
    CASES[name].check(axes, shared_out(name, axes)[0])


@pytest.mark.slow
@pytest.mark.parametrize(("name", "axes"), [case for case in EVERYWHERE if shared_out(*case)[1]])
def test_keeps_its_promises_in_the_other_world(name, axes):
    CASES[name].check(axes, shared_out(name, axes)[1])


@pytest.mark.parametrize("name", CASES)
def test_is_planned_and_checked_before_the_run(name):
    trial = CASES[name].trial(CASES[name].axes[0])
    with trial.built() as pipeline:
        text = str(pipeline.plan(trial.request))
        assert all(str(key) in text for key in trial.request)
        for key in trial.request:
            too_much = trial.request.clone()
            if bounded(pipeline.spec[key]):
                too_much[key] = trial.world.roi.grow(trial.world.roi.shape * 99)
                with pytest.raises(gp.PipelineRequestError, match=str(key)):
                    pipeline.check(too_much)


def bounded(spec):
    return spec.roi is not None and not spec.roi.unbounded


def exported_nodes():
    """The names of all nodes of the face."""
    kinds = {name: getattr(gp, name) for name in gp.__all__}
    return {
        name
        for name, kind in kinds.items()
        if isinstance(kind, type)
        and issubclass(kind, BatchProvider)
        and kind not in (gp.BatchProvider, gp.BatchFilter)
    }


def test_all_nodes_are_here():
    named = {name.split()[0].rstrip(",") for name in CASES}
    assert exported_nodes() - named - ELSEWHERE.keys() == set()
    assert ELSEWHERE.keys() <= exported_nodes() - named


def test_left_out_axes_have_a_reason():
    assert {name for name, case in CASES.items() if case.axes != AXES} == {
        name for name, case in CASES.items() if case.why
    }


def test_no_node_relies_on_assert():
    # which `python -O` leaves out
    for path in Path(gp.__file__).parent.glob("nodes/**/*.py"):
        found = [
            n.lineno for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Assert)
        ]
        assert not found, path
