"""Pictures of predicted values against their targets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.training.plots import figure_class

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.floating[Any]]
    Pixels = NDArray[np.uint8]

__all__ = ["density_picture", "scatter_picture"]

_BINS = 96


def scatter_picture(pairs: Floats, *, central: float = 99.0, title: str = "") -> Pixels:
    """Draw a point for each pair of a target and what was predicted.

    Both axes have the same range: the central part of all values. Pairs beyond it are not drawn;
    the title says how many they are, and the correlation and the root of the mean squared error of
    all pairs, those included. On the line, both are the same.

    Parameters
    ----------
    pairs
        Finite, shape (pairs, 2): target and prediction.
    central
        How many percent of the values the axes hold.
    title
        A line above all.

    Returns
    -------
    NDArray[np.uint8]
        The picture, shape (height, width, 3).

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        If there is no pair.

    Examples
    --------
    >>> scatter_picture(np.array([[0.0, 0.1], [1.0, 0.8]])).shape
    (600, 600, 3)
    """
    figure, axes, shown, _ = _begun(pairs, central, title)
    size = 2.0 if len(shown) > 500 else 10.0
    axes.scatter(shown[:, 0], shown[:, 1], s=size, alpha=0.5, linewidths=0, color="#3266cc")
    return _pixels(figure)


def density_picture(pairs: Floats, *, central: float = 99.0, title: str = "") -> Pixels:
    """Draw how close together pairs of targets and predictions lie; else as `scatter_picture`.

    The density is a histogram that is smoothed by a Gaussian, as wide as Scott's rule says (Scott
    1992, "Multivariate density estimation": the standard deviation times n to the power of -1/6).
    """
    from scipy.ndimage import gaussian_filter

    figure, axes, shown, limits = _begun(pairs, central, title)
    if len(shown):
        density = np.histogram2d(shown[:, 1], shown[:, 0], bins=_BINS, range=(limits, limits))[0]
        width = (limits[1] - limits[0]) / _BINS
        scott = len(shown) ** (-1 / 6) / width
        smooth = gaussian_filter(density, [max(0.7, scott * s) for s in shown.std(axis=0)[::-1]])
        extent = (*limits, *limits)
        # Roots show where few are, too.
        axes.imshow(np.sqrt(smooth), extent=extent, origin="lower", cmap="viridis", aspect="auto")
    return _pixels(figure)


def _begun(
    pairs: Floats, central: float, title: str
) -> tuple[Any, Any, Floats, tuple[float, float]]:
    """A figure with its axes, the pairs that are shown, and the range of both axes."""
    if not len(pairs):
        raise ValueError("there is no pair of a target and a prediction to be drawn")
    low, high = np.percentile(pairs, (50 - central / 2, 50 + central / 2))
    margin = 0.02 * (high - low) or 0.5
    limits = float(low - margin), float(high + margin)
    inside = ((pairs >= limits[0]) & (pairs <= limits[1])).all(axis=1)
    beyond = int((~inside).sum())
    figure = figure_class()(figsize=(6, 6), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    axes.plot(limits, limits, color="0.5", linewidth=1)
    axes.set(xlim=limits, ylim=limits, xlabel="target", ylabel="prediction")
    said = f"{len(pairs)} pairs" + (f", {beyond} beyond the axes are not shown" if beyond else "")
    axes.set_title("\n".join(filter(None, [title, said, _figures(pairs)])), fontsize=9)
    return figure, axes, pairs[inside], limits


def _figures(pairs: Floats) -> str:
    """The correlation, if both vary, and the error, of all pairs.

    >>> _figures(np.array([[0.0, 1.0], [1.0, 2.0]])), _figures(np.array([[1.0, 3.0]]))
    ('correlation 1.000, root mean squared error 1', 'root mean squared error 2')
    """
    target, prediction = pairs.astype(np.float64).T
    error = float(np.sqrt(np.mean((prediction - target) ** 2)))
    said = f"root mean squared error {error:.4g}"
    if len(pairs) < 2 or not target.std() or not prediction.std():
        return said
    return f"correlation {np.corrcoef(target, prediction)[0, 1]:.3f}, {said}"


def _pixels(figure: Any) -> Pixels:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
