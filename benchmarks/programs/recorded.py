"""The dice of a batch of gunpowder, and the same batch from the same dice in voxflow."""

import contextlib
import random

import numpy as np


class Log:
    """What was rolled for one batch."""

    def __init__(self):
        self.rolled = {"scales": [], "shifts": []}

    def taken(self):
        rolled, self.rolled = self.rolled, {"scales": [], "shifts": []}
        return {name: np.asarray(value) for name, value in rolled.items()}


@contextlib.contextmanager
def dice(batches):
    """Note all dice of gunpowder's nodes. Nothing is rolled otherwise than without."""
    import augment

    log, nodes = Log(), batches.nodes
    elastic, simple, location = nodes["elastic"], nodes["simple"], nodes["location"]
    kind = type(elastic)
    plain = {
        "elastic": augment.create_elastic_transformation,
        "rotation": augment.create_rotation_transformation,
        "misalign": kind._ElasticAugment__misalign,
        "intensity": type(nodes["intensity"])._IntensityAugment__augment,
        "simple": type(simple).process,
        "location": type(location).process,
    }

    def elastic_field(shape, spacing, sigma, subsample=1):
        state = np.random.get_state()
        counts = [max(1, round(float(n) / s)) for n, s in zip(shape, spacing, strict=True)]
        points = np.zeros((len(counts), *counts), np.float32)
        for axis, width in enumerate(sigma):
            if width > 0:
                points[axis] = np.random.normal(scale=width, size=counts)
        np.random.set_state(state)
        log.rolled["points"] = points
        return plain["elastic"](shape, spacing, sigma, subsample=subsample)

    def rotation(shape, angle, subsample=1, **rest):
        log.rolled["angle"] = angle
        return plain["rotation"](shape, angle, subsample=subsample, **rest)

    def misalign(self, field):
        before = field[:, :, 0, 0].copy()
        plain["misalign"](self, field)
        log.rolled["sections"] = np.rint(field[:, :, 0, 0] - before).T

    def intensity(self, a, scale, shift):
        log.rolled["scales"].append(scale)
        log.rolled["shifts"].append(shift)
        return plain["intensity"](self, a, scale, shift)

    def simple_process(self, batch, request):
        log.rolled["mirror"] = [bool(m) for m in self.mirror]
        log.rolled["transpose"] = list(self.transpose)
        return plain["simple"](self, batch, request)

    def location_process(self, batch, request):
        log.rolled["shift"] = [int(s) for s in self.random_shift]
        return plain["location"](self, batch, request)

    augment.create_elastic_transformation = elastic_field
    augment.create_rotation_transformation = rotation
    kind._ElasticAugment__misalign = misalign
    type(nodes["intensity"])._IntensityAugment__augment = intensity
    type(simple).process = simple_process
    type(location).process = location_process
    random.seed(1)
    np.random.seed(1)
    try:
        yield log
    finally:
        augment.create_elastic_transformation = plain["elastic"]
        augment.create_rotation_transformation = plain["rotation"]
        kind._ElasticAugment__misalign = plain["misalign"]
        type(nodes["intensity"])._IntensityAugment__augment = plain["intensity"]
        type(simple).process = plain["simple"]
        type(location).process = plain["location"]


@contextlib.contextmanager
def replayed(batches, there):
    """Let voxflow's nodes have the dice that were written down."""
    from voxflow.ops.maps import Compose, ControlPointDisplacement, SectionShifts, rotation
    from voxflow.pipeline.geometry import Coordinate

    nodes = batches.nodes

    def elastic(request, rng):
        total = request.get_total_roi()
        size = np.array([float(v) for v in batches.voxel_size])
        begin, end = (np.array([float(v) for v in c]) for c in (total.begin, total.end))
        center = (begin + end) / 2
        turn = rotation(float(there["angle"]), center.tolist())
        back = np.linalg.inv(np.asarray(turn.matrix))
        points = there["points"] * size[:, None, None, None]
        # Its fields are added up; control points lie on the centres of the outermost voxels.
        moved = np.tensordot(back, points, axes=1)
        maps = [ControlPointDisplacement(moved, begin + size / 2, end - size / 2)]
        if "sections" in there:
            maps.append(SectionShifts((there["sections"] * size) @ back.T, begin[0], size[0]))
        return Compose([*maps, turn])

    def dice(request, counts):
        return there["scales"].reshape(counts), there["shifts"].reshape(counts)

    shift, order = there["shift"].tolist(), tuple(there["transpose"].tolist())
    replacements = {
        (nodes["location"], "shift_of"): lambda request: Coordinate(shift),
        (nodes["elastic"], "draw"): elastic,
        (nodes["simple"], "_chances"): lambda dims: there["mirror"].astype(float).tolist(),
        (nodes["simple"], "_permutations"): lambda dims: ([order], [1.0]),
        (nodes["intensity"], "dice"): dice,
    }
    for (node, name), function in replacements.items():
        setattr(node, name, function)
    try:
        yield
    finally:
        for node, name in replacements:
            delattr(node, name)


def differences(arrays, there):
    """The greatest difference of images; the part of voxels that differ, of all others."""
    found = {}
    for name, data in arrays.items():
        other = there[name]
        if name == "RAW":
            found[name] = float(np.abs(data - other).max())
        else:
            found[name] = float((np.abs(data.astype(np.float64) - other) > 1e-3).mean())
    return found
