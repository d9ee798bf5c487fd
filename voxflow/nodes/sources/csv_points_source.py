"""Points from text files."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from voxflow.pipeline.data import Batch, BatchRequest, Graph, GraphKey, GraphSpec
from voxflow.pipeline.data.graph_ids import as_ids
from voxflow.pipeline.engine import BatchProvider
from voxflow.pipeline.geometry import Coordinate, Roi

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from voxflow.pipeline.data.graph_ids import IntArray


class CsvPointsSource(BatchProvider):
    """Offers the points of a text file: one point a line, values separated by a delimiter.

    The first line is a header if none of the columns that are read is a number there. Lines that
    are empty but for delimiters count for nothing.

    Parameters
    ----------
    filename
        The file, read at setup.
    points
        The name under which the points are offered, as a graph without edges.
    spatial_cols
        The columns of the location, counted from 0, in the order of the axes.
    points_spec
        Where points are offered, and the dtype of their locations. None: from the lowest whole
        numbers to one behind the highest, in float32.
    scale
        What locations are multiplied with, one number or one for each axis, so that they are in
        world units.
    id_col
        The column of the ids: whole numbers up to 2**64 - 1, each once. None: they are counted
        from 0.
    delimiter
        One character.

    Raises
    ------
    TypeError
        If `points` is no `GraphKey`.
    FileNotFoundError
        At setup, if there is no such file.
    ValueError
        If there is no spatial column, or `scale` does not fit them; at setup, if a line has no
        number where there has to be one (the error names file, line and column), an id is there
        twice, or there are neither points nor a `points_spec`.
    """

    takes_no_input: ClassVar[bool] = True

    def __init__(
        self,
        filename: str | os.PathLike[str],
        points: GraphKey,
        spatial_cols: Sequence[int],
        points_spec: GraphSpec | None = None,
        scale: ArrayLike | None = None,
        id_col: int | None = None,
        delimiter: str = ",",
    ) -> None:
        if not isinstance(points, GraphKey):
            raise TypeError(f"CsvPointsSource offers points under a GraphKey, got {points!r}")
        self.filename = filename
        self.points = points
        self.spatial_cols = tuple(spatial_cols)
        self.points_spec = points_spec
        self.scale = scale
        self.id_col = id_col
        self.delimiter = delimiter
        if (
            not self.spatial_cols
            or min(self.spatial_cols) < 0
            or (id_col is not None and id_col < 0)
        ):
            raise ValueError(
                f"columns are counted from 0, and a location has one or more, got "
                f"spatial_cols={self.spatial_cols}, id_col={id_col}"
            )
        factors = np.asarray(1.0 if scale is None else scale, np.float64)
        if factors.shape not in ((), (len(self.spatial_cols),)) or not np.isfinite(factors).all():
            raise ValueError(
                f"scale is a number, or one for each of spatial_cols={self.spatial_cols}, got "
                f"{scale!r}"
            )

    def name(self) -> str:
        """The class and the file."""
        return f"{type(self).__name__}[{os.fspath(self.filename)}]"

    def setup(self) -> None:
        """Read the file."""
        ids, places = self._read()
        if self.scale is not None:
            places = places * np.asarray(self.scale, np.float64)
        spec = GraphSpec() if self.points_spec is None else self.points_spec.copy()
        none = np.empty((0, 2), np.int64)
        self._graph = Graph.from_arrays(ids, places, none, GraphSpec(dtype=spec.dtype))
        if self.points_spec is None:
            spec.roi = self._around()
        self.provides(self.points, spec)

    def teardown(self) -> None:
        """Let go of the points."""
        self.__dict__.pop("_graph", None)

    def provide(self, request: BatchRequest) -> Batch:
        """Give the points in the region that is asked for."""
        batch = Batch()
        if self.points in request:
            graph = self._graph.crop(request[self.points].region, crossing="drop")
            spec = self.spec[self.points].copy()
            spec.roi = request[self.points].roi
            graph.spec = spec
            batch[self.points] = graph
        return batch

    def _around(self) -> Roi:
        places = self._graph.locations
        if not len(places):
            raise ValueError(f"{self.name()} holds no points; say where with points_spec")
        begin = Coordinate(math.floor(low) for low in places.min(axis=0).tolist())
        end = Coordinate(math.ceil(high) + 1 for high in places.max(axis=0).tolist())
        return Roi(begin, end - begin)

    # -- the file -------------------------------------------------------------------------------

    def _read(self) -> tuple[IntArray, np.ndarray[Any, Any]]:
        """The ids and the locations."""
        columns = self.spatial_cols if self.id_col is None else (*self.spatial_cols, self.id_col)
        first = next(self._lines(), None)
        if first is None:
            return np.empty(0, np.int64), np.empty((0, len(self.spatial_cols)))
        number, row = first
        skipped = number if self._is_header(row, columns) else 0
        try:
            places = self._loaded(self.spatial_cols, np.float64, skipped)
            if not np.isfinite(places).all():
                raise ValueError
            if self.id_col is None:
                return np.arange(len(places)), places
            return self._ids(skipped), places
        except ValueError:
            self._explain(skipped)
            raise

    def _ids(self, skipped: int) -> IntArray:
        column = (self.id_col,) if self.id_col is not None else ()
        try:
            return self._loaded(column, np.int64, skipped)[:, 0]
        except ValueError:  # an id of 2**63 or more
            return self._loaded(column, np.uint64, skipped)[:, 0]

    def _loaded(self, columns: tuple[int, ...], dtype: Any, skipped: int) -> np.ndarray[Any, Any]:
        with open(self.filename, encoding="utf-8-sig", newline="") as file:
            for _ in range(skipped):
                next(file)
            rest = [line for line in file if line.replace(self.delimiter, " ").strip()]
        if not rest:
            return np.empty((0, len(columns)), dtype)
        found: np.ndarray[Any, Any] = np.loadtxt(
            rest,
            dtype,
            comments=None,
            delimiter=self.delimiter,
            usecols=columns,
            ndmin=2,
            quotechar='"',
        )
        return found

    def _lines(self) -> Iterator[tuple[int, list[str]]]:
        """The lines that are not empty, with their numbers from 1."""
        with open(self.filename, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=self.delimiter)
            for row in reader:
                if any(cell.strip() for cell in row):
                    yield reader.line_num, row

    def _is_header(self, row: list[str], columns: tuple[int, ...]) -> bool:
        return not any(column < len(row) and _is_number(row[column]) for column in columns)

    def _explain(self, skipped: int) -> None:
        """Say what is wrong with the file, and where."""
        names = {} if self.id_col is None else {self.id_col: "an id"}
        names.update({column: "a coordinate" for column in self.spatial_cols})
        for number, row in self._lines():
            if number <= skipped:
                continue
            for column, what in names.items():
                where = f"{os.fspath(self.filename)}, line {number}, column {column}"
                if column >= len(row):
                    raise ValueError(
                        f"{where}: the line has only {len(row)} values separated by "
                        f"{self.delimiter!r}: {self.delimiter.join(row)!r}"
                    )
                right = _is_id if column == self.id_col else _is_number
                if not right(row[column]):
                    raise ValueError(f"{where}: {row[column]!r} is not {what}")


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _is_id(text: str) -> bool:
    try:
        as_ids([int(text)])
    except ValueError:
        return False
    return True
