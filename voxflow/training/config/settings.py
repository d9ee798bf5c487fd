"""A configuration, and where each of its values is from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import PydanticUndefined

from voxflow.training.config.options import find_option, kind_of, level_of
from voxflow.training.config.schema import Config
from voxflow.training.config.text import write_yaml

__all__ = ["Settings", "explain", "said"]


@dataclass(frozen=True)
class Settings:
    """What `load_config` gives.

    Parameters
    ----------
    config
        All options, checked.
    origins
        Where dotted keys are from: a file and a line, or "command line".
    """

    config: Config
    origins: Mapping[str, str] = field(default_factory=dict)

    def origin(self, key: str) -> str:
        """Where the value of a key is from; "default" if no layer gave it."""
        return self.origins.get(key, "default")

    def values(self) -> Iterator[tuple[str, Any, str]]:
        """Each option that holds a value: its key, the value, and where that is from."""
        for key, value in _leaves(self.plain()):
            yield key, value, self.origin(key)

    def plain(self) -> dict[str, Any]:
        """All options as plain mappings, lists, numbers and text."""
        return dict(_plain(self.config.model_dump()))

    def dump(self) -> str:
        """All options as YAML. It reads back as the same configuration, from any folder."""
        return write_yaml(_escaped(self.plain()))

    def explain(self, key: str) -> str:
        """What an option means, its value, and where that is from.

        Raises
        ------
        KeyError
            If there is no such option.
        """
        return explain(key, self)


def explain(key: str, settings: Settings | None = None) -> str:
    """What an option means: its default, who needs it, and of a run its value and its origin.

    Parameters
    ----------
    key
        The dotted key of an option, or of a section.
    settings
        The configuration of a run.

    Raises
    ------
    KeyError
        If there is no such option.

    Examples
    --------
    >>> print(explain("optimizer.lr"))
    optimizer.lr: The learning rate.
      type     number > 0
      default  0.001
      level    usual
    """
    found, section = find_option(Config, key)
    lines = [f"{key}: {found.description}"]
    if section is None:
        lines.append(f"  type     {kind_of(found)}")
        default = found.get_default(call_default_factory=True, validated_data={})
        missing = default is PydanticUndefined
        lines.append(f"  default  {'none: it has to be given' if missing else said(default)}")
    lines.append(f"  level    {level_of(found)}")
    if settings is not None:
        inside = [row for row in settings.values() if f"{row[0]}.".startswith(f"{key}.")]
        lines += [f"  {name} = {said(value)}  ({origin})" for name, value, origin in inside]
    elif section is not None:
        lines += [f"  {key}.{name}" for name in section.model_fields]
    return "\n".join(lines)


def _leaves(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and (value or not key):
        for name, item in value.items():
            yield from _leaves(item, f"{key}.{name}" if key else name)
    else:
        yield key, value


def _escaped(value: Any) -> Any:
    """What reads back as it is: variables of the environment were put in already."""
    if isinstance(value, dict):
        return {key: _escaped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_escaped(item) for item in value]
    return value.replace("${", "$${") if isinstance(value, str) else value


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def said(value: Any) -> str:
    """A value in a line, as it is written in YAML.

    >>> said(None), said([1, 2]), said("text")
    ('null', '[1, 2]', 'text')
    """
    return write_yaml([value], flow=True).strip()[1:-1]
