"""Where else the numbers of a training go: TensorBoard, tables, services."""

from __future__ import annotations

import csv
import logging
import os
import threading
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from voxflow.torch.summary import open_summary

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["CsvLogger", "Loggers", "ScalarLogger", "TensorBoardLogger"]

logger = logging.getLogger(__name__)

_TOGETHER, _PATIENCE = 100, 5.0  # steps, and seconds, that TensorBoard gets at once


class ScalarLogger(Protocol):
    """Takes numbers of a training, such as an adapter of a tracking service.

    One that has them is given more: ``log_images(step, images)`` with pixels (height, width, 3) of
    uint8 by name, ``log_histograms(step, values)`` with arrays by name, and ``log_graph(model,
    inputs)`` with a network and the tensors that go into it.
    """

    def log_scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Take the numbers of a step, by name."""

    def close(self) -> None:
        """Let go of files and connections."""


class Loggers:
    """Hands numbers to several loggers. One that fails is told once, and left out from then on.

    Parameters
    ----------
    loggers
        The loggers.

    Attributes
    ----------
    failed
        What was left out, and why, since somebody looked last: for the log of the run.
    """

    def __init__(self, loggers: Iterable[ScalarLogger] = ()) -> None:
        self._loggers = list(loggers)
        # Pictures come from another thread than numbers.
        self._lock = threading.RLock()
        self.failed: list[str] = []

    def log_scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Hand on the numbers of a step. Nothing is raised."""
        self._log("log_scalars", step, values)

    def log_images(self, step: int, images: Mapping[str, NDArray[np.uint8]]) -> None:
        """Hand on pictures to those that take them. Nothing is raised."""
        self._log("log_images", step, images)

    def log_histograms(self, step: int, values: Mapping[str, NDArray[Any]]) -> None:
        """Hand on arrays to those that take them. Nothing is raised."""
        self._log("log_histograms", step, values)

    def log_graph(self, model: Any, inputs: Any) -> None:
        """Hand on a network to those that take one. Nothing is raised."""
        self._log("log_graph", model, inputs)

    def _log(self, method: str, *args: Any) -> None:
        with self._lock:
            for each in list(self._loggers):
                function = getattr(each, method, None)
                try:
                    if function is not None:
                        function(*args)
                except Exception as error:
                    self._leave_out(each, error)

    def close(self) -> None:
        """Close all. Nothing is raised."""
        with self._lock:
            for each in self._loggers:
                try:
                    each.close()
                except Exception as error:
                    self._tell(each, error)
            self._loggers.clear()

    def _leave_out(self, each: ScalarLogger, error: Exception) -> None:
        self._loggers.remove(each)
        self._tell(each, error)
        try:
            each.close()
        except Exception:
            logger.debug("%s cannot be closed either", type(each).__name__, exc_info=True)

    def _tell(self, each: ScalarLogger, error: Exception) -> None:
        why = f"{type(each).__name__} failed ({type(error).__name__}: {error})"
        self.failed.append(why)
        logger.warning("%s and is left out; training goes on", why)


class TensorBoardLogger:
    """Writes numbers, pictures, histograms and the graph of a network for TensorBoard.

    It gets those of some steps, or seconds, together.

    Parameters
    ----------
    folder
        Where to.
    step
        How many steps were done: what is there of later ones is dropped.

    Raises
    ------
    ImportError
        If TensorBoard is not installed.
    """

    def __init__(self, folder: str | Path, step: int = 0) -> None:
        self._writer: Any = open_summary(folder, step)
        # Each number that is handed on wakes a thread, for which the step would wait.
        self._waiting: list[tuple[float, int, Mapping[str, float]]] = []

    def log_scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Take the numbers of a step. ``validation.loss`` is shown beside ``validation.iou``."""
        now = time.time()
        self._waiting.append((now, step, dict(values)))
        if len(self._waiting) >= _TOGETHER or now - self._waiting[0][0] > _PATIENCE:
            self._write()

    def _write(self) -> None:
        waiting, self._waiting = self._waiting, []
        for moment, step, values in waiting:
            for name, value in values.items():
                self._writer.add_scalar(name.replace(".", "/"), value, step, walltime=moment)

    def log_images(self, step: int, images: Mapping[str, NDArray[np.uint8]]) -> None:
        """Take pictures: pixels of the shape (height, width, 3)."""
        for name, pixels in images.items():
            self._writer.add_image(name.replace(".", "/"), pixels, step, dataformats="HWC")

    def log_histograms(self, step: int, values: Mapping[str, NDArray[Any]]) -> None:
        """Take arrays, of whose values a histogram is shown."""
        for name, array in values.items():
            self._writer.add_histogram(name.replace(".", "/"), array, step)

    def log_graph(self, model: Any, inputs: Any) -> None:
        """Take a network, as it runs for a list of tensors."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what depends on values: the picture is of one run
            self._writer.add_graph(model, inputs)

    def close(self) -> None:
        """Write what waits."""
        self._write()
        self._writer.close()


class CsvLogger:
    """Writes a table: a row for each step at which there is something, a column for each name.

    Rows can be read as soon as they are there. A name that turns up later gets a column, and the
    table is written anew. (The log of a run has all events; this is a table of some.)

    Parameters
    ----------
    path
        The file. A table that is there is gone on with.
    names
        Which numbers; None: all.
    step
        How many steps were done: rows of later ones are dropped.
    """

    def __init__(
        self, path: str | Path, names: Iterable[str] | None = None, *, step: int = 0
    ) -> None:
        self.path = Path(path)
        self._names = None if names is None else list(names)
        self._columns = ["step", *(self._names or ())]
        self._last: dict[str, Any] = {}
        self._begins = 0  # of the last row, in the file
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.exists():
            self._write_anew([row for row in self._rows() if int(row["step"]) <= step])

    def log_scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Write the row of a step; what comes later of the same step goes into that row."""
        row = {n: v for n, v in values.items() if self._names is None or n in self._names}
        if not row:
            return
        there = self.path.exists()
        known = self._last if there and self._last.get("step") == step else {}
        new = [name for name in row if name not in self._columns]
        if new or not there:
            self._columns += new
            rows = self._rows() if there else []
            self._write_anew(rows[:-1] if known else rows)
        elif known:
            os.truncate(self.path, self._begins)
        self._last = {**known, "step": step, **row}
        with self.path.open("a", newline="") as file:
            self._begins = file.tell()
            csv.DictWriter(file, self._columns).writerow(self._last)

    def close(self) -> None:
        """Nothing is open between rows."""

    def _rows(self) -> list[dict[str, str]]:
        with self.path.open(newline="") as file:
            reader = csv.DictReader(file)
            # A row that was cut off has not all of its cells.
            rows = [row for row in reader if None not in row.values() and None not in row]
            found = [name for name in reader.fieldnames or () if name not in self._columns]
        self._columns += found
        return [row for row in rows if row.get("step", "").isdecimal()]

    def _write_anew(self, rows: list[dict[str, str]]) -> None:
        partial = self.path.with_name(f".{self.path.name}.{os.getpid()}.part")
        try:
            with partial.open("w", newline="") as file:
                writer = csv.DictWriter(file, self._columns)
                writer.writeheader()
                writer.writerows(rows)
            partial.replace(self.path)
        finally:
            partial.unlink(missing_ok=True)
