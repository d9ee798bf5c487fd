"""Faces load names at their first use, and say what to install."""

import subprocess
import sys

import pytest

import voxflow as gp
from voxflow.pipeline.face import attach, homes, needs_said

WITHOUT = """
import sys

for package in ("jax", "torch"):
    sys.modules[package] = None  # what makes an import fail
import voxflow as gp
import voxflow.as_gunpowder
from voxflow import *

def error(use):
    try:
        use()
    except ImportError as error:
        return str(error)

for package in ("jax", "torch"):
    room = getattr(gp, package)
    names = {name for name in dir(room) if name not in ("GenericJaxModel", "NonFiniteLoss")}
    told = {error(lambda: getattr(room, name)) for name in names}
    assert told == {f'{package} is not installed: pip install "voxflow[{package}]"'}, told
assert gp.jax.GenericJaxModel
assert 'pip install "voxflow[torch]"' in error(lambda: gp.models.UNet)

voxflow.as_gunpowder.install()
import gunpowder.jax.nodes, gunpowder.torch.nodes

def deep():
    from gunpowder.jax.nodes.train import Train

def deeper():
    from gunpowder.torch.nodes.predict import Predict

assert 'pip install "voxflow[jax]"' in error(deep)
assert 'pip install "voxflow[torch]"' in error(deeper)
"""


def test_without_a_package_its_room_says_what_to_install():
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_what_else_is_missing_is_told_as_it_is():
    with pytest.raises(ModuleNotFoundError, match=r"^No module named 'nowhere'$"), needs_said():
        import nowhere  # noqa: F401


def test_all_nodes_are_in_one_place():
    assert gp.nodes.Hdf5Source is gp.Hdf5Source
    assert gp.nodes.BatchFilter is gp.BatchFilter
    assert "Roi" not in dir(gp.nodes)
    assert gp.nodes.__all__ == dir(gp.nodes)
    for name in gp.nodes.__all__:
        assert getattr(gp.nodes, name) is getattr(gp, name)
    with pytest.raises(AttributeError, match="'voxflow.nodes' has no attribute 'Nothing'"):
        gp.nodes.Nothing  # noqa: B018


def test_names_are_looked_up_where_they_are():
    assert homes("voxflow.contrib")["AddVectorMap"] == "voxflow.nodes.labels.add_vector_map"
    look_up, names, listed = attach("here", {"sep": "os", "cos": "math"})
    assert look_up("sep") in "/\\"
    assert names() == listed == ["cos", "sep"]
