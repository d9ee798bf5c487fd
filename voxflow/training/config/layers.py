"""Defaults, the user's file, the run's files, the command line: later ones win."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from voxflow.training.config.environment import interpolate
from voxflow.training.config.mistakes import ConfigError, ConfigWarning, Mistake
from voxflow.training.config.names import Text
from voxflow.training.config.options import split_key
from voxflow.training.config.python import read_python
from voxflow.training.config.schema import Config
from voxflow.training.config.settings import Settings
from voxflow.training.config.text import Lines, parse_value, read_yaml
from voxflow.training.config.validation import validated

__all__ = ["Layer", "load_config", "user_file"]

Key = tuple[str, ...]


@dataclass(frozen=True)
class Layer:
    """Values, and where they are from.

    Parameters
    ----------
    name
        Of the file, or "command line".
    values
        A mapping as it is in a file.
    lines
        The lines of its keys, if it has any.
    folder
        Where its paths begin.
    """

    name: str
    values: Mapping[str, Any]
    lines: Lines = field(default_factory=dict)
    folder: Path = field(default_factory=Path.cwd)

    def where(self, key: Key) -> str:
        """The place of a key: the line of itself, or of what it stands in."""
        for end in range(len(key), 0, -1):
            if key[:end] in self.lines:
                return f"{self.name}:{self.lines[key[:end]]}"
        return self.name


def user_file(environment: Mapping[str, str] = os.environ) -> Path:
    """The file of the user's own defaults: ``voxflow/config.yaml`` in ``XDG_CONFIG_HOME``.

    >>> user_file({"XDG_CONFIG_HOME": "/home/me/.config"})
    PosixPath('/home/me/.config/voxflow/config.yaml')
    """
    home = environment.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(home) / "voxflow" / "config.yaml"


def load_config(
    file: str | Path | None = None,
    assignments: Sequence[str] = (),
    *,
    more: Sequence[str | Path] = (),
    user: str | Path | None = None,
    lenient: bool = False,
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """Put the layers on top of each other, and check what comes out.

    Mappings are merged key by key; anything else is replaced as a whole, lists, too.

    Parameters
    ----------
    file
        A YAML file, or a Python file, which is run.
    assignments
        ``key=value``, as on the command line: a dotted key, and a value as in YAML.
    more
        Files on top of it, one on the other, such as the best values that a tuning has written.
    user
        The file of the user's own defaults; None: `user_file`, if it is there.
    lenient
        Whether a key that is not known is a warning, and no error.
    environment
        Variables for ``${VAR}``; None: those of this process.

    Returns
    -------
    Settings
        The configuration, and where each value is from.

    Raises
    ------
    ConfigError
        With a line for each mistake.

    Warns
    -----
    ConfigWarning
        For each key that is not known, if `lenient`.
    """
    variables = os.environ if environment is None else environment
    mistakes: list[Mistake] = []
    layers = list(_read([file, *more], assignments, user, variables, mistakes))
    unread = file is not None and all(layer.name != str(Path(file)) for layer in layers)
    merged, origins = _merged(layers, variables, mistakes)
    if file is not None and "name" not in merged:
        merged["name"] = Path(file).stem
        origins["name",] = f"the name of {file}"
    config, invalid, unknown = validated(merged, origins, lenient=lenient, complete=not unread)
    told = {mistake.key for mistake in mistakes if mistake.key}
    invalid = [mistake for mistake in invalid if mistake.key not in told]
    mistakes += [m if m.where else replace(m, where=str(file or "")) for m in invalid]
    places = {layer.name: number for number, layer in enumerate(layers)}
    if mistakes or config is None:
        raise ConfigError(sorted(mistakes, key=lambda mistake: _order(mistake, places)))
    for mistake in sorted(unknown, key=lambda mistake: _order(mistake, places)):
        warnings.warn(ConfigWarning(str(mistake)), stacklevel=2)
    return Settings(config, {".".join(key): where for key, where in origins.items()})


def _read(
    run: Sequence[str | Path | None],
    assignments: Sequence[str],
    user: str | Path | None,
    environment: Mapping[str, str],
    mistakes: list[Mistake],
) -> Iterable[Layer]:
    own = user_file(environment) if user is None else Path(user)
    files = [own] if user is not None or own.is_file() else []
    for path in [*files, *(Path(file) for file in run if file is not None)]:
        try:
            yield _layer(path)
        except ConfigError as error:
            mistakes += error.mistakes
    for assignment in assignments:
        try:
            yield Layer("command line", _assigned(assignment))
        except ValueError as error:
            mistakes.append(Mistake("command line", "", str(error)))


def _layer(path: Path) -> Layer:
    if path.suffix == ".py":
        return Layer(str(path), read_python(path), folder=path.absolute().parent)
    return Layer(str(path), *read_yaml(path), folder=path.absolute().parent)


def _assigned(assignment: str) -> dict[str, Any]:
    key, equals, text = assignment.partition("=")
    names = split_key(Config, key.strip())
    if not equals or not all(names):
        raise ValueError(f"{assignment!r} should be key=value, such as optimizer.lr=0.01")
    value = parse_value(text)
    for name in reversed(names):
        value = {name: value}
    return dict(value)


def _merged(
    layers: Iterable[Layer], environment: Mapping[str, str], mistakes: list[Mistake]
) -> tuple[dict[str, Any], dict[Key, str]]:
    merged: dict[str, Any] = {}
    origins: dict[Key, str] = {}
    for layer in layers:
        _put(layer, layer.values, merged, (), origins, environment, mistakes)
    return merged, origins


def _put(
    layer: Layer,
    values: Mapping[Any, Any],
    into: dict[Any, Any],
    above: Key,
    origins: dict[Key, str],
    environment: Mapping[str, str],
    mistakes: list[Mistake],
) -> None:
    """Put the values of a layer on top of what is there."""

    def resolved(value: Any, key: Key) -> Any:
        origins[key] = layer.where(key)
        if isinstance(value, Mapping):
            return {k: resolved(v, (*key, str(k))) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [resolved(item, (*key, str(i))) for i, item in enumerate(value)]
        try:
            found = interpolate(value, environment)
            return Text(found, layer.folder) if isinstance(found, str) else found
        except ValueError as error:
            mistakes.append(Mistake(origins[key], ".".join(key), str(error)))
            return value

    for name, value in values.items():
        key = (*above, str(name))
        there = into.get(name)
        if isinstance(value, Mapping) and isinstance(there, dict):
            _put(layer, value, there, key, origins, environment, mistakes)
            continue
        for below in [other for other in origins if other[: len(key)] == key]:
            del origins[below]
        into[name] = resolved(value, key)


def _order(mistake: Mistake, layers: Mapping[str, int]) -> tuple[int, int, str]:
    name, _, line = mistake.where.rpartition(":")
    if name in layers and line.isdigit():
        return layers[name], int(line), mistake.key
    return layers.get(mistake.where, len(layers)), 0, mistake.key
