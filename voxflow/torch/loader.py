"""A loader of torch that goes on where it was, epoch after epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch.utils.data import DataLoader

from voxflow.torch.dataset import PipelineDataset

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class PipelineLoader(DataLoader[dict[str, Any]]):
    """A `DataLoader` over a `PipelineDataset` that goes on, and knows its state.

    An iteration begins after the last item that was received from the one before, which may have
    been broken off, and goes to the end of the epoch. The state counts what was received, not what
    workers made ahead. Lightning finds it by itself in a checkpoint.

    Parameters
    ----------
    dataset
        Where batches come from.
    num_workers
        How many worker processes make them; 0: this process does.
    options
        As for `DataLoader`: ``pin_memory``, ``prefetch_factor``, ``multiprocessing_context`` and so
        on, but for those that group or order items.

    Raises
    ------
    TypeError
        If it is another dataset.
    ValueError
        If an option would group or order items otherwise, or workers are to be kept.

    Examples
    --------
    >>> import numpy as np
    >>> import voxflow as gp
    >>> raw = gp.ArrayKey("RAW")
    >>> image = np.random.default_rng(0).random((64, 64), dtype=np.float32)
    >>> source = gp.ArraySource(raw, image, spec=gp.ArraySpec(voxel_size=(1, 1)))
    >>> request = gp.BatchRequest()
    >>> request.add(raw, (8, 8))
    >>> dataset = PipelineDataset(source + gp.RandomLocation(), request, length=4, seed=1)
    >>> loader = PipelineLoader(dataset)
    >>> for item in loader:
    ...     if item["position"] == 1:
    ...         break
    >>> loader.state_dict()
    {'seed': 1, 'index': 2}
    >>> [item["position"] for item in loader]
    [2, 3]
    """

    dataset: PipelineDataset

    def __init__(self, dataset: PipelineDataset, num_workers: int = 0, **options: Any) -> None:
        if not isinstance(dataset, PipelineDataset):
            raise TypeError(f"PipelineLoader takes a PipelineDataset, got {dataset!r}")
        for name in ("batch_size", "shuffle", "sampler", "batch_sampler", "drop_last"):
            if options.pop(name, None):
                raise ValueError(
                    f"PipelineLoader takes no {name}: items are whole batches, in their order; "
                    "several images make a batch with Stack in the pipeline"
                )
        if options.get("persistent_workers") or not options.get("in_order", True):
            raise ValueError(
                "PipelineLoader takes neither persistent_workers=True nor in_order=False: workers "
                "would not know where to go on, and batches would not come in their order"
            )
        super().__init__(dataset, batch_size=None, num_workers=num_workers, **options)

    def __iter__(self) -> Any:
        begin = self.dataset.state_dict()
        _, world = self.dataset.rank_and_world_size()
        return self._counted(super().__iter__(), begin, world)

    def _counted(
        self, items: Iterator[dict[str, Any]], begin: dict[str, int], world: int
    ) -> Iterator[dict[str, Any]]:
        for count, item in enumerate(items, 1):
            self.load_state_dict({**begin, "index": begin["index"] + count * world})
            yield item

    def state_dict(self) -> dict[str, int]:
        """Where to go on after the last item received: see `PipelineDataset.state_dict`."""
        return self.dataset.state_dict()

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Let the next iteration begin where `state_dict` was taken."""
        self.dataset.load_state_dict(state)
