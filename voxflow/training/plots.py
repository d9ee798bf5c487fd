"""Pictures of a training's curves, drawn by a process of their own."""

from __future__ import annotations

import argparse
import gc
import io
import logging
import math
import os
import subprocess
import sys
import tempfile
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

import numpy as np

from voxflow.training.covered import find_coverage
from voxflow.training.curves import Series, history

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

__all__ = ["Plotter", "figure_class", "plot_history", "thinned", "value_limits"]

logger = logging.getLogger(__name__)

_POINTS = 2000
_SMOOTH = 8  # points
_FENCE = 10.0  # interquartile ranges


def plot_history(
    path: str | Path | Mapping[str, str | Path],
    folder: str | Path,
    names: Collection[str] | None = None,
    *,
    over: Literal["steps", "hours"] = "steps",
    autoscale: bool = True,
    sma: int = _SMOOTH,
    ema: float | None = None,
) -> list[Path]:
    """Draw the numbers of a run, or of several: a picture for all names with one last part.

    ``loss`` and ``validation.loss`` share ``loss.png``. Each curve has at most 2000 points, among
    them the least and the greatest value of each stretch, and is smoothed besides.

    Parameters
    ----------
    path
        The log of the run, or its directory; of several by the names that they have in the picture.
    folder
        Where the pictures go. Older ones are replaced in one step.
    names
        Which numbers; None: all that were recorded more than once.
    over
        What is drawn to the right: steps, or hours of training.
    autoscale
        Leave out what lies far from the rest, such as the first losses, so that the rest can be
        read.
    sma
        The width of the moving average; 1: none.
    ema
        The decay of an exponential moving average, in place of the other.

    Returns
    -------
    list[Path]
        The pictures.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        If `over` is something else, or a number is out of range.
    KeyError
        If a name has no numbers in any of the runs.
    FileNotFoundError
        If there is no log.
    """
    if over not in ("steps", "hours"):
        raise ValueError(f"over has to be 'steps' or 'hours', got {over!r}")
    if sma < 1 or (ema is not None and not 0 <= ema < 1):
        raise ValueError(f"sma is 1 or more, and ema from 0 to below 1; got {sma} and {ema}")
    groups: dict[str, dict[str, Series]] = {}
    for label, name, series in _curves(path, names):
        groups.setdefault(_file_name(name), {})[label] = series
    smooth = partial(Series.sma, width=sma) if ema is None else partial(Series.ema, decay=ema)
    # Shorter curves are not smoothed.
    shortest = 3 * (sma if ema is None else _SMOOTH) if sma > 1 or ema is not None else math.inf
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, curves in groups.items():
        if names is None and all(len(series) == 1 for series in curves.values()):
            continue  # the seed, for example, is no curve
        target = folder / f"{name}.png"
        part = target.with_name(f".{target.name}.{os.getpid()}.part")
        try:
            part.write_bytes(_picture(curves, over, autoscale, smooth, shortest))
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
        written.append(target)
    return written


def _curves(
    path: str | Path | Mapping[str, str | Path], names: Collection[str] | None
) -> Iterator[tuple[str, str, Series]]:
    """What each curve is called, its name, and the curve."""
    if isinstance(path, (str, Path)):
        yield from ((name, name, series) for name, series in history(path, names).items())
        return
    found = {label: history(one) for label, one in path.items()}
    there = dict.fromkeys(name for curves in found.values() for name in curves)
    missing = [name for name in names or () if name not in there]
    if missing:
        raise KeyError(f"no run has numbers of {', '.join(missing)}; they have {', '.join(there)}")
    for name in there if names is None else names:
        for label, curves in found.items():
            if name in curves:
                yield f"{label}: {name}", name, curves[name]


def thinned(x: Floats, y: Floats, points: int = _POINTS) -> tuple[Floats, Floats]:
    """At most so many points of a curve, with the extremes of each stretch in their order.

    Parameters
    ----------
    x, y
        Shape (n,).
    points
        How many, 2 or more.

    Returns
    -------
    tuple
        Two arrays of the same length, at most `points`; without those that are not finite.

    Examples
    --------
    >>> thinned(np.arange(6.0), np.array([0.0, 9, 1, 1, -5, 1]), points=4)[1]
    array([ 0.,  9.,  1., -5.])
    """
    finite = np.isfinite(y)
    x, y = x[finite], y[finite]
    if len(y) <= points:
        return x, y
    starts = np.linspace(0, len(y), points // 2 + 1).astype(int)
    found = []
    for start, stop in pairwise(starts):
        part = y[start:stop]
        found += sorted((start + int(part.argmin()), start + int(part.argmax())))
    index = np.unique(found)
    return x[index], y[index]


def value_limits(values: Floats) -> tuple[float, float] | None:
    """From where to where values are drawn: without those far from the quartiles.

    Parameters
    ----------
    values
        Shape (n,).

    Returns
    -------
    tuple[float, float] | None
        The least and the greatest of the others, with a margin of 5 %; None if none is finite.

    Examples
    --------
    >>> value_limits(np.array([1e9, 3.0, 2.0, 1.0]))
    (0.9, 3.1)
    """
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    low = float(np.quantile(values, 0.25, method="higher"))
    high = float(np.quantile(values, 0.75, method="lower"))
    fence = _FENCE * abs(high - low)
    # Most are alike: then the others are what there is to be seen.
    near = values[(values >= low - fence) & (values <= high + fence)] if fence else values
    if 2 * len(near) < len(values):  # of a handful, the quartiles may be two that are close
        near = values
    margin = 0.05 * float(near.max() - near.min())
    return float(near.min()) - margin, float(near.max()) + margin


def _picture(
    curves: dict[str, Series],
    over: str,
    autoscale: bool,
    smooth: Callable[[Series], Series],
    shortest: float,
) -> bytes:
    figure = figure_class()(figsize=(9, 5), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    for name, series in curves.items():
        x = series.steps.astype(np.float64) if over == "steps" else series.active / 3600
        few = len(series) < shortest
        (line,) = axes.plot(
            *thinned(x, series.values),
            label=name if few else None,
            linewidth=1.5 if few else 0.7,
            alpha=1.0 if few else 0.35,
            marker="." if few and len(series) < 100 else None,
        )
        if not few:
            axes.plot(*thinned(x, smooth(series).values), color=line.get_color(), label=name)
    limits = value_limits(np.concatenate([series.values for series in curves.values()]))
    if autoscale and limits is not None and limits[0] < limits[1]:
        axes.set_ylim(*limits)
    axes.set_xlabel("step" if over == "steps" else "hours of training")
    axes.grid(alpha=0.3)
    axes.legend()
    content = io.BytesIO()
    figure.savefig(content, format="png")
    return content.getvalue()


def figure_class() -> Any:
    """The figure of matplotlib.

    Raises
    ------
    ImportError
        If it is not installed.
    """
    try:
        # Not pyplot, which has a state, and windows.
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError('plots need matplotlib: pip install "voxflow[plots]"') from error
    return Figure


def _file_name(name: str) -> str:
    last = name.rpartition(".")[2] or name
    return "".join(c if c.isalnum() or c in "+-_" else "_" for c in last)


class Plotter:
    """Draws the curves of a run now and then, while the training goes on.

    Each drawing is a process of its own, of low priority. If the one before is not done, there is
    none. One that fails is told once; training goes on.

    Parameters
    ----------
    path
        The log of the run, or its directory.
    folder
        Where the pictures go.
    """

    def __init__(self, path: str | Path, folder: str | Path) -> None:
        self.path = Path(path)
        self.folder = Path(folder)
        self._process: subprocess.Popen[bytes] | None = None
        self._said: IO[bytes] | None = None
        self._told = False

    def draw(self) -> bool:
        """Begin to draw what the log holds now, and return at once.

        Returns
        -------
        bool
            Whether it was begun: not if the drawing before is not done.
        """
        if not self._is_done():
            return False
        try:
            self._said = self._said or tempfile.TemporaryFile()  # noqa: SIM115
            self._process = self._start(self._said)
        except OSError as error:
            self._tell(str(error))
            return False
        return True

    def _start(self, said: IO[bytes]) -> subprocess.Popen[bytes]:
        places = os.pathsep.join(place or os.getcwd() for place in sys.path)
        return subprocess.Popen(
            [sys.executable, "-P", "-m", __name__, str(self.path), str(self.folder)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
            env={**os.environ, "PYTHONPATH": places},
            # An interrupt is meant for the training.
            start_new_session=True,
        )

    def close(self, timeout: float = 60.0) -> None:
        """Draw once more, and wait for it.

        Parameters
        ----------
        timeout
            After how many seconds drawings are broken off.
        """
        self._wait(timeout)
        if self.draw():
            self._wait(timeout)
        if self._said is not None:
            self._said.close()
            self._said = None

    def _wait(self, timeout: float) -> None:
        if self._process is not None:
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._is_done()

    def _is_done(self) -> bool:
        if self._process is None or self._said is None:
            return True
        code = self._process.poll()
        if code is None:
            return False
        if code != 0:
            self._said.seek(0)
            lines = self._said.read().decode(errors="replace").strip().splitlines()
            self._tell(lines[-1] if lines else f"exit status {code}")
        self._said.seek(0)
        self._said.truncate()
        self._process = None
        return True

    def _tell(self, why: str) -> None:
        if not self._told:
            logger.warning("the curves could not be drawn (%s); training goes on", why)
            self._told = True


def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("path")
    parser.add_argument("folder")
    given = parser.parse_args()
    os.nice(10)
    # A million events are a million objects, which would be gone through again and again.
    gc.disable()
    plot_history(given.path, given.folder)
    if find_coverage(given.path) is not None:
        # Not before: it takes from here how pictures are made.
        from voxflow.training.coverage_plot import plot_coverage

        plot_coverage(given.path, Path(given.folder) / "coverage.png")


if __name__ == "__main__":
    _main()
