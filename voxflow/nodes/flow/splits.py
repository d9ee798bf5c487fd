"""Which of several sources are for training, and how likely each is."""

from __future__ import annotations

import operator
from collections import Counter
from typing import TYPE_CHECKING, TypeVar

from voxflow.pipeline.data.seeds import generator

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

T = TypeVar("T")


def k_folds(items: Iterable[T], k: int, *, seed: int = 0) -> list[tuple[list[T], list[T]]]:
    """Split items into k parts of about the same size, each of which is left out once.

    Parameters
    ----------
    items
        Sources, file names, whatever.
    k
        How many parts, from 2 to the number of items.
    seed
        The same seed gives the same parts.

    Returns
    -------
    list[tuple[list, list]]
        For each part: the items to train with, and those of the part, both in their order.

    Raises
    ------
    ValueError
        If `k` is out of range.

    Examples
    --------
    >>> for train, valid in k_folds("abcde", 2):
    ...     print(train, valid)
    ['b', 'e'] ['a', 'c', 'd']
    ['a', 'c', 'd'] ['b', 'e']
    """
    items = list(items)
    if not 2 <= k <= len(items):
        raise ValueError(f"{len(items)} items cannot be split into {k} folds; k is 2 or more")
    order = generator(seed, "k_folds").permutation(len(items)).tolist()
    return [train_valid_split(items, order[fold::k]) for fold in range(k)]


def train_valid_split(items: Iterable[T], valid: Iterable[int]) -> tuple[list[T], list[T]]:
    """Hold items out, by their numbers.

    Parameters
    ----------
    items
        Sources, file names, whatever.
    valid
        The numbers of those that are held out, from 0; there may be none.

    Returns
    -------
    tuple[list, list]
        The items to train with and those held out, both in their order.

    Raises
    ------
    ValueError
        If a number is not that of an item, or nothing is left to train with.

    Examples
    --------
    >>> train_valid_split(["a.h5", "b.h5", "c.h5"], [1])
    (['a.h5', 'c.h5'], ['b.h5'])
    """
    items, out = list(items), {operator.index(number) for number in valid}
    wrong = sorted(number for number in out if not 0 <= number < len(items))
    if wrong:
        raise ValueError(f"there are {len(items)} items, numbered from 0; {wrong} are not there")
    if len(out) == len(items):
        raise ValueError(f"all {len(items)} items are held out, none is left to train with")
    return (
        [item for number, item in enumerate(items) if number not in out],
        [item for number, item in enumerate(items) if number in out],
    )


def balanced_weights(classes: Sequence[Hashable]) -> list[float]:
    """How likely each item has to be, for all classes to be seen equally often.

    Parameters
    ----------
    classes
        The class of each item.

    Returns
    -------
    list[float]
        Their sum is 1: for ``RandomProvider(weights=...)``.

    Examples
    --------
    >>> balanced_weights(["cell", "cell", "cell", "none"])
    [0.16666666666666666, 0.16666666666666666, 0.16666666666666666, 0.5]
    """
    counts = Counter(classes)
    return [1 / len(counts) / counts[value] for value in classes]
