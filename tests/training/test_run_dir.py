"""A run directory is made once, holds all of a run, and is never overwritten in silence."""

import contextlib
import hashlib
import json
import logging
import multiprocessing
import os
import subprocess
import sys
import tarfile
import threading
from pathlib import Path

import pytest

from voxflow.training import run_dir
from voxflow.training.run_dir import MARKER, NoRunDir, RunDir, RunDirTaken
from voxflow.training.run_log import _File, log_to
from voxflow.training.surroundings import environment, git_state


def digest(folder):
    """Of every file and its content."""
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        found.update(str(path.relative_to(folder)).encode())
        found.update(path.read_bytes() if path.is_file() else b"")
    return found.hexdigest()


# -- made once ------------------------------------------------------------------------------------


def test_what_is_there_is_left_alone(tmp_path):
    with RunDir.make(tmp_path / "run") as run:
        run.write_text("a/b.txt", "kept")
    before = digest(tmp_path)
    with pytest.raises(RunDirTaken, match="is there, and is a run directory; nothing was changed"):
        RunDir.make(tmp_path / "run")
    assert digest(tmp_path) == before


def test_a_folder_of_something_else_is_no_place_for_a_run(tmp_path):
    (tmp_path / "mine.txt").write_text("thesis")
    with pytest.raises(RunDirTaken, match="not empty"):
        RunDir.make(tmp_path)
    with pytest.raises(NoRunDir, match="is there, and is no run directory"):
        RunDir.resume(tmp_path)
    with pytest.raises(NoRunDir, match="is no run directory"):
        RunDir.resume(tmp_path / "none")
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_an_empty_folder_is_taken(tmp_path):
    with RunDir.make(tmp_path) as run:
        assert run.path == tmp_path


def test_a_new_run_is_made_beside_others(tmp_path):
    names = []
    for _ in range(3):
        with RunDir.make(tmp_path / "run", "new") as run:
            names.append(run.path.name)
    assert names == ["run", "run-2", "run-3"]


def test_an_earlier_run_is_resumed(tmp_path):
    with RunDir.make(tmp_path / "run") as run:
        run.write_text("a.txt", "kept")
    with RunDir.resume(tmp_path / "run") as run:
        assert run.file("a.txt").read_text() == "kept"


def test_a_run_of_a_later_version_is_refused(tmp_path):
    RunDir.make(tmp_path / "run").close()
    (tmp_path / "run" / MARKER).write_text('{"format": 99}')
    with pytest.raises(ValueError, match="format 99, this version reads"):
        RunDir.resume(tmp_path / "run")


def test_a_marker_that_was_cut_off_is_one(tmp_path):
    RunDir.make(tmp_path / "run").close()
    (tmp_path / "run" / MARKER).write_text('{"form')
    RunDir.resume(tmp_path / "run").close()


def test_one_process_at_a_time_works_in_it(tmp_path):
    with RunDir.make(tmp_path / "run"):
        with pytest.raises(RunDirTaken, match="another process works in"):
            RunDir.resume(tmp_path / "run")
        RunDir(tmp_path / "run").file("read.txt")  # looking is free
    RunDir.resume(tmp_path / "run").close()


def _make(folder, start, made):
    start.wait()
    try:
        RunDir.make(folder).close()
        made.put(1)
    except RunDirTaken:
        made.put(0)


def test_of_several_that_make_it_at_once_one_gets_it(tmp_path):
    context = multiprocessing.get_context("forkserver")
    start, made = context.Event(), context.Queue()
    processes = [
        context.Process(target=_make, args=(tmp_path / "run", start, made)) for _ in range(4)
    ]
    for process in processes:
        process.start()
    start.set()
    got = [made.get(timeout=60) for _ in processes]
    for process in processes:
        process.join(60)
    assert sorted(got) == [0, 0, 0, 1]


# -- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["../out.txt", "/etc/out.txt", "a/../../out.txt", ".", "", "a/.."])
def test_names_lead_nowhere_else(tmp_path, name):
    with RunDir.make(tmp_path / "run") as run, pytest.raises(ValueError, match="leads out of"):
        run.write_text(name, "escaped")
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


def test_links_lead_nowhere_else(tmp_path):
    (tmp_path / "outside").mkdir()
    with RunDir.make(tmp_path / "run") as run:
        (run.path / "link").symlink_to(tmp_path / "outside")
        (run.path / "file").symlink_to(tmp_path / "outside" / "victim.txt")
        for name in ("link/a.txt", "file"):
            with pytest.raises(ValueError, match="leads out of"):
                run.write_text(name, "escaped")
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_run_below_a_link_works(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with RunDir.make(tmp_path / "link" / "run") as run:
        run.write_text("a.txt", "1")
    assert (tmp_path / "real" / "run" / "a.txt").read_text() == "1"


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    with RunDir.make(tmp_path / "run") as run:
        run.write_text("a.txt", "before")

        def full(descriptor):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            run.write_text("a.txt", "after")
        monkeypatch.undo()
        assert run.file("a.txt").read_text() == "before"
        assert {p.name for p in run.path.iterdir()} == {"a.txt", MARKER}


def test_new_files_get_numbers(tmp_path):
    with RunDir.make(tmp_path / "run") as run:
        names = []
        for _ in range(3):
            names.append(run.new_file("a.b.txt").name)
            run.write_text(names[-1], "")
    assert names == ["a.b.txt", "a.b-2.txt", "a.b-3.txt"]


# -- what is written down -------------------------------------------------------------------------


@pytest.fixture
def repository(tmp_path):
    """One with a commit, a change, and a file that is not tracked."""
    folder = tmp_path / "repository"
    folder.mkdir()

    def git(*arguments):
        who = ["-c", "user.name=me", "-c", "user.email=me@example.org"]
        subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)

    git("init", "-b", "trunk")
    (folder / "train.py").write_text("lr = 1\n")
    git("add", ".")
    git("commit", "-m", "first")
    (folder / "train.py").write_text("lr = 2\n")
    (folder / "notes.txt").write_text("x")
    return folder


def test_a_start_is_written_down(tmp_path, repository):
    with RunDir.make(tmp_path / "run") as run:
        run.record("seed: 1\n", [repository / "train.py"], {"name": "cpu"})
    folder = tmp_path / "run"
    assert (folder / "config.yaml").read_text() == "seed: 1\n"
    assert (folder / "scripts" / "train.py").read_bytes() == b"lr = 2\n"
    state = json.loads((folder / "git.json").read_text())
    assert len(state["commit"]) == 40
    assert (state["branch"], state["dirty"]) == ("trunk", True)
    assert state["untracked"] == ["notes.txt"]
    assert "-lr = 1\n+lr = 2" in (folder / "git.diff").read_text()
    found = json.loads((folder / "environment.json").read_text())
    assert found["python"]["executable"] == sys.executable
    assert found["packages"]["numpy"]
    assert found["argv"] == sys.argv
    assert found["device"] == {"name": "cpu"}
    assert found["host"]


def test_the_source_of_this_package_is_kept_once(tmp_path, repository, monkeypatch):
    for start in (RunDir.make, RunDir.resume):
        with start(tmp_path / "run") as run:
            run.record(scripts=[repository / "train.py"], source=True)
    assert [p.name for p in (tmp_path / "run").glob("voxflow*")] == ["voxflow.tgz"]
    with tarfile.open(tmp_path / "run" / "voxflow.tgz") as archive:
        archive.extractall(tmp_path / "again", filter="data")
    own, again = Path(run_dir.__file__).parents[1], tmp_path / "again" / "voxflow"
    files = [p.relative_to(own) for p in own.rglob("*") if p.suffix in (".py", ".js", ".css")]
    assert len({path.suffix for path in files}) == 3
    assert all((again / name).read_bytes() == (own / name).read_bytes() for name in files)
    monkeypatch.setattr(run_dir, "own_source", lambda: b"changed since")
    with RunDir.resume(tmp_path / "run") as run:
        run.record(source=True)
    names = sorted(path.name for path in (tmp_path / "run").glob("voxflow*"))
    assert names == ["voxflow-2.tgz", "voxflow.tgz"]


def test_the_difference_makes_the_scripts_again(tmp_path, repository):
    with RunDir.make(tmp_path / "run") as run:
        run.record(scripts=[repository / "train.py"])
    apply = ["git", "apply", str(tmp_path / "run" / "git.diff")]
    subprocess.run(["git", "checkout", "train.py"], cwd=repository, check=True, capture_output=True)
    subprocess.run(apply, cwd=repository, check=True)
    assert (repository / "train.py").read_text() == "lr = 2\n"


def test_a_resume_overwrites_nothing(tmp_path, repository):
    script = repository / "train.py"
    with RunDir.make(tmp_path / "run") as run:
        run.record("seed: 1\n", [script])
    first = {p: p.read_bytes() for p in (tmp_path / "run").rglob("*") if p.is_file()}
    with RunDir.resume(tmp_path / "run") as run:
        run.record("seed: 1\n", [script])
    script.write_text("lr = 3\n")
    with RunDir.resume(tmp_path / "run") as run:
        run.record("seed: 2\n", [script])
    assert all(path.read_bytes() == content for path, content in first.items())
    new = {str(p.relative_to(tmp_path / "run")) for p in (tmp_path / "run").rglob("*.*")}
    new -= {str(p.relative_to(tmp_path / "run")) for p in first}
    assert new == {
        "config-2.yaml",
        "environment-2.json",
        "environment-3.json",
        "git-2.json",
        "git-3.json",
        "git-2.diff",
        "git-3.diff",
        "scripts/train-2.py",
    }
    assert (tmp_path / "run" / "config-2.yaml").read_text() == "seed: 2\n"


def test_the_latest_configuration_is_known(tmp_path):
    with RunDir.make(tmp_path / "run") as run:
        assert run.config is None
        for number in range(1, 12):
            run.record(f"seed: {number}\nname: Zürich\n")
        run.write_text("config-of-mine.yaml", "")
        assert run.config == run.path / "config-11.yaml"


def test_without_a_repository_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    state, difference = git_state(tmp_path)
    assert (state["commit"], difference) == (None, b"")
    assert "not a git repository" in state["reason"]
    monkeypatch.setenv("PATH", "")
    assert "git" in git_state(tmp_path)[0]["reason"]


def test_secrets_of_the_environment_are_not_written_down(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    found = environment()
    assert "hush" not in json.dumps(found)
    assert found["variables"]["CUDA_VISIBLE_DEVICES"] == "3"


def test_torch_is_told_only_if_it_is_loaded():
    program = (
        "import json, sys\n"
        "from voxflow.training.surroundings import environment\n"
        "before = environment()['torch']\n"
        "assert 'torch' not in sys.modules\n"
        "import torch\n"
        "print(json.dumps([before, environment()['torch'], torch.__version__]))\n"
    )
    plain = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=plain
    )
    before, after, version = json.loads(done.stdout)
    assert before is None
    assert after["version"] == version


# -- logs -----------------------------------------------------------------------------------------


def test_logs_go_into_the_file_of_their_run(tmp_path):
    logger = logging.getLogger("voxflow.training.test")
    level = logging.getLogger("voxflow").level
    with log_to(tmp_path / "a.txt", "cuda:1"):
        logger.debug("one")
    with log_to(tmp_path / "b.txt"):
        logger.info("two")
    logger.warning("outside")
    first, *rest = (tmp_path / "a.txt").read_text().splitlines()
    assert "@" in first
    assert "device cuda:1" in first
    assert [line.rpartition(" ")[2] for line in rest] == ["one"]
    assert "one" not in (tmp_path / "b.txt").read_text()
    assert "outside" not in (tmp_path / "b.txt").read_text()
    assert logging.getLogger("voxflow").level == level
    assert not logging.getLogger("voxflow").handlers


def test_two_runs_at_once_do_not_mix_their_logs(tmp_path):
    logger = logging.getLogger("voxflow.training.test")
    both = threading.Barrier(2, timeout=30)

    def run(name):
        with log_to(tmp_path / name):
            both.wait()
            logger.info("of %s", name)
            both.wait()

    threads = [threading.Thread(target=run, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for name, other in ("ab", "ba"):
        text = (tmp_path / name).read_text()
        assert f"of {name}" in text
        assert f"of {other}" not in text


def test_a_full_disk_is_not_told_with_each_line(capsys):
    handler = _File("/dev/full")
    logger = logging.Logger("full")
    logger.addHandler(handler)
    logger.warning("lost")
    assert capsys.readouterr().err == ""
    logger.warning("%d", "no number")
    assert "Logging error" in capsys.readouterr().err
    with contextlib.suppress(OSError):
        handler.close()
