"""Several inputs side by side, each with arrays and graphs of its own."""

from __future__ import annotations

from voxflow.pipeline.data import Batch, BatchRequest
from voxflow.pipeline.engine import BatchProvider


class MergeProvider(BatchProvider):
    """Offers what all of its inputs offer, and asks each for its own.

    The inputs are the members of a tuple: ``(raw_source, label_source) + MergeProvider()``. No key
    may come from two of them.

    Raises
    ------
    ValueError
        At setup, if two inputs provide the same key.
    """

    looks_at_nothing = True

    def setup(self) -> None:
        """Offer what the inputs offer."""
        self.enable_placeholders()
        for provider in self.get_upstream_providers():
            for key, spec in provider.spec.items():
                if key in self.spec:
                    raise ValueError(
                        f"{self.name()}: {key} is provided by more than one input "
                        f"({provider.name()} is the second). Give each its own key, or choose "
                        "between inputs with RandomProvider."
                    )
                self.provides(key, spec)

    def upstream_requests(self, request: BatchRequest) -> list[tuple[BatchProvider, BatchRequest]]:
        """Each input with its part of the request, except where no data are wanted of it."""
        parts = []
        for index, provider in enumerate(self.get_upstream_providers()):
            part = request.branch(index)
            for key in request:
                if key not in provider.spec:
                    del part[key]
            if any(not spec.placeholder for _, spec in part.items()):
                parts.append((provider, part))
        return parts

    def provide(self, request: BatchRequest) -> Batch:
        """Ask every input for its part and put the answers together."""
        batch = Batch()
        for provider, part in self.upstream_requests(request):
            batch = batch.merge(provider.request_batch(part))
        return batch
