"""The run directory: everything that a run writes, made once, and never overwritten in silence."""

from __future__ import annotations

import contextlib
import glob
import itertools
import json
import os
import re
import secrets
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from voxflow.stores.file_lock import lock_file
from voxflow.training.own_source import own_source
from voxflow.training.surroundings import environment, git_state

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Self

__all__ = ["MARKER", "NoRunDir", "RunDir", "RunDirTaken"]

MARKER = "run.json"

_FORMAT = 1
_CONFIG = re.compile(r"config(-\d+)?\.yaml")


class RunDirTaken(FileExistsError):
    """A run directory is there already, or another process works in it."""


class NoRunDir(FileNotFoundError):
    """A folder is not there, or is no run directory."""


class RunDir:
    """A folder that belongs to one run.

    ::

        run.json              what makes it a run directory: the format, and each start
        config.yaml           the resolved configuration, which reproduces the run
        environment.json      python, packages, machine, GPUs
        git.json, git.diff    the commit of the scripts' repository, and what differs from it
        scripts/              copies of the scripts and of the configuration as it was given
        voxflow.tgz           the source of this package
        log.txt               what was logged

    A run that is resumed adds a number to what would be there already: ``environment-2.json``.

    Files are written whole or not at all. Names lead nowhere else: a path out of the folder, a
    symbolic link included, is refused.

    `make` and `resume` hold the folder for this process until `close`; another process is refused
    meanwhile.

    Parameters
    ----------
    path
        A folder that `make` made. To look into it, nothing has to be held.

    Raises
    ------
    NoRunDir
        If it is no run directory.

    Examples
    --------
    >>> import tempfile
    >>> with RunDir.make(tempfile.mkdtemp() + "/run") as run:
    ...     written = run.write_text("previews/note.txt", "seen")
    ...     written.relative_to(run.path).as_posix()
    'previews/note.txt'
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).absolute()
        self._lock: int | None = None
        marker = self.path / MARKER
        if not marker.is_file():
            what = "is there, and is" if self.path.exists() else "is"
            raise NoRunDir(
                f"{self.path} {what} no run directory: it has no {MARKER}. Give the folder that an "
                "earlier run made, or start a new one"
            )
        written = _format(marker)
        if written > _FORMAT:
            raise ValueError(
                f"{self.path} has the format {written}, this version reads formats up to "
                f"{_FORMAT}; use the version that wrote it, or a newer one"
            )

    # -- life -----------------------------------------------------------------------------------

    @classmethod
    def make(cls, path: str | Path, exists: Literal["error", "new"] = "error") -> Self:
        """Make a folder for a new run, and hold it.

        Parameters
        ----------
        path
            The folder. One that is there and empty is taken.
        exists
            What to do about one that is not empty: an error, or a new one beside it:
            ``path-2``, ``path-3`` and so on.

        Raises
        ------
        RunDirTaken
            If it is there, and not empty.
        """
        wanted = Path(path).absolute()
        for number in itertools.count(1):
            folder = wanted if number == 1 else wanted.with_name(f"{wanted.name}-{number}")
            if _claimed(folder):
                return cls(folder)._held()
            if exists == "error":
                break
        kind = "a run directory" if (wanted / MARKER).exists() else "not empty"
        raise RunDirTaken(
            f"{wanted} is there, and is {kind}; nothing was changed. Resume it, give another name, "
            "or let a new one be made beside it"
        )

    @classmethod
    def resume(cls, path: str | Path) -> Self:
        """Hold the folder of an earlier run, to go on with it.

        Raises
        ------
        NoRunDir
            If it is no run directory.
        RunDirTaken
            If another process holds it.
        """
        return cls(path)._held()

    def _held(self) -> Self:
        file = os.open(self.path / MARKER, os.O_RDWR)
        if not lock_file(file):
            os.close(file)
            raise RunDirTaken(
                f"another process works in {self.path} at the moment. Wait for it, end it, or "
                "start a run of another name"
            )
        self._lock = file
        return self

    def close(self) -> None:
        """Let go of the folder."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

    # -- files ----------------------------------------------------------------------------------

    def file(self, name: str | Path) -> Path:
        """Where a file of the run is; its folders are made.

        Parameters
        ----------
        name
            A path from the folder.

        Raises
        ------
        ValueError
            If it leads out of the folder.
        """
        path = (self.path / name).resolve()
        if not path.is_relative_to(self.path.resolve()) or path == self.path.resolve():
            raise ValueError(
                f"{str(name)!r} leads out of the run directory {self.path}, where a run writes "
                "everything; give a path from there"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        return self.path / path.relative_to(self.path.resolve())

    def write_text(self, name: str | Path, text: str) -> Path:
        """Write a file, whole or not at all, in the place of one that is there."""
        return self.write_bytes(name, text.encode())

    def write_bytes(self, name: str | Path, content: bytes) -> Path:
        """Write a file, whole or not at all, in the place of one that is there."""
        path = self.file(name)
        _write_whole(path, content)
        return path

    def new_file(self, name: str | Path) -> Path:
        """Where a file can be written that is not there yet: its name, or that with a number."""
        path = self.file(name)
        numbered = (path.with_name(f"{path.stem}-{n}{path.suffix}") for n in itertools.count(2))
        return next(p for p in itertools.chain([path], numbered) if not os.path.lexists(p))

    # -- what the run is ------------------------------------------------------------------------

    def record(
        self,
        config: str = "",
        scripts: Iterable[str | Path] = (),
        device: Mapping[str, Any] | None = None,
        source: bool = False,
    ) -> None:
        """Write down what this start of the run is made of.

        Parameters
        ----------
        config
            The resolved configuration. One that is as it was is not written again.
        scripts
            Files to copy. The repository of the first one is the one whose state is told.
        device
            What is known of the device.
        source
            Whether to keep the source of this package, too.
        """
        files = [Path(script).absolute() for script in scripts]
        if config and not self._has(config):
            _write_whole(self.new_file("config.yaml"), config.encode())
        found = {**environment(), "device": dict(device or {})}
        _write_whole(self.new_file("environment.json"), _json(found))
        state, difference = git_state(files[0].parent if files else Path.cwd())
        _write_whole(self.new_file("git.json"), _json(state))
        if difference:
            _write_whole(self.new_file("git.diff"), difference)
        copies = [(Path("scripts", script.name), script.read_bytes()) for script in files]
        if source:
            copies.append((Path("voxflow.tgz"), own_source()))
        for name, content in copies:
            if not self._copied(name, content):
                _write_whole(self.new_file(name), content)

    @property
    def config(self) -> Path | None:
        """The resolved configuration of the latest start; None if none was written down."""
        found = [p for p in self.path.glob("config*.yaml") if _CONFIG.fullmatch(p.name)]
        return max(found, key=lambda p: (len(p.name), p.name), default=None)

    def _has(self, config: str) -> bool:
        """Whether the latest configuration is this one."""
        latest = self.config
        return latest is not None and latest.read_text(encoding="utf-8") == config

    def _copied(self, name: Path, content: bytes) -> bool:
        numbered = f"{glob.escape(name.stem)}*{name.suffix}"
        copies = (self.path / name.parent).glob(numbered)
        return any(copy.read_bytes() == content for copy in copies)


def _format(marker: Path) -> int:
    try:
        return int(json.loads(marker.read_text())["format"])
    except (ValueError, KeyError, TypeError):  # killed while it was made
        return _FORMAT


def _claimed(folder: Path) -> bool:
    """Whether a folder is this process's from now on: of several that try, one gets it."""
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        return False
    try:
        with open(folder / MARKER, "x") as file:
            host = socket.gethostname()
            json.dump({"format": _FORMAT, "host": host, "process": os.getpid()}, file)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        return False
    return True


def _write_whole(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with open(partial, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            partial.unlink()
    handle = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _json(values: Any) -> bytes:
    return (json.dumps(values, indent=2) + "\n").encode()
