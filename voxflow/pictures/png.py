"""Pixels become a PNG."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

__all__ = ["pillow", "save_picture"]


def save_picture(pixels: Pixels, path: str | Path) -> Path:
    """Write a PNG, whole or not at all; its folder is made.

    Parameters
    ----------
    pixels
        Shape (height, width, 3), or (height, width).
    path
        The file. One that is there is replaced.

    Raises
    ------
    ModuleNotFoundError
        If Pillow is not installed.
    OSError
        If it cannot be written.
    """
    path = Path(path)
    content = io.BytesIO()
    pillow().fromarray(pixels).save(content, format="png")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        partial.write_bytes(content.getvalue())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def pillow(module: str = "Image") -> Any:
    """A module of Pillow.

    Raises
    ------
    ModuleNotFoundError
        If it is not installed.
    """
    try:
        from PIL import Image, ImageDraw, ImageFont
    except ImportError as error:
        raise ModuleNotFoundError(
            'pictures need Pillow: pip install "voxflow[plots]"', name="PIL"
        ) from error
    return {"Image": Image, "ImageDraw": ImageDraw, "ImageFont": ImageFont}[module]
