"""YAML, read safely and with line numbers, and written so that it reads back as it was."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import yaml

from voxflow.training.config.mistakes import ConfigError, Mistake

__all__ = ["parse_value", "read_yaml", "write_yaml"]

Lines = dict[tuple[str, ...], int]
"""The line of each key, counted from 1; places in lists are keys, too."""

# Aliases of aliases can make a file of a few lines endless.
_LARGEST = 100_000

# YAML 1.1 takes 1e-3, without a point, for text.
_FLOAT = re.compile(r"^[-+]?[0-9]+(?:\.[0-9]*)?[eE][-+]?[0-9]+$")


class _Loader(yaml.SafeLoader):
    """Takes no tags that make objects."""


class _Dumper(yaml.SafeDumper):
    """Quotes what the loader would take for a number."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write everything where it stands."""
        return True


for _kind in (_Loader, _Dumper):
    _kind.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789"))


def read_yaml(path: Path) -> tuple[dict[str, Any], Lines]:
    """Values of a file, and their lines.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    tuple
        The mapping that is in the file, and the line of each key.

    Raises
    ------
    ConfigError
        If it cannot be read, is no mapping, says a key twice, or has tags that make objects.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([Mistake(str(path), "", f"cannot be read: {error}")]) from error
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        lines: Lines = {}
        mistakes: list[Mistake] = []
        if node is not None:
            _note(node, (), str(path), lines, mistakes, ())
        if mistakes:
            raise ConfigError(mistakes)
        values = {} if node is None else loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        raise ConfigError([_told(path, error)]) from error
    except yaml.YAMLError as error:
        raise ConfigError([Mistake(str(path), "", f"is no YAML: {error}")]) from error
    finally:
        loader.dispose()
    if not isinstance(values, dict):
        raise ConfigError([Mistake(str(path), "", f"should be a mapping of keys, got {values!r}")])
    return values, lines


def _note(
    node: yaml.Node,
    key: tuple[str, ...],
    path: str,
    lines: Lines,
    mistakes: list[Mistake],
    above: tuple[yaml.Node, ...],
) -> None:
    lines[key] = node.start_mark.line + 1
    if any(node is other for other in above):
        text = "holds itself, through an alias"
        mistakes.append(Mistake(f"{path}:{node.start_mark.line + 1}", ".".join(key), text))
        return
    if len(lines) > _LARGEST:
        raise ConfigError([Mistake(path, "", f"holds more than {_LARGEST} values")])
    above = (*above, node)
    if isinstance(node, yaml.SequenceNode):
        for place, item in enumerate(node.value):
            _note(item, (*key, str(place)), path, lines, mistakes, above)
    elif isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for name, item in node.value:
            line, word = name.start_mark.line + 1, str(name.value)
            if word in seen and word != "<<":
                text = f"is said twice, here and in line {seen[word]}; remove one of them"
                mistakes.append(Mistake(f"{path}:{line}", ".".join((*key, word)), text))
            seen[word] = line
            _note(item, (*key, word), path, lines, mistakes, above)
            lines[*key, word] = line


def _told(path: Path, error: yaml.MarkedYAMLError) -> Mistake:
    mark = error.problem_mark or error.context_mark
    where = str(path) if mark is None else f"{path}:{mark.line + 1}"
    return Mistake(where, "", _problem(error))


def _problem(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or str(error)
    if isinstance(error, yaml.constructor.ConstructorError) and "for the tag '" in problem:
        tag = problem.partition("for the tag '")[2].rstrip("'")
        tag = tag.replace("tag:yaml.org,2002:", "!!")
        return f"the tag {tag} is not taken: a configuration holds plain values only"
    return problem


def parse_value(text: str) -> Any:
    """A value as it is written on the command line.

    Raises
    ------
    ValueError
        If it is no YAML, or has tags that make objects.

    Examples
    --------
    >>> parse_value("1e-3"), parse_value("[1, 2]"), parse_value("Adam"), parse_value("")
    (0.001, [1, 2], 'Adam', None)
    """
    try:
        return yaml.load(text, _Loader)  # a loader of plain values
    except yaml.YAMLError as error:
        problem = _problem(error) if isinstance(error, yaml.MarkedYAMLError) else str(error)
        raise ValueError(f"{text!r} is no value: {problem}. Quote it, if it is text") from error


def write_yaml(values: Any, *, flow: bool = False) -> str:
    """Plain values as YAML, in their order; reading it gives the same values.

    Parameters
    ----------
    values
        Mappings, lists, numbers and text.
    flow
        Whether all is written in one line.

    Raises
    ------
    ValueError
        If there is anything else.

    Examples
    --------
    >>> print(write_yaml({"lr": 0.001, "name": "1e-3"}), end="")
    lr: 0.001
    name: '1e-3'
    """
    style = {"default_flow_style": True, "width": math.inf} if flow else {}
    try:
        return str(yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, **style))
    except yaml.YAMLError as error:
        raise ValueError(f"{error.args[-1]!r} is no plain value") from error
