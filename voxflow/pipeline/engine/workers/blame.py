"""Which part of an object cannot be pickled, as a path that its owner recognises."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from inspect import getclosurevars
from types import FunctionType, MethodType, ModuleType
from typing import Any

_MAX_DEPTH = 12


def find_unpicklable(
    obj: Any, pack: Callable[[Any], Any], name: str
) -> tuple[str, BaseException] | None:
    """Return the path to the innermost part that ``pack`` refuses, and its error.

    Examples
    --------
    >>> import pickle
    >>> path, error = find_unpicklable({"a": [1, (i for i in "abc")]}, pickle.dumps, "result")
    >>> path
    "result['a'][1]"
    """
    return _search(obj, pack, name, set(), 0)


def _search(
    obj: Any, pack: Callable[[Any], Any], name: str, seen: set[int], depth: int
) -> tuple[str, BaseException] | None:
    if id(obj) in seen:
        return None
    seen.add(id(obj))
    try:
        pack(obj)
    except Exception as error:
        if depth < _MAX_DEPTH:
            for path, part in _parts(obj, name):
                found = _search(part, pack, path, seen, depth + 1)
                if found:
                    return found
        return f"{name} ({_kind(obj)})" if depth == 0 else name, error
    return None


def _kind(obj: Any) -> str:
    cls = obj if isinstance(obj, type) else type(obj)
    return f"{cls.__module__}.{cls.__qualname__}"


def _parts(obj: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield what pickling this object would descend into, each with its path."""
    if isinstance(obj, dict):
        yield from ((f"{name}[{key!r}]", value) for key, value in obj.items())
    elif isinstance(obj, (list, tuple)):
        yield from ((f"{name}[{i}]", value) for i, value in enumerate(obj))
    elif isinstance(obj, (set, frozenset)):
        yield from ((f"{name}{{{value!r}}}", value) for value in obj)
    elif isinstance(obj, partial):
        yield from ((f"{name}.func", obj.func), (f"{name}.args", obj.args))
        yield f"{name}.keywords", obj.keywords
    elif isinstance(obj, MethodType):
        yield f"{name}.__self__", obj.__self__
        yield f"{name}.__func__", obj.__func__
    elif isinstance(obj, FunctionType):
        used = getclosurevars(obj)
        for var, value in {**used.nonlocals, **used.globals}.items():
            if not isinstance(value, ModuleType):
                yield f"{name} -> {var}", value
    elif isinstance(obj, type):
        yield from ((f"{name}.{key}", value) for key, value in vars(obj).items())
    else:
        for key in _slot_names(type(obj)):
            if hasattr(obj, key):
                yield f"{name}.{key}", getattr(obj, key)
        yield from ((f"{name}.{key}", v) for key, v in getattr(obj, "__dict__", {}).items())
        cls = type(obj)
        if cls.__module__ == "__main__" or "<locals>" in cls.__qualname__:  # it travels along
            yield f"{name}.__class__", cls


def _slot_names(cls: type) -> Iterator[str]:
    for base in cls.__mro__:
        slots = vars(base).get("__slots__", ())
        yield from (slots,) if isinstance(slots, str) else slots
