"""A list of tasks: what is to be run, and where it can be."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import Field, ValidationError, model_validator

from voxflow.training.config import ConfigError, load_config
from voxflow.training.config.mistakes import Mistake, nearest
from voxflow.training.config.options import Section, option
from voxflow.training.config.settings import said
from voxflow.training.config.text import read_yaml
from voxflow.training.run_dir import MARKER

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Place", "Task", "TaskList", "load_tasks"]

Count = Annotated[int, Field(ge=1)]
Name = Annotated[str, Field(pattern=r"^\w[\w.+-]*$")]


class PlaceSection(Section):
    """Where tasks are run."""

    name: Name | None = option(None, "What tasks call it; by default the host, or here.")
    host: str | None = option(None, "What ssh takes, such as user@host; by default this machine.")
    command: list[str] = option(list, "What is put before each command, such as srun.")
    gpus: list[Annotated[int, Field(ge=0)]] = option(list, "GPUs, each for one task at a time.")
    slots: Count | None = option(None, "How many tasks at a time; by default as many as GPUs, or 1")

    @model_validator(mode="after")
    def _one_for_each(self) -> Self:
        if self.gpus and self.slots is not None:
            raise ValueError("give slots, or gpus, of which each is a slot")
        return self


class TaskSection(Section):
    """What is run: a training, or any command."""

    config: str | None = option(None, "A configuration, for voxflow train.")
    over: list[str] = option(list, "Files on top of it.", alias="with")
    set: dict[str, Any] = option(dict, "Options by their dotted keys, on top of these.")
    command: str | list[str] | None = option(None, "A command, in place of a training.")
    places: list[str] | None = option(None, "Where it can be run; by default everywhere.")

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.config is None) == (not self.command):
            raise ValueError("give config or command, and not both")
        if self.command and (self.set or self.over):
            raise ValueError("set and with are for a config")
        return self


class TasksSection(Section):
    """A list of tasks."""

    folder: str | None = option(None, "Where runs and logs are; by default the file's name.")
    places: list[PlaceSection] = option(
        lambda: [PlaceSection()], "Where tasks are run.", min_length=1
    )
    tasks: dict[Name, TaskSection] = option(..., "What is run, by name.", "required")


@dataclass(frozen=True)
class Place:
    """Where one task at a time can be run.

    Attributes
    ----------
    name
        What it is called; several may have one name.
    prefix
        What is put before a command that is run there.
    host
        Where ssh leads; None: this machine.
    gpu
        The GPU that tasks see; None: all.
    """

    name: str
    prefix: tuple[str, ...] = ()
    host: str | None = None
    gpu: int | None = None

    def command(self, command: tuple[str, ...], folder: Path) -> list[str]:
        """What is started on this machine, for a command to be run in this place.

        Parameters
        ----------
        command
            A program and its arguments.
        folder
            Where it is started.

        Examples
        --------
        >>> place = Place("gpu-1", host="gpu-1", gpu=0)
        >>> place.command(("echo", "a b"), Path("/data"))[-1]
        "cd /data && exec env CUDA_VISIBLE_DEVICES=0 echo 'a b' < /dev/null"
        """
        visible = [] if self.gpu is None else ["env", f"CUDA_VISIBLE_DEVICES={self.gpu}"]
        whole = [*visible, *self.prefix, *command]
        if self.host is None:
            return whole
        remote = f"cd {shlex.quote(str(folder))} && exec {shlex.join(whole)} < /dev/null"
        # With a terminal of its own, what runs there ends when this end of ssh does.
        return ["ssh", "-tt", "-o", "BatchMode=yes", self.host, remote]


@dataclass(frozen=True)
class Task:
    """What is to be run.

    Attributes
    ----------
    name
        Of the task, and of its files.
    what
        The command, but for what changes when it is gone on with.
    run_dir
        The run directory of a training; None: it is none.
    places
        Where it can be run; None: everywhere.
    """

    name: str
    what: tuple[str, ...]
    run_dir: Path | None = None
    places: tuple[str, ...] | None = None

    @property
    def command(self) -> tuple[str, ...]:
        """What is started now: a training that was begun goes on."""
        if self.run_dir is None:
            return self.what
        train = (sys.executable, "-m", "voxflow.cli", *self.what, "--run-dir", str(self.run_dir))
        return (*train, "--resume") if (self.run_dir / MARKER).is_file() else train


@dataclass(frozen=True)
class TaskList:
    """Tasks and places.

    Attributes
    ----------
    folder
        Where runs, logs and states are.
    home
        Where commands are started: the folder of the file.
    places
        One for each task at a time.
    tasks
        In their order.
    """

    folder: Path
    home: Path
    places: tuple[Place, ...]
    tasks: tuple[Task, ...]


def load_tasks(file: str | Path) -> TaskList:
    """Read a list of tasks, and check all configurations that it names.

    Parameters
    ----------
    file
        A YAML file.

    Raises
    ------
    ConfigError
        With a line for each mistake, in the list or in a configuration.
    """
    path = Path(file).absolute()
    values, lines = read_yaml(Path(file))

    def where(key: tuple[str, ...]) -> str:
        ends = (key[:end] for end in range(len(key), 0, -1))
        return next((f"{file}:{lines[end]}" for end in ends if end in lines), str(file))

    try:
        found = TasksSection.model_validate(values)
    except ValidationError as error:
        raise ConfigError(_told(e, where) for e in error.errors()) from error
    home = path.parent
    folder = home / (path.stem if found.folder is None else found.folder)
    places = tuple(place for section in found.places for place in _slots(section))
    tasks, mistakes = [], list[Mistake]()
    for name, section in found.tasks.items():
        unknown = set(section.places or ()) - {place.name for place in places}
        for other in sorted(unknown):
            hint = nearest(other, [place.name for place in places])
            key = ("tasks", name, "places")
            mistakes.append(Mistake(where(key), ".".join(key), f"{other} is no place{hint}"))
        try:
            tasks.append(_task(name, section, home, folder))
        except ConfigError as error:
            at = where(("tasks", name))
            mistakes += [Mistake(at, f"tasks.{name}", str(mistake)) for mistake in error.mistakes]
    if mistakes:
        raise ConfigError(mistakes)
    return TaskList(folder, home, places, tuple(tasks))


def _slots(section: PlaceSection) -> Iterator[Place]:
    name = section.name or section.host or "here"
    gpus: list[int] | list[None] = section.gpus or [None] * (section.slots or 1)
    for gpu in gpus:
        yield Place(name, tuple(section.command), section.host, gpu)


def _task(name: str, section: TaskSection, home: Path, folder: Path) -> Task:
    places = None if section.places is None else tuple(section.places)
    if section.config is None:
        command = section.command or ""
        what = shlex.split(command) if isinstance(command, str) else command
        return Task(name, tuple(what), None, places)
    config, more = home / section.config, [home / file for file in section.over]
    assignments = [f"{key}={said(value)}" for key, value in section.set.items()]
    load_config(config, assignments, more=more)
    layers = [part for file in more for part in ("--with", str(file))]
    return Task(name, ("train", str(config), *assignments, *layers), folder / name, places)


def _told(error: Any, where: Any) -> Mistake:
    place = tuple(str(part) for part in error["loc"])
    key = ".".join(place)
    if error["type"] == "extra_forbidden":
        sections: dict[str, type[Section]] = {"tasks": TaskSection, "places": PlaceSection}
        section = sections.get(place[0], TasksSection) if len(place) > 1 else TasksSection
        known = [field.alias or name for name, field in section.model_fields.items()]
        return Mistake(where(place), key, f"is no option{nearest(place[-1], known)}")
    if error["type"] == "too_short":
        return Mistake(where(place), key, "name at least one, or leave it out")
    text = error["msg"].removeprefix("Value error, ").replace("Input should", "should", 1)
    return Mistake(where(place), key, text)
