"""What a scan is, written down beside its output: one that differs does not go on with it."""

from __future__ import annotations

import importlib.metadata
import os
import secrets
import sys
from functools import cache
from typing import TYPE_CHECKING, Any

from voxflow.nodes.flow.serving import upstream_of
from voxflow.nodes.sources.dataset_source import DatasetSource
from voxflow.pipeline.data import BatchRequest, RunPosition
from voxflow.pipeline.engine.describe import describe, differences
from voxflow.stores.remote import is_url

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from voxflow.nodes.scanning.blocks import ScanBlocks
    from voxflow.nodes.sinks.places import Output

__all__ = ["changes", "make_manifest", "other_versions", "seeded_as"]

_FORMAT = 1
_PACKAGES = ("voxflow", "numpy", "torch", "zarr", "tensorstore", "h5py")


def make_manifest(
    upstream: Any,
    reference: BatchRequest,
    blocks: ScanBlocks,
    outputs: Sequence[Output],
    request: BatchRequest,
) -> dict[str, Any]:
    """Describe a job, as JSON can hold it.

    Parameters
    ----------
    upstream
        The node that blocks are asked of.
    reference
        What one block asks for.
    blocks
        All blocks.
    outputs
        Where the data go.
    request
        What is asked of the scan, with its seed.
    """
    return {
        "format": _FORMAT,
        "job": secrets.token_hex(8),
        "pipeline": describe(upstream),
        "reference": {str(key): str(spec.roi) for key, spec in reference.items()},
        "blocks": {
            "counts": list(blocks.counts),
            "stride": [str(extent) for extent in blocks.stride],
            "covered": {str(key): str(roi) for key, roi in blocks.covered.items()},
        },
        "outputs": sorted(map(str, outputs)),
        "sources": _places(upstream, outputs),
        "seed": _seed(request),
        "versions": dict(_versions()),
    }


def _places(upstream: Any, outputs: Sequence[Output]) -> dict[str, str]:
    """Where sources are whose names begin in the current folder, if no output is there with them.

    The description has only their names, which may be those of other files in another folder.
    """
    if all(_is_relative(output.store) for output in outputs):
        return {}
    sources = [node for node in upstream_of(upstream) if isinstance(node, DatasetSource)]
    return {node.label: os.path.abspath(node.store) for node in sources if _is_relative(node.store)}


def _is_relative(store: Any) -> bool:
    is_path = isinstance(store, str | os.PathLike) and not is_url(os.fspath(store))
    return is_path and not os.path.isabs(store)


def _seed(request: BatchRequest) -> dict[str, Any]:
    position = request.position
    if position is None:
        return {"request": request.seed}
    return {"run": position.seed, "index": position.index, "path": list(map(list, position.path))}


def seeded_as(request: BatchRequest, manifest: Mapping[str, Any]) -> BatchRequest:
    """The request with the seed that a job was begun with."""
    seed = manifest["seed"]
    if "request" in seed:
        new = request.clone()
        new._set_seed(seed["request"])
        return new
    path = tuple(tuple(step) for step in seed["path"])
    return request.at(RunPosition(seed["run"], seed["index"], path))


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """How a job differs from the one that an output was begun with; versions are left out."""
    if before.get("format") != now["format"]:
        return [f"the record has the format {before.get('format')}, this version writes {_FORMAT}"]
    found = [
        f"{name} is {now[part][name]}, was {before[part][name]}"
        if name in before[part] and name in now[part]
        else f"{name} is {'new' if name in now[part] else 'gone'}"
        for part in ("reference", "blocks")
        for name in sorted({*before[part], *now[part]})
        if before[part].get(name) != now[part].get(name)
    ]
    places = before.get("sources", {})  # older records have none
    found += [
        f"{label} reads {now['sources'][label]}, read {place}"
        for label, place in places.items()
        if now["sources"].get(label, place) != place
    ]
    if before["outputs"] != now["outputs"]:
        found.append(f"the outputs are {now['outputs']}, were {before['outputs']}")
    # Without one that was given, the pipeline drew another.
    if "request" in now["seed"] and before["seed"] != now["seed"]:
        found.append(f"the seed is {now['seed']['request']}, was another")
    return [*differences(before["pipeline"], now["pipeline"]), *found]


def other_versions(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Packages that an output was begun with in another version."""
    then, here = before["versions"], now["versions"]
    return [
        f"{name} {then.get(name, 'not installed')} -> {here.get(name, 'not installed')}"
        for name in sorted({*then, *here})
        if then.get(name) != here.get(name)
    ]


def _versions() -> Iterable[tuple[str, str]]:
    yield "python", ".".join(map(str, sys.version_info[:3]))
    for name in _PACKAGES:
        version = _version(name)
        if version is not None:
            yield name, version


@cache  # each takes a millisecond to look up
def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
