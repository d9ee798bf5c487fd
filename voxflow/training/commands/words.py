"""Lines of words become arguments of functions."""

from __future__ import annotations

import ast
import inspect
import shlex
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

Value = Any
"""An argument that is a number, a text, a list of these, true, false or none."""

_WORDS = {"true": True, "false": False, "none": None}


class CommandError(ValueError):
    """There is no such command, or it cannot be done so."""


def value_of(text: str) -> Any:
    """What a text stands for.

    Examples
    --------
    >>> value_of("0.1"), value_of("[1, 2]"), value_of("true"), value_of("reflect")
    (0.1, [1, 2], True, 'reflect')
    """
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def usage(name: str, function: Callable[..., Any]) -> str:
    """How a command is written.

    Examples
    --------
    >>> def save(session, name: str = "saved", **options: Value): ...
    >>> usage("save", save)
    'save [NAME] [KEY=VALUE]...'
    """
    words = [name]
    for one in parameters(function):
        upper = one.name.upper()
        if one.kind is one.VAR_KEYWORD:
            words.append("[KEY=VALUE]...")
        elif one.kind is one.VAR_POSITIONAL:
            words.append(f"[{upper}]...")
        else:
            words.append(upper if one.default is one.empty else f"[{upper}]")
    return " ".join(words)


def parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """What a command takes, without the session."""
    return list(inspect.signature(function).parameters.values())[1:]


def arguments(
    name: str, function: Callable[..., Any], rest: str
) -> tuple[list[Any], dict[str, Any]]:
    """The arguments in the rest of a line.

    Raises
    ------
    CommandError
        If there are too few, too many, or one is not what it has to be.
    """
    positional = [p for p in parameters(function) if p.kind is p.POSITIONAL_OR_KEYWORD]
    words = _split(name, rest)
    if positional and _kind(positional[-1]) == "Value" and len(words) > len(positional):
        # Such as a list, whose blanks separate nothing.
        tail = rest.split(None, len(positional) - 1)[-1]
        words = [*words[: len(positional) - 1], tail]
    options = {}
    if any(p.kind is p.VAR_KEYWORD for p in parameters(function)):
        options = dict(_option(name, word) for word in words[len(positional) :])
        words = words[: len(positional)]
    return bound(name, function, words, options)


def bound(
    name: str, function: Callable[..., Any], given: list[Any], options: dict[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """Arguments as a command takes them.

    Raises
    ------
    CommandError
        If there are too few, too many, or one is not what it has to be.
    """
    signature = inspect.signature(function)
    try:
        call = signature.bind(None, *given, **options)
    except TypeError as error:
        raise CommandError(f"{error}; say: {usage(name, function)}") from None
    known = signature.parameters
    call.arguments |= {
        key: _parsed(name, known[key], value)
        for key, value in call.arguments.items()
        if known[key].kind is inspect.Parameter.POSITIONAL_OR_KEYWORD and key != next(iter(known))
    }
    return list(call.args[1:]), dict(call.kwargs)


def _split(name: str, rest: str) -> list[str]:
    try:
        return shlex.split(rest)
    except ValueError as error:
        raise CommandError(f"{name} {rest}: {error}".replace("No closing", "no closing")) from None


def _option(name: str, word: str) -> tuple[str, Any]:
    key, equals, text = word.partition("=")
    if not equals or not key.isidentifier():
        raise CommandError(f"{name}: an option is written KEY=VALUE, got {word!r}")
    return key, value_of(text)


def _kind(parameter: inspect.Parameter) -> str:
    annotation = parameter.annotation
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return "Value" if text in ("Any", "typing.Any") else text.removesuffix(" | None")


def _parsed(name: str, parameter: inspect.Parameter, value: Any) -> Any:
    kind = _kind(parameter)
    if not isinstance(value, str):
        return value
    if kind == "Value":
        return value_of(value)
    if kind not in ("float", "int"):
        return value
    try:
        return float(value) if kind == "float" else int(value)
    except ValueError:
        what = "a number" if kind == "float" else "a whole number"
        raise CommandError(
            f"{name} needs {what} for {parameter.name.upper()}, got {value!r}"
        ) from None
