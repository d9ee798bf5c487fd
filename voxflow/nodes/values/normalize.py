"""Values between 0 and 1."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from voxflow.nodes.values.fit_statistics import Statistics
from voxflow.ops.recipe import Recipe
from voxflow.ops.value_range import value_range
from voxflow.ops.values import Change, Clip, Scale
from voxflow.pipeline.data import Array, ArrayKey, Batch, BatchRequest
from voxflow.pipeline.engine import BatchFilter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import DTypeLike

    from voxflow.pipeline.engine import BatchProvider

logger = logging.getLogger(__name__)

_FACTORS = {np.dtype(np.uint8): 1 / 255, np.dtype(np.uint16): 1 / 65535}


class Normalize(BatchFilter):
    """Casts an array to floating point and scales it: ``array.astype(dtype) * factor``.

    Parameters
    ----------
    array
        The array to normalise.
    factor
        The factor; None: from the dtype, such that the largest value becomes 1 (1/255 for uint8,
        1/65535 for uint16). Floating point values have to lie in [0, 1] already.
    dtype
        The dtype of the result, of floating point.
    mode
        None: by the factor. "standardise": ``(array - mean) / std``. "percentiles": ``(array - low)
        / (high - low)``, clipped to [0, 1].
    statistics
        For these modes: what `fit_statistics` gathered, or its dict. Prediction needs the same:
        checkpoints of `voxflow.torch.Train` hold them by the name of the array,
        ``load_checkpoint(path).statistics["RAW"]``.

    Raises
    ------
    ValueError
        If `dtype` is not of floating point, or mode and statistics do not fit. At setup, or at a
        request if the dtype of the array is not known before: if no factor was given and there is
        none for the dtype. At a request: if no factor was given and floating point values lie
        outside of [0, 1].

    Examples
    --------
    >>> import voxflow as gp
    >>> raw = gp.ArrayKey("RAW")
    >>> line = gp.ArraySource(raw, np.array([0, 0, 255], "u1"), spec=gp.ArraySpec(voxel_size=(4,)))
    >>> with gp.build(line + gp.Normalize(raw)) as pipeline:
    ...     pipeline.request_batch(gp.BatchRequest({raw: gp.Roi((0,), (12,))}))[raw].data
    array([0., 0., 1.], dtype=float32)
    """

    def __init__(
        self,
        array: ArrayKey,
        factor: float | None = None,
        dtype: DTypeLike = np.float32,
        *,
        mode: Literal["standardise", "percentiles"] | None = None,
        statistics: Statistics | Mapping[str, float] | None = None,
    ) -> None:
        self.array = array
        self.factor = factor
        self.dtype = np.dtype(dtype)
        if self.dtype.kind != "f":
            raise ValueError(
                f"Normalize makes floating point values, got dtype={self.dtype}; use AsType or "
                "IntensityScaleShift to get integers"
            )
        if (mode is None) != (statistics is None) or (mode is not None and factor is not None):
            raise ValueError(
                "give either factor=, or mode= together with statistics= (see fit_statistics); got "
                f"factor={factor}, mode={mode!r}, statistics={statistics}"
            )
        self.mode = mode
        self.statistics: Statistics | None = None
        self._changes: list[Change] = []
        if mode is not None and statistics is not None:
            if not isinstance(statistics, Statistics):
                statistics = Statistics.from_dict(statistics)
            self.statistics = statistics
            self._changes = _changes(mode, statistics)

    def setup(self) -> None:
        """Say which dtype there will be."""
        self.enable_autoskip()
        spec = self.spec[self.array].copy()
        if spec.dtype is not None:
            if self.mode is None:
                self._factor_for(spec.dtype)
            given = self.factor is not None or self.mode is not None
            self.looks_at_nothing = given or spec.dtype.kind != "f"
        spec.dtype = self.dtype
        self.updates(self.array, spec)

    def prepare(self, request: BatchRequest) -> BatchRequest:
        """Need the array, whatever its dtype is upstream."""
        needed = BatchRequest()
        needed[self.array] = request[self.array].copy()
        needed[self.array].dtype = None
        return needed

    def process(self, batch: Batch, request: BatchRequest) -> Batch:
        """Cast and scale."""
        array = batch[self.array]
        changes = self._changes or [Scale(self._factor_for(array.dtype))]
        if not self._changes and self.factor is None and array.dtype.kind == "f":
            self._check_range(array)
        spec = array.spec.copy()
        spec.dtype = self.dtype
        scaled = Recipe.of(array).changed(changes, self.dtype)
        made = Batch()
        made[self.array] = Array(scaled, spec, dict(array.attrs))
        return made

    def _factor_for(self, dtype: np.dtype[Any]) -> float:
        if self.factor is not None:
            return self.factor
        if dtype.kind == "f":
            return 1
        if dtype not in _FACTORS:
            raise ValueError(
                f"{self.name()} knows no factor for {self.array}, which is {dtype}: "
                "only for uint8, uint16 and floating point. Give factor=..."
            )
        return _FACTORS[dtype]

    def _check_range(self, array: Array) -> None:
        low, high = value_range(array, within=(0, 1))
        if not (low >= 0 and high <= 1):
            raise ValueError(
                f"{self.name()} expects floating point values of {self.array} in [0, 1], found "
                f"[{low:g}, {high:g}]. Give factor=... to scale them."
            )


def _changes(mode: str, statistics: Statistics) -> list[Change]:
    """What a mode does to values."""
    if mode not in ("standardise", "percentiles"):
        raise ValueError(f"mode has to be 'standardise' or 'percentiles', got {mode!r}")
    low, width = statistics.mean, statistics.std
    if mode == "percentiles":
        low, width = statistics.low, statistics.high - statistics.low
    if not width > 0:
        raise ValueError(f"{mode} has to divide by {width}: all values are alike, {statistics}")
    scale = Scale(1 / width, -low / width)
    return [scale] if mode == "standardise" else [scale, Clip(0.0, 1.0)]


def statistics_upstream(node: BatchProvider) -> dict[str, dict[str, float]]:
    """What `Normalize` nodes upstream know of arrays, by the name of the array.

    Arrays of which two nodes know different things are left out, with a warning.
    """
    found: dict[str, Statistics] = {}
    differ, todo = set(), [node]
    while todo:
        here = todo.pop()
        todo += here.get_upstream_providers()
        if isinstance(here, Normalize) and here.statistics is not None:
            name = str(here.array)
            if found.setdefault(name, here.statistics) != here.statistics:
                differ.add(name)
    if differ:
        logger.warning(
            "%s: %s are normalised by different statistics, so the checkpoint holds none of them; "
            "see fit_statistics(per='volume')",
            node.name(), ", ".join(sorted(differ)),
        )  # fmt: skip
    return {name: values.to_dict() for name, values in found.items() if name not in differ}
