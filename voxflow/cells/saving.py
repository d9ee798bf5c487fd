"""Predictions of cells as images, under the names of what they are of; and as a figure."""

from __future__ import annotations

import os
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.stores.image_files import is_tiff, need_imageio

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from voxflow.cells.predict import CellPrediction

__all__ = ["plot_cells", "refuse_same_names", "save_cells"]

KINDS = ("objects", "boundaries", "labels")


def save_cells(
    predictions: Iterable[CellPrediction], folder: str | Path, *, plot: bool = False
) -> Iterator[list[Path]]:
    """Write what is predicted into ``objects``, ``boundaries`` and ``labels`` of a folder.

    An image has the name and the size of the one that was predicted; TIFF files become TIFF, pages
    pages, and others PNG. Maps are of 8 bits, where 255 is a probability of 1. Labels are of 16
    bits, or in TIFF of 32 where there are more of them.

    Parameters
    ----------
    predictions
        One after another; pages of a file follow one another.
    folder
        Where to. It is made; one that is there has to be empty.
    plot
        Whether a figure of each image is written, into ``plots``.

    Yields
    ------
    list[pathlib.Path]
        The files of an image.

    Raises
    ------
    FileExistsError
        If the folder is not empty.
    ValueError
        If a PNG file would need more than 65535 labels, or images have the same name.
    """
    place = Path(folder)
    if place.exists() and any(place.iterdir()):
        raise FileExistsError(f"{place} is not empty; nothing is written over, give another folder")
    return _saved(predictions, place, plot)


def refuse_same_names(files: Iterable[str]) -> None:
    """Raise where files would be written over each other; those of pages follow one another.

    Raises
    ------
    ValueError
        If names are the same but for the folder and the suffix.
    """
    seen: dict[str, str] = {}
    for file, _ in groupby(files):
        _once(file, seen)


def _once(file: str, seen: dict[str, str]) -> None:
    name = Path(file).stem
    if name in seen:
        raise ValueError(
            f"{seen[name]} and {file} have one name, and what is predicted of them would have one, "
            "too: rename one of them, or predict their folders into one each"
        )
    seen[name] = file


def _saved(predictions: Iterable[CellPrediction], folder: Path, plot: bool) -> Iterator[list[Path]]:
    seen: dict[str, str] = {}
    for file, group in groupby(predictions, key=lambda made: made.image.plane.file):
        _once(file, seen)
        pages = list(group)
        name = Path(file).stem + (Path(file).suffix if is_tiff(file) else ".png")
        arrays = {
            "objects": [_as_bytes(page.objects) for page in pages],
            "boundaries": [_as_bytes(page.boundaries) for page in pages],
            "labels": _as_labels([page.labels for page in pages], name),
        }
        written = []
        parts = [page.image.plane.path for page in pages]
        for kind in KINDS:
            written.append(folder / kind / name)
            _write(folder / kind / name, arrays[kind], parts)
        for page in pages if plot else ():
            plane = page.image.plane
            which = [plane.path.replace("/", "-")] if plane.path else []
            which += [] if plane.page is None else [str(plane.page)]
            written.append(folder / "plots" / f"{'-'.join([Path(file).stem, *which])}.png")
            plot_cells(page, written[-1])
        yield written


def _as_bytes(probability: NDArray[Any]) -> NDArray[np.uint8]:
    made: NDArray[np.uint8] = np.rint(probability.clip(0, 1) * 255).astype(np.uint8)
    return made


def _as_labels(pages: list[NDArray[np.int64]], name: str) -> list[NDArray[Any]]:
    most = max(int(page.max(initial=0)) for page in pages)
    if most > 65535 and not is_tiff(name):
        raise ValueError(f"{name} would have {most} labels, and PNG has no more than 65535")
    return [page.astype(np.uint16 if most <= 65535 else np.uint32) for page in pages]


def _write(file: Path, pages: list[NDArray[Any]], parts: list[str]) -> None:
    """Write an image, whole or not at all; pages of TIFF in the same parts, each of one size."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{file.stem}.{os.getpid()}.part{file.suffix}")
    try:
        if is_tiff(file.name):
            import tifffile

            with tifffile.TiffWriter(partial) as writer:
                for _, group in groupby(zip(parts, pages, strict=True), key=lambda pair: pair[0]):
                    part = [page for _, page in group]
                    data = np.stack(part) if len(part) > 1 else part[0]
                    writer.write(data, photometric="minisblack", compression="zlib")
        else:
            need_imageio().imwrite(partial, pages[0], plugin="pillow")
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)


def plot_cells(prediction: CellPrediction, file: str | Path | None = None) -> Any:
    """A figure of an image, its labels if there are some beside it, and what was predicted.

    Parameters
    ----------
    prediction
        Of one image.
    file
        Where the figure goes; None: it is returned, open.

    Returns
    -------
    matplotlib.figure.Figure
        With six panels.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError('figures need matplotlib: pip install "voxflow[plots]"') from error
    from voxflow.pictures.ids import colours_of_ids

    image = prediction.image.pixels
    truth = _truth(prediction)
    panels = {
        "image": image.max(0),
        "truth": None if truth is None else colours_of_ids(truth),
        "labels": colours_of_ids(prediction.labels),
        "objects": prediction.objects,
        "boundaries": prediction.boundaries,
        "objects without boundaries": prediction.objects * (1 - prediction.boundaries),
    }
    figure = Figure(figsize=(12, 8), layout="constrained")
    for axes, (title, panel) in zip(figure.subplots(2, 3).flat, panels.items(), strict=True):
        axes.set_title(title)
        axes.set_axis_off()
        if panel is not None:
            limits = {"vmin": 0, "vmax": 1} if panel.dtype.kind == "f" else {}
            axes.imshow(panel, cmap="gray", interpolation="nearest", **limits)
    if file is not None:
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(file, dpi=100)
    return figure


def _truth(prediction: CellPrediction) -> NDArray[Any] | None:
    """Labels of the same name, if there are any, in the folder beside that of the images."""
    from voxflow.stores import DatasetNotFound, ImagePlane

    plane = prediction.image.plane
    folder = Path(plane.file).parent.parent / "labels"
    found = next(folder.glob(f"{Path(plane.file).stem}.*"), None) if folder.is_dir() else None
    if found is None:
        return None
    try:
        labels = ImagePlane(str(found), plane.path, plane.page)
    except DatasetNotFound:
        return None
    same = labels.shape == plane.shape[-2:]
    return labels[(slice(None), slice(None))] if same else None
