"""One of several inputs, chosen anew for each batch."""

from __future__ import annotations

from math import inf, prod
from typing import TYPE_CHECKING, Literal

import numpy as np

from voxflow.pipeline.data import Array, ArrayKey, ArraySpec, Batch, BatchRequest
from voxflow.pipeline.engine import BatchProvider
from voxflow.stores.base import parse_choice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voxflow.pipeline.data import Key, Spec
    from voxflow.pipeline.geometry.exact import Exact


class RandomProvider(BatchProvider):
    """Chooses one of its inputs at random for each request.

    It offers the keys that all inputs have in common, in the region that all of them cover.

    Parameters
    ----------
    probabilities
        How likely each input is, in any scale; None: all alike.
    random_provider_key
        A nonspatial array that holds the number of the chosen input.
    weights
        Another word for `probabilities`; or "size": an input is as likely as it is large. Its size
        is the volume, in world units, of the smallest array that all inputs have, which is mostly
        that of the labels; before locations are drawn, and after `Crop`.

    Raises
    ------
    ValueError
        If a probability is negative or all are 0, or there are both probabilities and weights. At
        setup: if there is no input, if there are more or fewer probabilities than inputs, if inputs
        differ in voxel size, or if the size of one is not known.

    Examples
    --------
    >>> RandomProvider(weights=[1, 3]).probabilities
    [0.25, 0.75]
    """

    looks_at_nothing = True

    def __init__(
        self,
        probabilities: Sequence[float] | None = None,
        random_provider_key: ArrayKey | None = None,
        *,
        weights: Sequence[float] | Literal["size"] | None = None,
    ) -> None:
        if probabilities is not None and weights is not None:
            raise ValueError("RandomProvider takes probabilities= or weights=, not both")
        self.by_size = isinstance(weights, str)
        if isinstance(weights, str):
            parse_choice("weights, if no numbers,", weights, ("size",))
            weights = None
        given = weights if probabilities is None else probabilities
        self.probabilities = None if given is None else _normalised(given)
        self.random_provider_key = random_provider_key

    def setup(self) -> None:
        """Offer what the inputs have in common."""
        self.enable_placeholders()
        providers = self.get_upstream_providers()
        if not providers:
            raise ValueError(f"{self.name()} has no input: write `(a, b) + RandomProvider()`")
        if self.probabilities is not None and len(self.probabilities) != len(providers):
            raise ValueError(
                f"{self.name()} got {len(self.probabilities)} probabilities for "
                f"{len(providers)} inputs; give one for each"
            )
        first, *others = [provider.spec for provider in providers]
        for key, spec in first.items():
            if all(key in other for other in others):
                self.provides(key, self._common(key, [spec, *(other[key] for other in others)]))
        if self.by_size:
            self.probabilities = _normalised([self._size(provider) for provider in providers])
        if self.random_provider_key is not None:
            self.provides(self.random_provider_key, ArraySpec(nonspatial=True))

    def _common(self, key: ArrayKey, specs: list[Spec]) -> Spec:
        common = specs[0].copy()
        for spec in specs[1:]:
            mine, other = (getattr(s, "voxel_size", None) for s in (common, spec))
            if mine is not None and other is not None and mine != other:
                raise ValueError(
                    f"{self.name()}: the inputs have {key} in different voxel sizes, {mine} and "
                    f"{other} (world units); resample one of them upstream"
                )
            if common.roi is not None and spec.roi is not None:
                common.roi = common.roi.intersect(spec.roi)
            if common.dtype != spec.dtype:
                common.dtype = None
        return common

    def _size(self, provider: BatchProvider) -> float:
        """The volume of the smallest array that all inputs have, in world units."""
        keys = [key for key in self.spec.array_specs if self.spec[key].roi is not None]
        sizes = [volume(provider, key) for key in keys]
        known = [size for size in sizes if size is not None]
        if not known:
            raise ValueError(
                f"{self.name()}: weights='size' needs an array that is bounded in all inputs, "
                f"there is none in {provider.name()}; give weights as numbers, one for each input"
            )
        return float(min(known))

    def draw(self, request: BatchRequest, rng: np.random.Generator) -> int:
        """The number of the input."""
        return int(rng.choice(len(self.get_upstream_providers()), p=self.probabilities))

    def upstream_requests(self, request: BatchRequest) -> list[tuple[BatchProvider, BatchRequest]]:
        """The chosen input, with the request; before the run all of them, as any may be chosen."""
        part = request.clone()
        if self.random_provider_key is not None and self.random_provider_key in part:
            del part[self.random_provider_key]
        providers = self.get_upstream_providers()
        if request.planning:
            return [(provider, part) for provider in providers]
        return [(providers[self.plan(request)], part)]

    def provide(self, request: BatchRequest) -> Batch:
        """Ask the chosen input."""
        ((provider, part),) = self.upstream_requests(request)
        batch = provider.request_batch(part)
        key = self.random_provider_key
        if key is not None and key in request:
            batch[key] = Array(np.array(self.plan(request)), ArraySpec(nonspatial=True))
        return batch


def volume(provider: BatchProvider, key: Key) -> Exact | None:
    """How much there is of an array where it is bounded: here, or in what is upstream together.

    In world units, to the power of the dimensions; None if it is bounded nowhere.
    """
    roi = provider.spec[key].roi if key in provider.spec else None
    if roi is None:
        return None
    if not roi.unbounded:
        return prod(roi.shape)
    parts = [volume(upstream, key) for upstream in provider.get_upstream_providers()]
    known = [part for part in parts if part is not None]
    return sum(known) if known else None


def _normalised(probabilities: Sequence[float]) -> list[float]:
    total = float(sum(probabilities))
    if not 0 < total < inf or min(probabilities) < 0:
        raise ValueError(
            "probabilities have to be 0 or more, and not all 0, and finite; got "
            f"{list(probabilities)}"
        )
    return [float(p) / total for p in probabilities]
