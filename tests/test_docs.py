"""What the documentation shows is true: its code runs, and it builds without a warning."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np
import pytest

import voxflow
import voxflow.pipeline.engine.workers
import voxflow.stores.errors
from voxflow.pipeline.engine.workers import launch
from voxflow.testing import check_node

REPOSITORY = Path(__file__).resolve().parents[1]
DOCS = REPOSITORY / "docs"
PAGES = sorted(
    page
    for page in [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *DOCS.rglob("*.md")]
    if "_build" not in page.parts
)
# Pages whose commands are run as well, in the order in which they stand between the code.
WITH_COMMANDS = [DOCS / "worst-batch.md"]
FENCE = re.compile(
    r"^(?P<ticks>```+)(?P<tag>[^\n`]*)\n(?P<code>.*?)^(?P=ticks)[ ]*$", re.MULTILINE | re.DOTALL
)
LINK = re.compile(r"\]\((?!\w+:|#)(?P<target>[^)#\s]+)")


class Block(NamedTuple):
    line: int  # of its first line of code, counted from 1
    code: str
    tag: str


def blocks(text, *tags):
    """Each block of a page with one of these tags, and nothing else."""
    return [
        Block(text.count("\n", 0, found.start("code")) + 1, found["code"], found["tag"].strip())
        for found in FENCE.finditer(text)
        if found["tag"].strip() in tags
    ]


def without_coverage():
    """The environment, without what would make a subprocess measure coverage."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COV")}


def run_page(page, run_commands=None):
    """Run a page's blocks, one after another, in one namespace; commands if that is said how."""
    namespace = {"__name__": "__docs__"}
    tags = ["python"] if run_commands is None else ["python", "bash"]
    for line, code, tag in blocks(page.read_text(), *tags):
        if tag == "bash":
            run_commands(code)
            continue
        # Leading empty lines make a traceback point at the line of the page.
        exec(compile("\n" * (line - 1) + code, str(page), "exec"), namespace)
    return namespace


@pytest.fixture
def no_gunpowder(monkeypatch):
    """What a page installs is gone afterwards."""
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.setattr(launch, "installed_in_workers", list(launch.installed_in_workers))
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "gunpowder"]:
        del sys.modules[name]


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if page not in WITH_COMMANDS],
    ids=lambda page: str(page.relative_to(REPOSITORY)),
)
def test_code_runs(page, tmp_path, monkeypatch, no_gunpowder):
    monkeypatch.chdir(tmp_path)
    # Nodes of pages are held to their promises in one world of each kind, not in three.
    monkeypatch.setitem(check_node.__kwdefaults__, "examples", 1)
    run_page(page)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", WITH_COMMANDS, ids=lambda page: page.name)
def test_commands_and_code_run(page, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(REPOSITORY / "examples" / "toy", tmp_path / "examples" / "toy")
    for name, start in (("python", ""), ("voxflow", "-m voxflow.cli")):
        command = tmp_path / "bin" / name
        command.parent.mkdir(exist_ok=True)
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" {start} "$@"\n')
        command.chmod(0o755)
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    environment = without_coverage() | {"PATH": path, "PYTHONPATH": str(REPOSITORY)}
    stopped = []
    monkeypatch.setattr(sys, "breakpointhook", lambda: stopped.append(sys._getframe(1)))

    def run(code):
        subprocess.run(["bash", "-e", "-c", code], env=environment, check=True, timeout=300)

    namespace = run_page(page, run)
    said = capfd.readouterr().out
    losses = [float(loss) for loss in re.findall(r"iteration \d+, loss ([\d.]+)", said)]
    by_loss, in_order = losses[:5], losses[5:]  # of the snapshots, then of the run
    assert by_loss == sorted(in_order, reverse=True)
    assert len(in_order) == 5
    assert f"{namespace['worst']['loss']:.6g}" == f"{losses[0]:.6g}"
    (frame,) = stopped
    assert frame.f_code is namespace["Stop"].process.__code__
    assert np.array_equal(
        frame.f_locals["batch"][voxflow.ArrayKey("RAW")].data,
        namespace["batch"][voxflow.ArrayKey("RAW")].data,
    )
    for name in ("page.html", "trace.html"):
        assert 100_000 < (tmp_path / name).stat().st_size < 5_000_000


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_lead_somewhere(page):
    prose = FENCE.sub("", page.read_text())
    missing = [
        found["target"]
        for found in LINK.finditer(prose)
        if not (page.parent / found["target"]).exists()
    ]
    assert missing == []


def test_blocks_are_found():
    text = "a\n```python\nx = 1\n```\n```bash\nls\n```\n\n````python\ny = '```'\n````\n"
    python, other = Block(3, "x = 1\n", "python"), Block(10, "y = '```'\n", "python")
    assert blocks(text, "python") == [python, other]
    assert blocks(text, "python", "bash") == [python, Block(6, "ls\n", "bash"), other]


def test_failing_block_is_noticed(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("text\n\n```python\nx = 1\n```\n\n```python\nassert x == 2\n```\n")
    with pytest.raises(AssertionError) as caught:
        run_page(page)
    assert caught.traceback[-1].lineno + 1 == 8


def reference():
    return "".join(page.read_text() for page in (DOCS / "reference").glob("*.md"))


def test_reference_names_the_whole_face():
    named = set(re.findall(r"voxflow\.(\w+)", reference()))
    assert set(voxflow.__all__) - named == set()


@pytest.mark.parametrize(
    "room",
    [
        voxflow.evaluation,
        voxflow.inspect,
        voxflow.jax,
        voxflow.models,
        voxflow.pictures,
        voxflow.pipeline.engine.workers,
        voxflow.segmentation,
        voxflow.stores,
        voxflow.torch,
        voxflow.training,
    ],
)
def test_reference_names_all_of_a_room(room):
    name = re.escape(room.__name__)
    named = set(re.findall(rf"(?:{name}|:: voxflow)\.(\w+)$", reference(), re.MULTILINE))
    if "automodule:: voxflow.stores.errors" in reference():
        named |= vars(voxflow.stores.errors).keys()
    public = {name for name in room.__all__ if not isinstance(getattr(room, name), ModuleType)}
    assert public - named == set()


# The first resolves all references, as the second does, in a third of its time.
@pytest.mark.parametrize("builder", ["dummy", pytest.param("html", marks=pytest.mark.slow)])
@pytest.mark.timeout(300)
def test_docs_build_without_a_warning(tmp_path, builder):
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", builder]
    built = subprocess.run(
        [*command, "-d", tmp_path / "doctrees", DOCS, tmp_path / "made"],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
        env=without_coverage(),
    )
    assert built.returncode == 0, built.stderr
    assert (tmp_path / "made" / "index.html").is_file() == (builder == "html")
