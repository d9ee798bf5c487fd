"""The log of a training that has no directory, or of a process that does not write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class Nowhere:
    """Takes events as an `EventLog` does, and keeps none."""

    def record(self, step: int, values: Mapping[str, Any]) -> None:
        """Do nothing."""

    def resumed(self, step: int) -> None:
        """Do nothing."""

    def begun(self) -> None:
        """Do nothing."""

    def sync(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""
