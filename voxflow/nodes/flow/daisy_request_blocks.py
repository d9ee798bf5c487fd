"""The blocks that a daisy scheduler hands out, one after another."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, ClassVar

from voxflow.nodes.flow.serving import Serving
from voxflow.pipeline.data import Batch
from voxflow.pipeline.engine import BatchFilter
from voxflow.pipeline.engine.workers import WorkerPool
from voxflow.pipeline.geometry import Roi

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from voxflow.pipeline.data import BatchRequest, Key


class DaisyRequestBlocks(BatchFilter):
    """Asks upstream for every block that daisy hands to this process, until there are no more.

    It belongs into a worker of daisy, and is asked with an empty request: the batches stay
    upstream, where a writer stores them. A block that fails is reported to daisy as failed, and
    its error is raised.

    Parameters
    ----------
    reference
        What is asked for; its regions are replaced by those of the block.
    roi_map
        For each key of the reference, which region of the block it takes: ``"read_roi"`` or
        ``"write_roi"``.
    num_workers
        How many processes ask for blocks, each with a client of its own; 1: only this one.
    block_done_callback
        Called in the process that did the block, with the block, the time at which it began
        (`time.time()`), and the seconds that it took.

    Raises
    ------
    ImportError
        If daisy is not installed.
    ValueError
        If `num_workers` is less than 1.
    RuntimeError
        If `roi_map` does not name a region for each key; at a request that is not empty.
    """

    changes_no_result: ClassVar[frozenset[str] | bool] = frozenset(
        {"num_workers", "block_done_callback"}
    )

    def __init__(
        self,
        reference: BatchRequest,
        roi_map: Mapping[Key, str],
        num_workers: int = 1,
        block_done_callback: Callable[[Any, float, float], Any] | None = None,
    ) -> None:
        _daisy()
        if num_workers < 1:
            raise ValueError(f"num_workers has to be at least 1, got {num_workers}")
        for key, _ in reference.items():
            if roi_map.get(key) not in ("read_roi", "write_roi"):
                raise RuntimeError(
                    f"roi_map has to say 'read_roi' or 'write_roi' for {key}, which is in the "
                    f"reference; it says {roi_map.get(key)!r}"
                )
        self.reference = reference.clone()
        self.roi_map = dict(roi_map)
        self.num_workers = num_workers
        self.block_done_callback = block_done_callback

    def upstream_requests(self, request: BatchRequest) -> None:
        """Not known before daisy hands out blocks."""
        return

    def provide(self, request: BatchRequest) -> Batch:
        """Do blocks until there are no more."""
        if len(request) > 0:
            raise RuntimeError(
                f"{self.name()} takes an empty request, and asks upstream for what its reference "
                f"names; it was asked for {request}"
            )
        blocks = _Blocks(
            Serving(self.get_upstream_provider()),
            self.reference,
            self.roi_map,
            self.block_done_callback,
        )
        if self.num_workers == 1:
            blocks(request)
        else:
            self._in_workers(blocks, request)
        return Batch()

    def _in_workers(self, blocks: _Blocks, request: BatchRequest) -> None:
        # A task is all the blocks of a worker: how long one may take is for daisy to judge.
        pool = WorkerPool(
            blocks, self.num_workers, ahead=self.num_workers, name=self.label, stall_timeout=1e9
        )
        with pool:
            for _ in range(self.num_workers):
                pool.submit(request)
            for _ in range(self.num_workers):
                pool.result()


class _Blocks:
    """Does blocks with a client of its own, until there are no more."""

    def __init__(
        self,
        serving: Serving,
        reference: BatchRequest,
        roi_map: dict[Any, str],
        done: Callable[[Any, float, float], Any] | None,
    ) -> None:
        self._serving, self._reference, self._roi_map = serving, reference, roi_map
        self._done = done

    def __call__(self, request: BatchRequest) -> None:
        client = _daisy().Client()
        while self._one(client, request):
            pass

    def _one(self, client: Any, request: BatchRequest) -> bool:
        with client.acquire_block() as block:
            if block is None:
                return False
            start = time.time()
            # Seeded by the block, and not by who happens to do it.
            asked = self._for(block, request.reseed("block", *map(str, block.block_id)))
            self._serving(asked)
            if self._done is not None:
                self._done(block, start, time.time() - start)
        return True

    def _for(self, block: Any, seeded: BatchRequest) -> BatchRequest:
        for key, spec in self._reference.items():
            region = getattr(block, self._roi_map[key])
            seeded[key] = spec
            seeded[key].roi = Roi(region.offset, region.shape)
        return seeded


def _daisy() -> Any:
    try:
        import daisy
    except ImportError as error:
        raise ImportError('DaisyRequestBlocks needs daisy: pip install "voxflow[scan]"') from error
    return daisy
