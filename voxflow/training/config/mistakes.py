"""All mistakes of a configuration, a line each, with the names that were likely meant."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["ConfigError", "ConfigWarning", "Mistake", "nearest"]


@dataclass(frozen=True, order=True)
class Mistake:
    """What is wrong, and where.

    Parameters
    ----------
    where
        The layer, and the line in its file: ``toy.yaml:12``.
    key
        The dotted key; empty: the layer as a whole.
    text
        What is wrong, and what to do.

    Examples
    --------
    >>> print(Mistake("toy.yaml:3", "stop.steps", "should be greater than 0, got 0"))
    toy.yaml:3: stop.steps: should be greater than 0, got 0
    """

    where: str
    key: str
    text: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.where, self.key, self.text) if part)


class ConfigError(ValueError):
    """A configuration is wrong. Its text has a line for each mistake.

    Parameters
    ----------
    mistakes
        What is wrong.

    Attributes
    ----------
    mistakes
        What is wrong, in the order of the files and their lines.
    """

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(map(str, self.mistakes)))

    def __reduce__(self) -> tuple[type[ConfigError], tuple[tuple[Mistake, ...]]]:
        return ConfigError, (self.mistakes,)


class ConfigWarning(UserWarning):
    """A key that is not known was left out."""


def nearest(word: str, known: Sequence[str], others: Sequence[str] = ()) -> str:
    """A question for the names that were likely meant, or nothing.

    Parameters
    ----------
    word
        What was written.
    known
        The names that are allowed where it stands.
    others
        Dotted names that are allowed elsewhere: taken if their last part is the word, or if there
        is nothing near among the known ones.

    Examples
    --------
    >>> nearest("optimizr", ["optimizer", "model"])
    '; did you mean optimizer?'
    >>> nearest("lr", ["model", "optimizer"], ["optimizer.lr"])
    '; did you mean optimizer.lr?'
    >>> nearest("xyz", ["model"])
    ''
    """
    lowered = {name.lower(): name for name in known}
    found = [lowered[name] for name in difflib.get_close_matches(word.lower(), lowered, 1, 0.6)]
    last = word.rpartition(".")[2].lower()
    elsewhere = [name for name in others if name.rpartition(".")[2] == last]
    found = elsewhere[:2] or found or difflib.get_close_matches(word, others, 1, 0.6)
    return f"; did you mean {' or '.join(found)}?" if found else ""
