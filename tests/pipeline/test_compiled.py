import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import voxflow
from voxflow.pipeline.compiled import kernel

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="folders that cannot be written")

PACKAGE = Path(voxflow.__file__).parent
# A package of the same name and its least parts: files of which one calls the other, in the same
# room and in another.
OUTER = """
from ..pipeline.compiled import kernel
from ..ops.inner import value

@kernel
def outer():
    return value() + 1
"""
INNER = """
from ..pipeline.compiled import kernel

@kernel
def value():
    return {value}
"""
CALL = """
import sys
sys.path.insert(0, {folder!r})
from voxflow.{room}.outer import outer
print(outer(), sum(outer.stats.cache_hits.values()))
"""


@pytest.fixture
def package(tmp_path):
    root = tmp_path / "voxflow"
    for room in (root, root / "pipeline", root / "ops", root / "nodes"):
        room.mkdir()
        (room / "__init__.py").touch()
    shutil.copy(PACKAGE / "pipeline/compiled.py", root / "pipeline")
    for room in ("ops", "nodes"):
        (root / room / "outer.py").write_text(OUTER)
    (root / "ops/inner.py").write_text(INNER.format(value=1))
    return root


def call(package, room="ops", **environment):
    script = CALL.format(folder=str(package.parent), room=room)
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", script],
        # Python does not see a change within the second that leaves the size of a file.
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environment},
        cwd=package.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    result, hits = map(int, done.stdout.split())
    return result, hits, done.stderr


def test_a_kernel_runs_as_the_function():
    @kernel
    def twice(x):
        return 2 * x

    assert twice(4) == 8


def test_code_is_compiled_once(package):
    assert call(package)[:2] == (2, 0)
    assert call(package)[:2] == (2, 1)


@pytest.mark.parametrize("room", ["ops", "nodes"])
def test_a_change_of_what_it_calls_compiles_a_kernel_anew(package, room):
    assert call(package, room)[0] == 2
    (package / "ops/inner.py").write_text(INNER.format(value=5))
    assert call(package, room)[:2] == (6, 0)
    assert call(package, room)[:2] == (6, 1)


def read_only(package, tmp_path):
    """What stops even root from writing: files where folders should be."""
    for room in ("pipeline", "ops"):
        shutil.rmtree(package / room / "__pycache__", ignore_errors=True)
        (package / room / "__pycache__").write_text("no folder")
    return {"PYTHONDONTWRITEBYTECODE": "1"}


def test_packages_that_cannot_be_written_use_the_cache_of_the_user(package, tmp_path):
    variables = {**read_only(package, tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    assert call(package, **variables)[:2] == (2, 0)
    assert call(package, **variables)[:2] == (2, 1)
    assert list((tmp_path / "cache").rglob("*.nbc"))


def test_where_nothing_can_be_written_each_process_compiles_and_says_so(package, tmp_path):
    (tmp_path / "cache").write_text("no folder")
    variables = {**read_only(package, tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    variables["TMPDIR"] = str(tmp_path / "temporary")
    (tmp_path / "temporary").mkdir()
    for _ in range(2):
        result, hits, said = call(package, **variables)
        assert (result, hits) == (2, 0)
        assert "NUMBA_CACHE_DIR" in said
    assert not list((tmp_path / "temporary").iterdir()), "folders are left behind"


def test_a_named_folder_comes_first(package, tmp_path):
    call(package, NUMBA_CACHE_DIR=str(tmp_path / "named"))
    assert list((tmp_path / "named").rglob("*.nbc"))
    assert not list(package.rglob("*.nbc"))
