"""Rows of named values in columns, as the nodes and the edges of a graph are kept."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from typing import Any, Literal

import numpy as np

Column = np.ndarray[Any, np.dtype[Any]]


class Missing(Enum):
    """What a column of objects holds where a row has no value."""

    MISSING = "missing"


MISSING: Literal[Missing.MISSING] = Missing.MISSING


class Table:
    """Columns of equal length, to which rows are appended and from which they are removed.

    Appending takes constant time on average, and so does removing: a removed row is marked and
    leaves with all others in `compact`. Until then the numbers of the other rows do not change.

    Parameters
    ----------
    fixed
        Columns in which every row has a value, by name.
    free
        Columns in which values may be missing: of any dtype while none is, of objects
        otherwise, with `MISSING` in the gaps.

    Raises
    ------
    ValueError
        If the columns differ in length.
    """

    __slots__ = ("_alive", "_columns", "_fixed", "_size", "removed")

    def __init__(self, fixed: Mapping[str, Column], free: Mapping[str, Column]) -> None:
        self._columns: dict[str, Column] = {**fixed, **free}
        self._fixed = frozenset(fixed)
        lengths = {name: len(column) for name, column in self._columns.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"the columns differ in length: {lengths}")
        self._size = next(iter(lengths.values()))
        self._alive: Column | None = None
        self.removed = 0

    def __len__(self) -> int:
        """The number of rows, those included that are marked as removed."""
        return self._size

    @property
    def free_names(self) -> list[str]:
        """The names of the columns in which values may be missing."""
        return [name for name in self._columns if name not in self._fixed]

    def column(self, name: str) -> Column:
        """A view on a column, for all rows, removed ones included."""
        return self._columns[name][: self._size]

    def set_column(self, name: str, values: Column) -> None:
        """Replace a column, or add one.

        Raises
        ------
        ValueError
            If it has not one value for each row.
        """
        if len(values) != self._size:
            raise ValueError(
                f"{name!r} needs {self._size} values, one for each row, got {len(values)}"
            )
        for other, column in self._columns.items():  # the capacity is the same in all columns
            self._columns[other] = column[: self._size]
        self._columns[name] = values
        if self._alive is not None:
            self._alive = self._alive[: self._size]

    # -- rows ---------------------------------------------------------------------------------

    def append(self, values: Mapping[str, Any]) -> int:
        """Add a row, and give its number. Names without a column get one."""
        row = self._size
        if row == len(next(iter(self._columns.values()))):
            self._grow(max(8, 2 * row))
        self._size += 1
        for name in self.free_names:
            if name not in values:
                self.discard(row, name)
        for name, value in values.items():
            self.write(row, name, value)
        return row

    def _grow(self, capacity: int) -> None:
        for name, column in self._columns.items():
            larger = np.zeros((capacity, *column.shape[1:]), column.dtype)
            larger[: self._size] = column[: self._size]
            self._columns[name] = larger
        if self._alive is not None:
            self._alive = np.concatenate([self._alive, np.ones(capacity - len(self._alive), bool)])

    def remove(self, row: int) -> None:
        """Mark a row as removed."""
        if self._alive is None:
            self._alive = np.ones(len(next(iter(self._columns.values()))), bool)
        self._alive[row] = False
        self.removed += 1

    def alive(self) -> Column:
        """Which rows are not removed, shape (rows,)."""
        if self._alive is None:
            return np.ones(self._size, bool)
        return self._alive[: self._size]

    def is_alive(self, row: int) -> bool:
        """Whether a row is there and not removed."""
        return row < self._size and (self._alive is None or bool(self._alive[row]))

    def compact(self) -> Table:
        """This table without the rows that are marked as removed."""
        return self.take(self.alive(), deep=False) if self.removed else self

    def take(self, rows: Column, deep: bool = True) -> Table:
        """A new table of some rows.

        Parameters
        ----------
        rows
            Booleans for all rows, or the numbers of the wanted ones in any order.
        deep
            Whether objects are copied too.
        """
        taken = {name: self.column(name)[rows] for name in self._columns}
        if deep:
            taken = {name: _copied(column) for name, column in taken.items()}
        return self._like(taken)

    def _like(self, columns: dict[str, Column]) -> Table:
        new = object.__new__(Table)
        new._columns = columns
        new._fixed = self._fixed
        new._size = len(next(iter(columns.values())))
        new._alive = None
        new.removed = 0
        return new

    # -- single values ------------------------------------------------------------------------

    def names(self, row: int) -> Iterator[str]:
        """The names of the values that a row has."""
        for name, column in self._columns.items():
            if column.dtype != object or column[row] is not MISSING:
                yield name

    def read(self, row: int, name: str) -> Any:
        """A value, or a view if the column has several for each row. KeyError if there is none."""
        value = self._columns[name][row]
        if value is MISSING:
            raise KeyError(name)
        # A number comes out as Python's own, as it mostly went in.
        return value.item() if isinstance(value, np.bool_ | np.number) else value

    def write(self, row: int, name: str, value: Any) -> None:
        """Set a value. A column that cannot hold it becomes one of a wider type, or of objects."""
        column = self._columns.get(name)
        if column is None:
            column = np.full(len(next(iter(self._columns.values()))), MISSING, dtype=object)
            self._columns[name] = column
        if name not in self._fixed:
            column = _able_to_hold(column, value)
            self._columns[name] = column
        column[row] = value

    def discard(self, row: int | slice, name: str) -> None:
        """Leave a value out, or those of several rows. KeyError if the table has no such name."""
        if name in self._fixed:
            raise KeyError(f"{name} cannot be left out")
        column = _as_objects(self._columns[name])
        column[row] = MISSING
        self._columns[name] = column

    def values(self, name: str, missing: Any = MISSING) -> Column:
        """A new array of one value for each row, of numbers where all are.

        Parameters
        ----------
        name
            A free column.
        missing
            What stands in for values that are missing.

        Raises
        ------
        KeyError
            If values are missing and nothing stands in for them.
        """
        if name in self._fixed or name not in self._columns:
            known = ", ".join(self.free_names) or "none"
            raise KeyError(f"there is no attribute {name!r}; the attributes are: {known}")
        column = self.column(name)
        if column.dtype != object:
            return column.copy()
        values = [missing if value is MISSING else value for value in column]
        gaps = sum(value is MISSING for value in values)
        if gaps:
            raise KeyError(
                f"{gaps} of {self._size} have no attribute {name!r}; say what stands in for it"
            )
        return as_column(name, values, self._size)

    def __getstate__(self) -> tuple[Any, ...]:
        # Spare capacity does not travel.
        columns = {name: self.column(name) for name in self._columns}
        alive = None if self._alive is None else self.alive()
        return columns, self._fixed, self._size, alive, self.removed

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self._columns, self._fixed, self._size, self._alive, self.removed = state


def gather(
    rows: Iterable[Mapping[str, Any]], count: int, without: frozenset[str]
) -> dict[str, Column]:
    """Turn mappings, one for each row, into columns of objects, with `MISSING` in the gaps.

    Parameters
    ----------
    rows
        The mappings.
    count
        How many there are.
    without
        Names that are left out.
    """
    columns: dict[str, Column] = {}
    for row, values in enumerate(rows):
        for name in values:  # not items(): reading what is left out would cost most of the time
            if name not in without:
                if name not in columns:
                    columns[name] = np.full(count, MISSING, dtype=object)
                columns[name][row] = values[name]
    return columns


def as_column(name: str, values: Any, count: int) -> Column:
    """Read one attribute of all rows: an array-like whose first axis has an entry for each row.

    Raises
    ------
    ValueError
        If it has another number of entries.
    """
    column = values.copy() if isinstance(values, np.ndarray) else _narrow(list(values))
    if column.ndim == 0 or len(column) != count:
        raise ValueError(f"attribute {name!r} has the shape {column.shape}, needs {count} entries")
    return column


def _copied(column: Column) -> Column:
    if column.dtype != object or all(type(v) in _UNCHANGEABLE for v in column):
        return column
    duplicate: Column = copy.deepcopy(column)
    return duplicate


_UNCHANGEABLE = frozenset({Missing, int, float, bool, str, bytes, complex, type(None)})


def _able_to_hold(column: Column, value: Any) -> Column:
    """The column, or its like in a type that holds a value without loss."""
    if column.dtype == object:
        return column
    given = np.asarray(value)
    if given.shape != column.shape[1:] or given.dtype.kind not in "biuf":
        return _as_objects(column)
    if given.dtype == column.dtype:
        return column
    if type(value) is int and column.dtype.kind in "iu":
        if np.can_cast(np.min_scalar_type(value), column.dtype):
            return column
    elif type(value) is int and column.dtype.kind == "f" and float(value) == value:
        return column
    if given.dtype.kind == column.dtype.kind:
        wider = np.result_type(column.dtype, given.dtype)
        return column if wider == column.dtype else column.astype(wider)
    return _as_objects(column)


def _as_objects(column: Column) -> Column:
    if column.dtype == object:
        return column
    return _objects(column.tolist() if column.ndim == 1 else list(column))


def _objects(values: list[Any]) -> Column:
    column: Column = np.full(len(values), MISSING, dtype=object)
    for row, value in enumerate(values):
        column[row] = value
    return column


def _narrow(values: list[Any]) -> Column:
    """Values in an array of numbers where that holds them exactly, of objects elsewhere."""
    kinds = {type(value) for value in values}
    dtypes: list[type] = []
    if kinds <= {float}:
        return np.array(values, np.float64)
    if kinds == {bool}:
        return np.array(values, np.bool_)
    if kinds == {int}:
        dtypes = [np.int64, np.uint64]
    elif kinds == {int, float}:
        dtypes = [np.float64]
    for dtype in dtypes:
        try:
            column: Column = np.array(values, dtype)
        except OverflowError:
            continue
        if all(a == b for a, b in zip(column.tolist(), values, strict=True)):
            return column
    return _objects(values)
