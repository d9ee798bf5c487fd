"""A mapping against the schema: every mistake, said in a line with the place it is from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from voxflow.training.config.elektronn import what_became_of
from voxflow.training.config.mistakes import Mistake, nearest
from voxflow.training.config.options import Section, keys_of, section_of
from voxflow.training.config.schema import Config
from voxflow.training.config.text import write_yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["validated"]

Key = tuple[str, ...]


def validated(
    values: dict[str, Any],
    origins: Mapping[Key, str],
    *,
    lenient: bool = False,
    complete: bool = True,
) -> tuple[Config | None, list[Mistake], list[Mistake]]:
    """Check a mapping.

    Parameters
    ----------
    values
        All layers, merged. Keys that are not known are taken out of it if `lenient`.
    origins
        Where each key is from.
    lenient
        Whether keys that are not known are left out.
    complete
        Whether a key that is missing is a mistake.

    Returns
    -------
    tuple
        The configuration, or None; what is wrong with it; and which keys were left out.
    """
    unknown: list[Mistake] = []
    if lenient:
        for place in _unknown_places(values):
            unknown.append(_unknown(place, origins))
            _remove(values, place)
    try:
        config = Config.model_validate(values)
        write_yaml(config.model_dump())  # a Python file may hold anything
    except ValidationError as error:
        found = [e for e in error.errors() if not _mistyped(e, error.errors())]
        found = [e for e in found if complete or e["type"] != "missing"]
        return None, _joined(_told(e, origins) for e in found), unknown
    except ValueError as error:
        return None, [Mistake("", "", f"holds what cannot be written down: {error}")], unknown
    return config, [], unknown


def _unknown_places(values: dict[str, Any]) -> list[tuple[int | str, ...]]:
    try:
        Config.model_validate(values)
    except ValidationError as error:
        return [e["loc"] for e in error.errors() if e["type"] == "extra_forbidden"]
    return []


def _remove(values: Any, place: Sequence[int | str]) -> None:
    for name in place[:-1]:
        values = values[name]
    del values[place[-1]]


def _mistyped(found: Any, errors: Iterable[Any]) -> bool:
    """Whether what is missing is there under nearly its name: one mistake, not two."""
    *above, name = found["loc"] or ("",)
    return found["type"] == "missing" and any(
        other["type"] == "extra_forbidden"
        and list(other["loc"][:-1]) == above
        and nearest(str(other["loc"][-1]), [name])
        for other in errors
    )


def _joined(mistakes: Iterable[Mistake]) -> list[Mistake]:
    """One line for a value that is none of several kinds."""
    by_key: dict[tuple[str, str], list[str]] = {}
    for mistake in mistakes:
        by_key.setdefault((mistake.where, mistake.key), []).append(mistake.text)
    return [Mistake(*place, ", or ".join(texts)) for place, texts in by_key.items()]


def _told(found: Any, origins: Mapping[Key, str]) -> Mistake:
    place = found["loc"]
    if found["type"] == "extra_forbidden":
        return _unknown(place, origins)
    key = _known_part(place, origins)
    if found["type"] == "missing":
        above, section = _section_at(place[:-1])
        text = section.model_fields[str(place[-1])].description if section else ""
        where = _where(above, origins) if above else ""
        return Mistake(where, ".".join(map(str, place)), f"is missing: {text}")
    text = found["msg"].removeprefix("Value error, ").replace("Input should", "should", 1)
    own = found["type"] == "value_error"
    value = "" if own else f", got {_short(found['input'])}"
    return Mistake(_where(key, origins), ".".join(key), f"{text}{value}")


def _unknown(place: Sequence[int | str], origins: Mapping[Key, str]) -> Mistake:
    key = tuple(map(str, place))
    _, section = _section_at(place[:-1])
    known = list((section or Config).model_fields)
    advice = what_became_of(key[-1]) if len(key) == 1 else None
    hint = f" of ELEKTRONN; {advice}" if advice else nearest(key[-1], known, keys_of(Config))
    what = "is a key" if advice else "is no option"
    return Mistake(_where(key, origins), ".".join(key), f"{what}{hint}")


def _section_at(place: Sequence[int | str]) -> tuple[Key, type[Section] | None]:
    """The section that a place in the values is, and its key."""
    section: type[Section] | None = Config
    for name in place:
        if section is not None and isinstance(name, str) and name in section.model_fields:
            section = section_of(section.model_fields[name])
    return tuple(map(str, place)), section


def _known_part(place: Sequence[int | str], origins: Mapping[Key, str]) -> Key:
    """A place without what pydantic adds to it, such as the kinds of a union."""
    key: Key = ()
    for name in place:
        longer = (*key, str(name))
        if longer in origins or (key == () and longer):
            key = longer
    return key


def _where(key: Key, origins: Mapping[Key, str]) -> str:
    for end in range(len(key), 0, -1):
        if key[:end] in origins:
            return origins[key[:end]]
    return ""


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
