"""Sections that are missing, pale, dirty or folded."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from voxflow.nodes.augment.augment import Augment, probability
from voxflow.pipeline.data import Array, Batch, BatchRequest
from voxflow.pipeline.engine import build
from voxflow.pipeline.geometry import Coordinate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voxflow.pipeline.data import ArrayKey
    from voxflow.pipeline.geometry import Roi

    Data = NDArray[Any]

_FOLD_WIDTH = 20.0


@dataclass(frozen=True)
class Fold:
    """A line in a section: through a point (in parts of the size), with a normal of an angle."""

    at: tuple[float, float]
    angle: float


@dataclass(frozen=True)
class Defects:
    """What befalls the sections of a request, by their number."""

    missing: tuple[int, ...]
    pale: tuple[int, ...]
    dirty: tuple[tuple[int, int], ...]
    """With the seed of the artefact."""
    folded: tuple[tuple[int, Fold], ...]


class DefectAugment(Augment):
    """Gives sections the defects of electron microscopy: at most one for each.

    Labels stay as they are.

    Parameters
    ----------
    intensities
        The array, of three spatial axes or more.
    prob_missing
        How likely a section is all 0.
    prob_low_contrast
        How likely values move towards the mean of the section: ``mean + (value - mean) *
        contrast_scale``, each channel by itself.
    prob_artifact
        How likely a section of `artifact_source` is laid over it.
    prob_deform
        How likely the section has a fold: both sides of a random line come closer by
        `deformation_strength`, within a band of 20 voxels, and what was between them is hidden.
        More is asked of upstream then, as far as there is more; beyond it the last voxels are
        repeated.
    contrast_scale
        What is left of the contrast.
    artifact_source
        A node or a pipeline that offers artefacts, such as ``source + RandomLocation()``. It is set
        up and torn down with this node.
    artifacts
        The artefacts in it, of the same voxel size.
    artifacts_mask
        How much of the artefact is seen, in [0, 1]: ``value * (1 - mask) + artifact * mask``.
    deformation_strength
        Of folds, in voxels.
    axis
        The spatial axis along which sections are stacked.
    p
        The probability with which the node does anything.

    Raises
    ------
    ValueError
        If a probability lies outside of [0, 1] or their sum does, or the source of artefacts or a
        key of it is missing. At setup: if there are too few axes, or voxel sizes differ.

    Examples
    --------
    >>> import voxflow as gp
    >>> raw = gp.ArrayKey("RAW")
    >>> white = gp.ArraySource(raw, np.ones((4, 8, 8)), spec=gp.ArraySpec(voxel_size=(4, 1, 1)))
    >>> line = white + gp.DefectAugment(raw, prob_missing=1, prob_low_contrast=0)
    >>> with gp.build(line) as pipeline:
    ...     asked = gp.BatchRequest({raw: gp.Roi((0, 0, 0), (16, 8, 8))})
    ...     pipeline.request_batch(asked)[raw].data.any()
    np.False_
    """

    def __init__(
        self,
        intensities: ArrayKey,
        prob_missing: float = 0.05,
        prob_low_contrast: float = 0.05,
        prob_artifact: float = 0.0,
        prob_deform: float = 0.0,
        contrast_scale: float = 0.1,
        artifact_source: Any = None,
        artifacts: ArrayKey | None = None,
        artifacts_mask: ArrayKey | None = None,
        deformation_strength: float = 20,
        axis: int = 0,
        p: float = 1.0,
    ) -> None:
        names = ("prob_missing", "prob_low_contrast", "prob_artifact", "prob_deform")
        chances = (prob_missing, prob_low_contrast, prob_artifact, prob_deform)
        self.chances = [probability(n, v) for n, v in zip(names, chances, strict=True)]
        if sum(self.chances) > 1 + 1e-9:
            raise ValueError(
                f"a section has one defect at most, but the probabilities {chances} add up to more "
                "than 1"
            )
        given = (artifact_source, artifacts, artifacts_mask)
        if prob_artifact > 0 and any(value is None for value in given):
            raise ValueError(
                "prob_artifact needs artifact_source, artifacts and artifacts_mask; got "
                + ", ".join(map(repr, given))
            )
        if deformation_strength < 0:
            raise ValueError(f"deformation_strength is 0 or more, got {deformation_strength}")
        self.intensities = intensities
        self.contrast_scale = contrast_scale
        self.artifact_source = artifact_source
        self.artifacts = artifacts
        self.artifacts_mask = artifacts_mask
        self.deformation_strength = deformation_strength
        self.axis = axis
        self.p = probability("p", p)
        self._built: Any = None

    def setup(self) -> None:
        """Say that the array changes; set up the artefacts."""
        self.enable_autoskip()
        spec = self.spec[self.intensities].copy()
        size = spec.grid
        if len(size) < 3 or not 0 <= self.axis < len(size):
            raise ValueError(
                f"{self.name()} needs sections of two axes or more along axis={self.axis}, but "
                f"{self.intensities} has {len(size)} spatial axes"
            )
        if self.artifact_source is not None:
            self._built = build(self.artifact_source)
            offered = self._built.__enter__().spec
            for key in (self.artifacts, self.artifacts_mask):
                if key is not None and offered[key].voxel_size != size:
                    raise ValueError(
                        f"{self.name()}: {key} has voxels of {offered[key].voxel_size}, but "
                        f"{self.intensities} of {size} (world units)"
                    )
        self.updates(self.intensities, spec)

    def teardown(self) -> None:
        """Tear the artefacts down."""
        built, self._built = self._built, None
        if built is not None:
            built.__exit__(None, None, None)

    def draw(self, request: BatchRequest, rng: np.random.Generator) -> Defects:
        """What befalls each section."""
        roi, size = request[self.intensities].region, self.spec[self.intensities].grid
        count = int((roi.shape / size)[self.axis])
        kinds = np.searchsorted(np.cumsum(self.chances), rng.random(count), side="right").tolist()
        found: list[list[Any]] = [[], [], [], []]
        for section, kind in enumerate(kinds):
            if kind < 2:
                found[kind].append(section)
            elif kind == 2:
                found[2].append((section, int(rng.integers(2**63))))
            elif kind == 3:
                at, angle = rng.random(2).tolist(), float(rng.uniform(0, math.pi))
                found[3].append((section, Fold(tuple(at), angle)))
        return Defects(*(tuple(sections) for sections in found))

    def prepare(self, request: BatchRequest) -> BatchRequest:
        """Need the array, and more of it for folds."""
        needed = BatchRequest()
        spec = request[self.intensities].copy()
        if self.plan(request).folded:
            more = self._margin() * self.spec[self.intensities].grid
            there = self.get_upstream_provider().spec[self.intensities].roi
            grown = spec.region.grow(more, more)
            spec.roi = grown if there is None else grown.intersect(there)
        needed[self.intensities] = spec
        return needed

    def process(self, batch: Batch, request: BatchRequest) -> Batch:
        """Spoil sections."""
        plan: Defects = self.plan(request)
        array = batch[self.intensities]
        roi, size = request[self.intensities].region, self.spec[self.intensities].grid
        lead = len(array.shape) - roi.dims
        axis = lead + self.axis
        source = np.moveaxis(array.view, axis, 0)
        data = array.crop(roi).data
        sections = np.moveaxis(data, axis, 0)
        others = tuple(range(lead, data.ndim - 1))
        before = (roi.begin - array.spec.region.begin) / size
        start = [int(n) for a, n in enumerate(before) if a != self.axis][-2:]
        for i in plan.missing:
            sections[i] = 0
        for i in plan.pale:
            mean = sections[i].mean(others, np.float64, keepdims=True)
            _put(sections[i], mean + (sections[i] - mean) * self.contrast_scale)
        for i, seed in plan.dirty:
            artifact, mask = self._artifact(roi, size, seed)
            _put(sections[i], sections[i] * (1.0 - mask) + artifact * mask)
        for i, fold in plan.folded:
            _put(sections[i], self._folded(source[i], sections[i].shape, start, fold))
        made = Batch()
        spec = array.spec.copy()
        spec.roi = roi
        made[self.intensities] = Array(data, spec, dict(array.attrs))
        return made

    def _margin(self) -> Coordinate:
        """By how many voxels a fold needs more, on all sides."""
        dims = len(self.spec[self.intensities].grid)
        plane = [a for a in range(dims) if a != self.axis][-2:]
        margin = math.ceil(self.deformation_strength)
        return Coordinate(margin if a in plane else 0 for a in range(dims))

    def _artifact(self, roi: Roi, size: Coordinate, seed: int) -> tuple[Data, Data]:
        """An artefact and its mask, of the size of a section."""
        shape = Coordinate(
            s if a == self.axis else n for a, (n, s) in enumerate(zip(roi.shape, size, strict=True))
        )
        request = BatchRequest(random_seed=seed)
        keys = [key for key in (self.artifacts, self.artifacts_mask) if key is not None]
        for key in keys:
            request.add(key, shape)
        batch = self.artifact_source.request_batch(request)
        artifact, mask = (batch[key].data.astype(np.float64) for key in keys)
        if not (mask.min() >= 0 and mask.max() <= 1):
            raise ValueError(
                f"{self.name()} needs values of {self.artifacts_mask} in [0, 1], found "
                f"[{mask.min():g}, {mask.max():g}]"
            )
        at = self.axis - roi.dims
        return artifact.take(0, at), mask.take(0, at)

    def _folded(self, source: Data, shape: tuple[int, ...], start: list[int], fold: Fold) -> Data:
        """A section with a fold, out of a larger one in which it begins at `start`."""
        rows, columns = shape[-2:]
        normal = math.sin(fold.angle), math.cos(fold.angle)
        y, x = np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij")
        at = [part * (n - 1) for part, n in zip(fold.at, (rows, columns), strict=True)]
        distance = (y - at[0]) * normal[0] + (x - at[1]) * normal[1]
        step = self.deformation_strength * np.tanh(distance / (_FOLD_WIDTH / 2))
        places = [y + start[0] + step * normal[0], x + start[1] + step * normal[1]]
        folded = np.empty(shape)
        for plane in np.ndindex(*shape[:-2]):
            folded[plane] = ndimage.map_coordinates(
                source[plane].astype(np.float64), places, order=1, mode="nearest"
            )
        return folded


def _put(section: Data, values: Data) -> None:
    """Values into a section; integers are rounded."""
    if section.dtype.kind in "ui":
        limits = np.iinfo(section.dtype)
        values = np.clip(np.rint(values), limits.min, limits.max)
    section[...] = values
