"""What only some nodes promise, and say so: locality, registration, ids, arrays that are left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import map_coordinates
from scipy.spatial import cKDTree

from voxflow.pipeline.data import ArrayKey, BatchRequest, RunPosition
from voxflow.pipeline.data.seeds import generator
from voxflow.pipeline.geometry import Coordinate
from voxflow.testing.seen import seen, unequal
from voxflow.testing.world import middle, part_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voxflow.pipeline.data import Array, Batch
    from voxflow.pipeline.geometry import Roi
    from voxflow.testing.trial import Trial

    Floats = NDArray[np.float64]

__all__ = ["is_local", "keeps_ids", "keeps_registered", "reads_only"]


def is_local(trial: Trial) -> None:
    """The batch of a sub-region is that part of the batch of the whole."""
    rng = generator(trial.seed, "parts")
    with trial.built() as pipeline:
        whole = trial.serve(pipeline)
        for at_end in (False, True):
            asked = trial.request.clone()
            for key, spec in asked.items():
                if isinstance(key, ArrayKey) and spec.roi is not None:
                    grid = pipeline.spec[key].grid
                    spec.roi = part_of(_less(spec.roi, grid, at_end), grid, rng)
            _compare(trial, trial.serve(pipeline, asked), whole)


def _less(roi: Roi, grid: Coordinate, at_end: bool) -> Roi:
    """A region without the voxels at the begin of each axis, or at its end."""
    edges = zip(grid, roi.shape, strict=True)
    edge = Coordinate(step if extent > step else 0 for step, extent in edges)
    return roi.grow(0, -edge) if at_end else roi.grow(-edge, 0)


def _compare(trial: Trial, part: Batch, whole: Batch) -> None:
    for key, array in part.arrays.items():
        if array.spec.roi is not None:
            text = unequal(array.data, whole[key].crop(array.spec.roi).data)
            if text is not None:
                trial.broken(
                    "local",
                    f"{key}: the part {array.spec.roi} of the batch, asked for by itself, is "
                    f"another one: {text}; ask upstream for as much context as a voxel needs, and "
                    "compute nothing from the region as a whole",
                )


def reads_only(trial: Trial) -> None:
    """What came from upstream is not written into, and need not be writeable."""
    remedy = "make new arrays, as in `batch[key].data = batch[key].data * 2`"
    expected = trial.expected()
    with trial.built() as pipeline:
        probes = list(trial.probes(pipeline))
        for probe in probes:
            probe.read_only, probe.looks_at_nothing = True, False
        try:
            found = seen(pipeline.request_batch(trial.request))
        except Exception as error:
            text = f"with voxels that can only be read it raises {error!r}; {remedy}"
            trial.broken("reads only", text, error)
        for values, copy in (pair for probe in probes for pair in probe.handed):
            changed = unequal(values, copy)
            if changed is not None:
                trial.broken("reads only", f"it wrote into its input: {changed}; {remedy}")
    trial.same("reads only", found, expected, "voxels that are made already change it")


def keeps_ids(trial: Trial) -> None:
    """Labels are ids that there are upstream."""
    key = trial.world.labels
    with trial.built() as pipeline:
        if key not in trial.request or key not in pipeline.spec:
            return
        found = np.unique(trial.serve(pipeline)[key].data)
    there = {0, *np.unique(trial.world.arrays[key].data).tolist()}
    wrong = [value for value in found.tolist() if value not in there]
    if wrong:
        trial.broken(
            "keeps ids",
            f"{key} has ids that there are not upstream, {wrong[:3]}; labels are not averaged, and "
            "64-bit ids do not fit into floating point",
        )


def keeps_registered(trial: Trial) -> None:
    """Image, labels and points are moved by the same map.

    In a world in which the image says where each of its voxels comes from, each voxel of the labels
    has a number of its own, and so have the points.
    """
    coded = type(trial)(trial.make, trial.world.coded(), trial.seed, trial.again)
    world, errors, asked = coded.world, [], BatchRequest()
    region = middle(world.roi, world.voxel_size)
    with coded.built() as pipeline:
        for key in (world.floats, world.labels, world.points):
            if key in pipeline.spec:
                asked[key] = region
        for n in range(4):
            coded.request = asked.at(RunPosition(trial.seed, n))
            batch = coded.serve(pipeline)
            _check_labels(coded, batch)
            errors.append(_point_errors(coded, batch))
    _judge(coded, np.concatenate(errors))


def _check_labels(trial: Trial, batch: Batch) -> None:
    """Each label comes from the voxel that the image comes from."""
    world = trial.world
    ids, places = batch[world.labels].data, batch[world.floats].data
    there = ids != 0
    home = np.unravel_index(ids[there] - 1, world.arrays[world.labels].shape)
    steps = np.array([float(n) for n in world.voxel_size])
    begin = np.array([float(n) for n in world.roi.begin])
    came = (places[:, there].T - begin) / steps - 0.5
    apart = np.abs(came - np.stack(home, -1))
    if len(apart) and apart.max() > 0.51:
        worst = int(apart.max(1).argmax())
        at, its = np.argwhere(there)[worst].tolist(), [int(axis[worst]) for axis in home]
        trial.broken(
            "registered",
            f"{world.labels} and {world.floats} are not moved alike: at voxel {at} the image comes "
            f"from voxel {came[worst].round(2).tolist()} and the label from voxel {its}",
        )


def _point_errors(trial: Trial, batch: Batch) -> Floats:
    """How far points lie from where the image shows their old place, in voxels, shape (N, dims)."""
    world = trial.world
    graph, places = batch[world.points], batch[world.floats]
    homes = dict(zip(world.point_ids.tolist(), world.point_places, strict=True))
    steps = np.array([float(n) for n in world.voxel_size])
    index = _index(graph.locations.astype(np.float64), places, steps)
    last = np.array(places.shape[1:]) - 1
    inside = ((index >= 0) & (index <= last)).all(1)
    came = np.stack([map_coordinates(c, index[inside].T, order=1) for c in places.data], -1)
    old = np.array([homes[n] for n in graph.ids[inside].tolist()]).reshape(-1, world.ndim)
    _check_lost(trial, batch, steps)
    errors: Floats = (came - old) / steps
    return errors


def _check_lost(trial: Trial, batch: Batch, steps: Floats) -> None:
    """A point is there if the image shows its place, not at the very border."""
    world = trial.world
    places = batch[world.floats].data[(slice(None), *[slice(2, -2)] * world.ndim)]
    shown = places.reshape(world.ndim, -1).T / steps
    if not len(shown):
        return
    near, _ = cKDTree(shown).query(world.point_places / steps, p=np.inf, distance_upper_bound=0.45)
    lost = set(world.point_ids[np.isfinite(near)].tolist()) - set(batch[world.points].ids.tolist())
    if lost:
        trial.broken("registered", f"points are lost that the image shows: {sorted(lost)[:3]}")


def _judge(trial: Trial, errors: Floats) -> None:
    if not len(errors):
        return
    worst, mean = np.abs(errors).max(), np.abs(errors.mean(0)).max()
    if worst > 1 or (mean > 0.25 and len(errors) >= 20):
        trial.broken(
            "registered",
            f"points and image are not moved alike: they are up to {worst:.2f} voxels apart, "
            f"{np.round(errors.mean(0), 2).tolist()} on average; the centre of a voxel lies at its "
            "offset + half a voxel",
        )


def _index(locations: Floats, array: Array, steps: Floats) -> Any:
    """World places as voxel indices of an array, 0 at the centre of the first."""
    begin = np.array([float(n) for n in array.spec.region.begin])
    return (locations.reshape(-1, len(steps)) - begin) / steps - 0.5
