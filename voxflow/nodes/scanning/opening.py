"""Begins the job that fills the outputs of a scan, or goes on with the one that was begun."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from voxflow.nodes.scanning.job import Job
from voxflow.nodes.scanning.manifest import changes, make_manifest, other_versions, seeded_as
from voxflow.nodes.scanning.outputs import exists
from voxflow.nodes.scanning.record import Record, read_manifest, remove_record
from voxflow.nodes.sinks.places import MANIFEST
from voxflow.stores import OutputMismatch

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from voxflow.nodes.scanning.blocks import ScanBlocks
    from voxflow.nodes.scanning.scan import Scan
    from voxflow.nodes.sinks.places import Output
    from voxflow.pipeline.data import BatchRequest

logger = logging.getLogger(__name__)

__all__ = ["open_job"]


def open_job(
    scan: Scan, blocks: ScanBlocks, request: BatchRequest, outputs: Sequence[Output]
) -> Job:
    """Begin a job, or go on with the one that was begun.

    Parameters
    ----------
    scan
        The node.
    blocks
        All blocks.
    request
        What is asked of the scan; it has a seed.
    outputs
        What is written.

    Raises
    ------
    OutputMismatch
        If what is there is of another job.
    """
    places = [output.record for output in outputs if output.record is not None]
    if scan.record is not None:
        places.insert(0, scan.record)
    upstream = scan.get_upstream_provider()
    now = make_manifest(upstream, scan.reference, blocks, outputs, request)
    before = _begun(outputs, places)
    if before is not None:
        _check_same(scan, places[0], before, now)
        blocks = blocks.at(seeded_as(request, before))
    record = Record(places[0], blocks.total) if places else None
    job = Job(blocks, scan.policy, record, before or now, places, outputs)
    if before is not None:
        job.go_on()
    return job


def _begun(outputs: Sequence[Output], places: Sequence[Path]) -> dict[str, Any] | None:
    """What is written down of a job that can go on; None if there is none.

    All of its outputs have to be there, and of the same job: one that was removed has to be filled
    from the start.
    """
    found = [read_manifest(place) for place in places]
    whole = all(map(exists, outputs))
    jobs = {None if manifest is None else manifest["job"] for manifest in found}
    if whole and len(jobs) == 1 and None not in jobs:
        return found[0]
    for place, manifest in zip(places, found, strict=True):
        if manifest is not None:
            logger.warning(
                "an output of the scan that is written down in %s was removed or replaced since: "
                "all blocks run again",
                place,
            )
        # Also without a manifest: what a kill left of a record must not count for another job.
        remove_record(place)
    return None


def _check_same(scan: Scan, place: Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    found = changes(before, now)
    if found:
        listed = "".join(f"\n  {line}" for line in found)
        raise OutputMismatch(
            f"{scan.label}: the output was begun by another job ({place / MANIFEST}):{listed}\n"
            "Write to another file or name, remove what is there, or replace it: "
            "voxflow.scan(..., exist='overwrite')"
        )
    versions = other_versions(before, now)
    if versions:
        logger.warning(
            "%s goes on with an output that was begun with other versions, which may make other "
            "values: %s",
            scan.label,
            ", ".join(versions),
        )
