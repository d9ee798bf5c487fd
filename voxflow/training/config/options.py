"""How the schema says what an option is: its default, who needs it, and what it means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field

from voxflow.training.config.mistakes import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pydantic.fields import FieldInfo

__all__ = [
    "Level",
    "Section",
    "find_option",
    "holds_many",
    "keys_of",
    "kind_of",
    "level_of",
    "option",
    "section_of",
    "split_key",
]

Level = Literal["required", "usual", "special"]
"""Every run has to say it; many runs do; hardly any does."""


class Section(BaseModel):
    """A part of the configuration. It is never changed: a run sets values of its session."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, coerce_numbers_to_str=True
    )


def option(default: Any, text: str, level: Level = "usual", **limits: Any) -> Any:
    """A field of a section.

    Parameters
    ----------
    default
        Its value where no layer gives one; ``...``: a layer has to. A section stands for itself
        with all of its defaults.
    text
        What it means, in a sentence.
    level
        Who has to say it.
    limits
        What pydantic's ``Field`` takes, such as ``gt=0``.
    """
    extra: dict[str, Any] = {"level": level}
    if callable(default):
        return Field(default_factory=default, description=text, json_schema_extra=extra, **limits)
    return Field(default, description=text, json_schema_extra=extra, **limits)


def level_of(field: FieldInfo) -> Level:
    """Who has to say an option."""
    extra = field.json_schema_extra
    return extra["level"] if isinstance(extra, dict) else "usual"  # type: ignore[return-value]


def section_of(field: FieldInfo) -> type[Section] | None:
    """The section that an option holds, itself or in a list, or as the values of a mapping."""
    for kind in _kinds(field.annotation):
        if isinstance(kind, type) and issubclass(kind, Section):
            return kind
    return None


def holds_many(field: FieldInfo) -> bool:
    """Whether an option is a list or a mapping, of sections or of plain values."""
    return any(get_origin(kind) in (list, dict) for kind in _kinds(field.annotation))


def keys_of(section: type[Section], prefix: str = "") -> list[str]:
    """The dotted keys of all options that stand at one place, and hold a value and not a section.

    >>> from voxflow.training.config.schema import OptimizerSection
    >>> keys_of(OptimizerSection, "optimizer.")[:2]
    ['optimizer.name', 'optimizer.lr']
    """
    keys = []
    for name, field in section.model_fields.items():
        below = section_of(field)
        if below is None:
            keys.append(f"{prefix}{name}")
        elif not holds_many(field):
            keys += keys_of(below, f"{prefix}{name}.")
    return keys


def split_key(section: type[Section], key: str) -> list[str]:
    """The parts of a dotted key. A name in a mapping of sections may have dots itself.

    >>> from voxflow.training.config.schema import Config
    >>> split_key(Config, "schedules.optimizer.lr.decay")
    ['schedules', 'optimizer.lr', 'decay']
    """
    first, _, rest = key.partition(".")
    field = section.model_fields.get(first)
    below = None if field is None else section_of(field)
    if field is None or below is None or not rest:
        return [first, *rest.split(".")] if rest else [first]
    if not holds_many(field):
        return [first, *split_key(below, rest)]
    name, _, last = rest.rpartition(".")
    return [first, name, last] if name and last in below.model_fields else [first, rest]


def find_option(section: type[Section], key: str) -> tuple[FieldInfo, type[Section] | None]:
    """An option by its dotted key, and the section that stands there, if it is one.

    What is below a mapping or list of plain values is found as the whole.

    Raises
    ------
    KeyError
        If there is no such option.
    """
    field: FieldInfo | None = None
    here: type[Section] | None = section
    item = False  # whether what comes next is the name of an item
    for part in split_key(section, key):
        if item:
            item = False
        elif here is not None and part in here.model_fields:
            field = here.model_fields[part]
            here, item = section_of(field), section_of(field) is not None and holds_many(field)
        elif field is None or here is not None or not holds_many(field):
            hint = nearest(part, list(here.model_fields if here else ()), keys_of(section))
            raise KeyError(f"there is no option {key}{hint}")
    if field is None:
        raise KeyError(f"there is no option {key!r}")
    return field, here


_WORDS = {int: "whole number", float: "number", str: "text", bool: "true | false", Any: "any value"}


def kind_of(field: FieldInfo) -> str:
    """What values an option takes, in words.

    >>> class Run(Section):
    ...     steps: int | None = option(None, "How many.")
    ...     rate: float = option(1.0, "How fast.", gt=0)
    >>> [kind_of(field) for field in Run.model_fields.values()]
    ['whole number | null', 'number > 0']
    """
    return _in_words(field.annotation) + _limits(field.metadata)


def _in_words(kind: Any) -> str:
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _in_words(inner[0]) + _limits(inner[1:])
    if origin is Literal:
        return " | ".join(map(str, inner))
    if origin is list:
        return f"list of {_in_words(inner[0])}"
    if origin is dict:
        return f"mapping of {_in_words(inner[0])} to {_in_words(inner[1])}"
    if origin is tuple:
        return f"[{', '.join(map(_in_words, inner))}]"
    if inner:
        return " | ".join(map(_in_words, inner))
    if kind in (None, type(None)):
        return "null"
    return _WORDS.get(kind, "section")


def _limits(metadata: Iterable[Any]) -> str:
    limits = []
    for found in metadata:
        for part in getattr(found, "metadata", [found]):
            for name, sign in (("gt", ">"), ("ge", ">="), ("lt", "<"), ("le", "<=")):
                if getattr(part, name, None) is not None:
                    limits.append(f" {sign} {getattr(part, name)}")
    return ",".join(limits)


def _kinds(kind: Any) -> Iterator[Any]:
    yield kind
    for inner in get_args(kind):
        yield from _kinds(inner)
