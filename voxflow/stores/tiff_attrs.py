"""What TIFF files say of their voxels, in the words of voxflow, OME and ImageJ."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from voxflow.pipeline.geometry import Coordinate
from voxflow.stores.errors import StoreError
from voxflow.stores.metadata import NANOMETERS, plain_numbers

__all__ = ["described"]

_NAMES = {"Z": "z", "Y": "y", "X": "x", "C": "c^", "S": "c^", "T": "t"}
_SPACE = ("z", "y", "x")
_METRIC = {"µm": "um", "micron": "um", "\\u00B5m": "um", "μm": "um"}
_OPACITY = (1, 2)  # of the tag ExtraSamples: colors are multiplied by it, or not
_UNITS_OF_TAG = {2: Fraction(254, 100), 3: Fraction(1)}  # inch and centimetre, in cm


def described(file: Any, series: Any) -> dict[str, Any]:
    """Attributes of a series: ``resolution``, ``units``, ``offset``, ``axis_names``, where told.

    Also ``opacity``, if that is what the last channel is.

    Parameters
    ----------
    file
        tifffile's, open.
    series
        One of its series, or a level of one.
    """
    page = series.keyframe
    own = _json(page.description)
    if own.get("shape") == list(series.shape) and "axis_names" in own:
        del own["shape"]
        return own
    axes = [_NAMES.get(name, f"{name.lower()}^") for name in series.axes]
    attrs: dict[str, Any] = {"axis_names": axes} if set(axes) & set(_SPACE) else {}
    if len(axes) == 3 and series.axes[0] in "QI" and "z" not in axes:
        # Pages that nothing is said of: sections.
        attrs["axis_names"] = ["z", *axes[1:]]
    if "S" in series.axes and page.extrasamples and page.extrasamples[-1] in _OPACITY:
        attrs["opacity"] = True
    sizes, units = _ome(file.ome_metadata) if file.is_ome else _imagej(file, page)
    spatial = [name for name in attrs.get("axis_names", ()) if name in _SPACE]
    if spatial and all(name in sizes for name in spatial):
        factors = _factors(file, series, attrs["axis_names"])
        attrs["resolution"] = [_number(sizes[name] * factors[name]) for name in spatial]
        if all(units.get(name) for name in spatial):
            attrs["units"] = [units[name] for name in spatial]
    return attrs


def _json(text: str | None) -> dict[str, Any]:
    if not text or not text.startswith("{"):
        return {}
    try:
        found = json.loads(text)
    except ValueError as error:
        raise StoreError(f"the description of the first page is damaged: {error}") from error
    return found if isinstance(found, dict) else {}


def _number(value: Fraction) -> int | float:
    try:
        return plain_numbers(Coordinate((value,)))[0]
    except StoreError:  # a ratio of pixels and centimetres that no decimal states
        return float(f"{float(value):.12g}")


def _ome(text: str) -> tuple[dict[str, Fraction], dict[str, str]]:
    """PhysicalSizeX of the first image and its unit, micrometres where none is stated.

    Source: https://docs.openmicroscopy.org/ome-model, "Pixels".
    """
    pixels = next((e for e in ET.fromstring(text).iter() if e.tag.endswith("Pixels")), None)
    sizes: dict[str, Fraction] = {}
    units: dict[str, str] = {}
    if pixels is None:
        return sizes, units
    for name in _SPACE:
        value = pixels.get(f"PhysicalSize{name.upper()}")
        if value is not None:
            sizes[name] = Fraction(value)
            unit = pixels.get(f"PhysicalSize{name.upper()}Unit", "um")
            units[name] = _METRIC.get(unit, unit)
    if len(set(units.values())) > 1 and all(unit in NANOMETERS for unit in units.values()):
        sizes = {name: size * NANOMETERS[units[name]] for name, size in sizes.items()}
        units = dict.fromkeys(units, "nm")
    return sizes, units


def _imagej(file: Any, page: Any) -> tuple[dict[str, Fraction], dict[str, str]]:
    """ImageJ's spacing of sections, and the tags that state pixels per unit."""
    said: Mapping[str, Any] = file.imagej_metadata or {}
    unit = str(said.get("unit", ""))
    unit = _METRIC.get(unit, unit)
    sizes: dict[str, Fraction] = {}
    tagged = page.tags.valueof("ResolutionUnit", 1)
    factor = Fraction(1)
    if not said:
        if tagged not in _UNITS_OF_TAG:
            return {}, {}  # a mere ratio of the sides of a pixel
        factor, unit = _UNITS_OF_TAG[tagged] * 10_000, "um"
    for name, tag in (("y", "YResolution"), ("x", "XResolution")):
        count, length = page.tags.valueof(tag, (0, 1))
        if count and length:
            sizes[name] = Fraction(length, count) * factor
    if "spacing" in said:
        sizes["z"] = Fraction(str(said["spacing"]))
    if unit in ("", "pixel", "pixels"):
        return sizes if said.get("spacing") else {}, {}
    return sizes, dict.fromkeys(_SPACE, unit)


def _factors(file: Any, series: Any, names: list[str]) -> dict[str, Fraction]:
    """How much larger the voxels of a level are than those of the whole image."""
    whole = next((s for s in file.series if any(level is series for level in s.levels)), series)
    return {
        name: Fraction(round(a / b)) if name in _SPACE and b else Fraction(1)
        for name, a, b in zip(names, whole.shape, series.shape, strict=True)
    }
