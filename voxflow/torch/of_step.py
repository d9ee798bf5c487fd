"""Attributes of what has a training step."""

from __future__ import annotations

from typing import Any


class OfStep:
    """An attribute of an object that is that of its `Step`."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type) -> Any:
        return self if instance is None else getattr(instance._step, self._name)

    def __set__(self, instance: Any, value: Any) -> None:
        setattr(instance._step, self._name, value)
