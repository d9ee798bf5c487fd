"""Paths of datasets, and what to say when one is not there."""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence

__all__ = ["clean_path", "not_found", "split_name"]

_SHOWN = 12


def clean_path(path: str) -> str:
    """Take off slashes at the ends and doubled ones.

    >>> clean_path("/volumes//raw/")
    'volumes/raw'
    """
    return "/".join(part for part in str(path).split("/") if part)


def split_name(name: str) -> tuple[str, str]:
    """Take apart FILE:DATASET, as commands take it: the store, and the path in it or ``""``.

    The colon of a URL or of a drive is none that parts, and a file of the whole name wins. In a
    file that is there, the path may also stand behind a slash: ``a.hdf/volumes/raw``.

    >>> split_name("s3://bucket/a.zarr:volumes/labels"), split_name("a.tif")
    (('s3://bucket/a.zarr', 'volumes/labels'), ('a.tif', ''))
    >>> split_name("http://host:8000/a.zarr")
    ('http://host:8000/a.zarr', '')
    """
    scheme, mark, rest = name.partition("://")
    if mark:
        host, _, place = rest.partition("/")  # of which a colon parts the port
        inside, colon, path = place.rpartition(":")
        return (f"{scheme}://{host}/{inside}", clean_path(path)) if colon else (name, "")
    if os.path.exists(name):
        return name, ""
    store, colon, path = name.rpartition(":")
    if colon and len(store) > 1 and not path.startswith("\\"):
        return store, clean_path(path)
    end = name.rfind("/")
    while end > 0:
        if os.path.isfile(name[:end]):
            return name[:end], clean_path(name[end:])
        end = name.rfind("/", 0, end)
    return name, ""


def not_found(store: str, path: str, names: Sequence[str], is_group: bool = False) -> str:
    """Say that a dataset is not there, and which ones are, the most similar first.

    >>> print(not_found("a.hdf", "volumes/row", ["volumes/labels", "volumes/raw"]))
    there is no dataset 'volumes/row' in a.hdf, which has: volumes/raw, volumes/labels
    """
    what = "is a group, not a dataset," if is_group else ""
    head = f"{path!r} {what} in {store}" if what else f"there is no dataset {path!r} in {store}"
    if not names:
        return f"{head}, which has no datasets at all"

    def likeness(name: str) -> float:
        whole = difflib.SequenceMatcher(None, path, name).ratio()
        last = difflib.SequenceMatcher(None, path.split("/")[-1], name.split("/")[-1]).ratio()
        return max(whole, last)

    ordered = sorted(names, key=lambda name: (-likeness(name), name))
    rest = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{head}, which has: {', '.join(n or '(its root)' for n in ordered[:_SHOWN])}{rest}"
