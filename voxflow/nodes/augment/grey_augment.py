"""Random grey values: gain, shift and gamma."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import numpy as np

from voxflow.nodes.augment.augment import ValueAugment, check_floating, probability
from voxflow.nodes.shape.axes import leading
from voxflow.ops.recipe import Recipe
from voxflow.ops.values import Change, Clip, Contrast, Gamma, Pieces, Scale
from voxflow.ops.values.changes import CLIP, GAMMA, SCALE
from voxflow.pipeline.data import Array, Batch, BatchRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from voxflow.pipeline.data import ArrayKey

    Floats = NDArray[np.float64]
    Range = tuple[float, float]

_PER = ("batch", "section", "channel")


class GreyAugment(ValueAugment):
    """Changes grey values: ``clip(gain * value + shift, 0, 1) ** gamma``.

    Nothing is looked at: all of it is done in the pass in which the voxels are made.

    Parameters
    ----------
    array
        The array, of floating point.
    gain, shift
        From where to where, low and high; uniform.
    gamma
        The same; the logarithm is uniform, so that 1/2 is as likely as 2.
    per
        What gets numbers of its own: "batch" for all values alike, "section" for each section along
        the first spatial axis, "channel" for each channel (the last axis before the spatial ones).
    mean_centred
        The gain is about the mean of what gets numbers of its own: ``mean + gain * (value - mean) +
        shift``. As in `IntensityAugment`.
    channels
        Which channels change; None: all. The others stay as they are.
    clip
        Clip to [0, 1] before gamma is applied.
    p
        The probability with which the node does anything.

    Raises
    ------
    ValueError
        If a range is wrong, `per` unknown, or gamma is drawn without `clip`. At a request: if a
        channel does not exist.
    TypeError
        At setup, or at a request if its dtype is not known before: if the array is not of floating
        point.

    Examples
    --------
    >>> import voxflow as gp
    >>> raw = gp.ArrayKey("RAW")
    >>> grey = np.array([0.25, 0.5, 1.0])
    >>> line = gp.ArraySource(raw, grey, spec=gp.ArraySpec(voxel_size=(4,)))
    >>> line += gp.GreyAugment(raw, gain=(1, 1), shift=(0, 0), gamma=(2, 2))
    >>> with gp.build(line) as pipeline:
    ...     pipeline.request_batch(gp.BatchRequest({raw: gp.Roi((0,), (12,))}))[raw].data
    array([0.0625, 0.25  , 1.    ])
    """

    looks_at_nothing = True

    def __init__(
        self,
        array: ArrayKey,
        gain: Range = (0.85, 1.15),
        shift: Range = (-0.15, 0.15),
        gamma: Range = (0.5, 2.0),
        per: Literal["batch", "section", "channel"] = "batch",
        *,
        mean_centred: bool = False,
        channels: Sequence[int] | None = None,
        clip: bool = True,
        p: float = 1.0,
    ) -> None:
        for name, (low, high) in (("gain", gain), ("shift", shift), ("gamma", gamma)):
            if not low <= high:
                raise ValueError(f"{name} goes from low to high, got ({low}, {high})")
        if not gamma[0] > 0:
            raise ValueError(f"gamma has to be larger than 0, got {tuple(gamma)}")
        if not clip and tuple(gamma) != (1, 1):
            raise ValueError("gamma needs values that are not negative: use clip=True, or (1, 1)")
        if per not in _PER:
            raise ValueError(f"per has to be one of {', '.join(_PER)}, got {per!r}")
        self.array = array
        self.gain, self.shift, self.gamma = gain, shift, gamma
        self.per = per
        self.mean_centred = mean_centred
        self.channels = None if channels is None else tuple(channels)
        self.clip = clip
        self.p = probability("p", p)

    @classmethod
    def elektronn(cls, array: ArrayKey, channels: Sequence[int] | None = (0,)) -> GreyAugment:
        """Numbers as in ELEKTRONN, for each of some channels: the defaults, ``per="channel"``."""
        return cls(array, per="channel", channels=channels)

    def process(self, batch: Batch, request: BatchRequest) -> Batch:
        """Write down what is to be done."""
        array = batch[self.array]
        check_floating(self, self.array, array.dtype)
        pieces = self._pieces(array)
        recipe = Recipe.of(array).changed(self._changes(request, array, pieces), array.dtype)
        made = Batch()
        made[self.array] = Array(recipe, array.spec, dict(array.attrs))
        return made

    def _changes(
        self, request: BatchRequest, array: Array, pieces: tuple[int, ...]
    ) -> list[Change]:
        shape, first = array.shape, leading(array)
        counts = [math.ceil(n / max(1, size)) for n, size in zip(shape, pieces, strict=True)]
        drawn = self.dice(request, self._drawn(counts, first))
        gain, shift, gamma = request.note_draw(drawn)
        # A channel that stays is a piece of its own, also where all others share their numbers.
        gain, shift, gamma = (np.broadcast_to(v, counts).copy() for v in (gain, shift, gamma))
        stays = self._stays(counts, first)
        gain[stays], shift[stays], gamma[stays] = 1.0, 0.0, 1.0
        changes: list[Change] = []
        if self.mean_centred:
            changes.append(Contrast(pieces, gain, shift))
            gain, shift = np.ones_like(gain), np.zeros_like(shift)
        if gain.size == 1 and not stays.any():
            changes += [Scale(gain.item(), shift.item())]
            changes += [Clip(0.0, 1.0), Gamma(gamma.item())] if self.clip else []
            return changes
        ends = np.where(stays, -np.inf, 0.0), np.where(stays, np.inf, 1.0)
        rows = [(SCALE, gain, shift)]
        rows += [(CLIP, *ends), (GAMMA, gamma, 0 * gamma)] if self.clip else []
        steps = [np.stack([np.full_like(a, kind), a, b], -1) for kind, a, b in rows]
        return [*changes, Pieces(pieces, np.stack(steps, -2))]

    def dice(self, request: BatchRequest, counts: Sequence[int]) -> tuple[Floats, Floats, Floats]:
        """Gain, shift and gamma for each piece; how many there are is known with the shape."""
        rng = request.rng(self.label)
        low, high = np.log(self.gamma)
        gain, shift = rng.uniform(*self.gain, counts), rng.uniform(*self.shift, counts)
        return gain, shift, np.exp(rng.uniform(low, high, counts))

    def _pieces(self, array: Array) -> tuple[int, ...]:
        shape, first = array.shape, leading(array)
        alone = {"batch": None, "section": first, "channel": first - 1}[self.per]
        pieces = list(shape)
        if alone is not None and 0 <= alone < len(shape):
            pieces[alone] = 1
        if self.channels is not None:
            there = shape[first - 1] if first else 1
            if not set(self.channels) <= set(range(there)):
                raise ValueError(
                    f"{self.name()} is to change the channels {self.channels} of {self.array}, "
                    f"which has {there}, counted from 0"
                )
            if first and len(set(self.channels)) < there:
                pieces[first - 1] = 1
        return tuple(pieces)

    def _drawn(self, counts: Sequence[int], first: int) -> list[int]:
        """How many numbers are drawn along each axis."""
        alone = {"batch": None, "section": first, "channel": first - 1}[self.per]
        return [n if axis == alone else 1 for axis, n in enumerate(counts)]

    def _stays(self, counts: Sequence[int], first: int) -> NDArray[np.bool_]:
        """Which pieces are of a channel that is not to change."""
        stays = np.zeros(counts, bool)
        if self.channels is not None:
            if not self.channels:
                stays[...] = True
            elif first and counts[first - 1] > 1:
                others = np.setdiff1d(np.arange(counts[first - 1]), self.channels)
                np.moveaxis(stays, first - 1, 0)[others] = True
        return stays
