"""Batches of a pipeline for a training loop of one's own, as a dataset of torch."""

from __future__ import annotations

import itertools
import logging
import os
import weakref
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed
from torch.utils.data import IterableDataset, get_worker_info
from torch.utils.data._utils.collate import default_collate_fn_map

from voxflow.nodes.flow.precache import PreCache
from voxflow.pipeline.data import BatchRequest, RunPosition
from voxflow.pipeline.data.seeds import fresh_seed, whole_seed
from voxflow.pipeline.engine import BatchProvider, Pipeline, build
from voxflow.pipeline.engine.legacy_random import is_foreign
from voxflow.torch.tensors import to_tensor
from voxflow.torch.to_workers import packed, raise_sendable, unpacked

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping
    from typing import NoReturn, Self

    from voxflow.pipeline.data import Batch

logger = logging.getLogger(__name__)

_BESIDE = ("position", "token")


class PipelineDataset(IterableDataset[dict[str, Any]]):
    """The batches of a run of a pipeline, for a `torch.utils.data.DataLoader`.

    The sequence of batches follows from the seed alone. ``DataLoader(dataset, batch_size=None)``
    gives it in order and bit for bit, with any number of workers, however they are started. Each
    worker sets up a pipeline of its own, and makes every so manieth batch. Of several ranks, each
    gets every so manieth batch of the one sequence.

    Each item is a dict: a tensor for each array (`to_tensor`) and the `Graph` for each graph, by
    the names of their keys; ``"position"``, the number of the batch in the sequence; and
    ``"token"``, the text for `Pipeline.replay`. An item is a whole batch: several images make one
    with `Stack`.

    Each iteration begins at the state of the dataset, which only `load_state_dict` changes: the
    same batches come again, as is good for a validation. For a training take `PipelineLoader`,
    which goes on, epoch after epoch, and knows its state.

    Parameters
    ----------
    pipeline
        A pipeline that is not set up, or a node with nothing upstream.
    request
        What each batch is asked for.
    length
        How many batches of the sequence are an epoch, those of all ranks together. None: an
        iteration has no end.
    seed
        The seed of the run. None: one is drawn; not with several ranks.
    rank, world_size
        Which of how many ranks this is. None: what torch.distributed says, one if it is not used.

    Raises
    ------
    TypeError, ValueError
        If the pipeline, the request or a number is wrong, or the pipeline trains. At the first
        batch, if workers or ranks would each run a node that writes or has workers itself.
    PipelineSetupError, PipelineRequestError
        At the first batch, and at each, as with `build`; from a worker, too.
    NotPicklable
        When workers are spawned, if the pipeline cannot be sent to them.

    Examples
    --------
    >>> import numpy as np
    >>> from torch.utils.data import DataLoader
    >>> import voxflow as gp
    >>> raw = gp.ArrayKey("RAW")
    >>> image = np.random.default_rng(0).random((64, 64), dtype=np.float32)
    >>> source = gp.ArraySource(raw, image, spec=gp.ArraySpec(voxel_size=(1, 1)))
    >>> request = gp.BatchRequest()
    >>> request.add(raw, (8, 8))
    >>> dataset = PipelineDataset(source + gp.RandomLocation(), request, length=3, seed=1)
    >>> [(item["position"], item["RAW"].shape) for item in DataLoader(dataset, batch_size=None)]
    [(0, torch.Size([8, 8])), (1, torch.Size([8, 8])), (2, torch.Size([8, 8]))]
    """

    def __init__(
        self,
        pipeline: Any,
        request: BatchRequest,
        *,
        length: int | None = None,
        seed: int | None = None,
        rank: int | None = None,
        world_size: int | None = None,
    ) -> None:
        self.pipeline = pipeline if isinstance(pipeline, Pipeline) else Pipeline(pipeline)
        self.request = _checked(request)
        self.length = _positive("length", length)
        self._rank = _checked_rank(rank, world_size)
        self._refuse_training()
        self._seed_is_drawn = seed is None
        self.seed = fresh_seed() if seed is None else whole_seed("seed", seed)
        if seed is None:
            logger.info("no seed was given, this dataset uses seed=%d", self.seed)
        self._index = 0  # of the first batch of the next iteration, the same on all ranks
        self._served: weakref.ref[_Served] | None = None
        self._was_served_in_worker = False

    # -- state ----------------------------------------------------------------------------------

    def state_dict(self, last: Mapping[str, Any] | None = None) -> dict[str, int]:
        """What it takes to go on, with another number of workers or ranks, too.

        Parameters
        ----------
        last
            The last item that was received, from any loader of this dataset: loaders make items
            ahead of time, so only who receives them knows which. None: where the next iteration
            begins; with `PipelineLoader`, that is after the last item received.

        Returns
        -------
        dict[str, int]
            ``"seed"``, and ``"index"``, the number of the first batch that no rank has received.
            The same on all ranks that have received equally many.

        Raises
        ------
        TypeError
            If `last` is no item of this dataset.
        ValueError
            If it is one of another rank.
        RuntimeError
            In a worker, which does not know what was received.
        """
        if get_worker_info() is not None:
            raise RuntimeError(
                "a worker does not know which of its batches were received, so a state of workers "
                "cannot be that of the run; ask the PipelineLoader, or the dataset in the main "
                "process, for its state"
            )
        if last is None:
            return {"seed": self.seed, "index": self._index}
        position = last.get("position") if hasattr(last, "get") else None
        if not isinstance(position, int):
            raise TypeError(
                f"state_dict takes an item of this dataset, which has a whole number as "
                f"'position', got {type(last).__name__} with {type(position).__name__}"
            )
        rank, world = self.rank_and_world_size()
        ahead = (int(position) - self._index - rank) % world
        if ahead:
            raise ValueError(
                f"batch {int(position)} is none that rank {rank} of {world} receives from batch "
                f"{self._index} on; give an item of this rank"
            )
        return {"seed": self.seed, "index": int(position) - rank + world}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Let the next iteration begin where `state_dict` was taken.

        Raises
        ------
        ValueError
            If it is no such state, or that of a run with another seed.
        """
        try:
            seed, index = whole_seed("seed", state["seed"]), int(state["index"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"this is no state of a PipelineDataset: {state!r}; it has a whole 'seed' and "
                "'index'"
            ) from error
        if index < 0:
            raise ValueError(f"the index of a state has to be 0 or more, got {index}")
        if seed != self.seed and not self._seed_is_drawn:
            raise ValueError(
                f"the state is of a run with seed={seed}, but this dataset has seed={self.seed}; "
                "leave seed= out to go on with that run, or do not load its state"
            )
        self.seed, self._seed_is_drawn = seed, False
        self._index = index

    def rank_and_world_size(self) -> tuple[int, int]:
        """Which of how many ranks this is.

        Raises
        ------
        RuntimeError
            If there are several, but torch.distributed does not know yet.
        """
        if self._rank is not None:
            return self._rank
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            return torch.distributed.get_rank(), torch.distributed.get_world_size()
        if int(os.environ.get("WORLD_SIZE") or 1) > 1:
            raise RuntimeError(
                "this process is one of several (WORLD_SIZE), which would all get the same "
                "batches: call torch.distributed.init_process_group() first, or give "
                "PipelineDataset rank= and world_size="
            )
        return 0, 1

    # -- batches --------------------------------------------------------------------------------

    def __len__(self) -> int:
        if self.length is None:
            raise TypeError("this PipelineDataset has no end; give it a length=")
        _, world = self.rank_and_world_size()
        self._check_even("the length", self.length, world)
        return self.length // world

    def __iter__(self) -> Iterator[dict[str, Any]]:
        worker = get_worker_info()
        rank, world = self.rank_and_world_size()
        if world > 1 and self._seed_is_drawn:
            raise ValueError(
                f"each of the {world} ranks would draw a seed of its own; give all the same seed="
            )
        self._refuse_crowd(0 if worker is None else worker.num_workers, world)
        mine: Iterator[int] = self._indices(rank, world)
        if worker is not None:
            mine = itertools.islice(mine, worker.id, None, worker.num_workers)
            return self._items_in_worker(self._items(mine, self.seed))
        older = None if self._served is None else self._served()
        if older is not None:
            older.give_way()
        served = _Served(self._items(mine, self.seed))
        # Whoever breaks off lets go of it, and it tears the pipeline down.
        self._served = weakref.ref(served)
        return served

    def _indices(self, rank: int, world: int) -> Iterator[int]:
        """The numbers of this rank's batches, from the state to the end of its epoch."""
        begin = self._index
        if self.length is None:
            return itertools.count(begin + rank, world)
        end = (begin // self.length + 1) * self.length
        self._check_even("the rest of the epoch", end - begin, world)
        return iter(range(begin + rank, end, world))

    def _items(self, indices: Iterator[int], seed: int) -> Generator[dict[str, Any], None, None]:
        # Whoever collates keeps items while the next one is made.
        foreign = any(map(is_foreign, self.pipeline.nodes()))
        with build(self.pipeline, seed=seed):
            for index in indices:
                request = self.request.at(RunPosition(seed, index))
                batch = self.pipeline.request_batch(request)
                yield _item(batch.taken_over() if foreign else batch, index)

    def _items_in_worker(self, items: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        try:
            self._refuse_second_turn()
            yield from items
        except Exception as error:
            raise_sendable(error)

    # -- what cannot be -------------------------------------------------------------------------

    @staticmethod
    def _check_even(what: str, count: int, world: int) -> None:
        if count % world:
            raise ValueError(
                f"{what}, {count} batches, cannot be shared evenly by {world} ranks, and some "
                "would wait for the others; choose a length that is a multiple of the ranks"
            )

    def _refuse_training(self) -> None:
        for node in self.pipeline.nodes():
            if type(node).resume_position is not BatchProvider.resume_position:
                raise ValueError(
                    f"{node.name()} trains, and goes on from checkpoints of its own; leave it out "
                    "of the pipeline of a PipelineDataset, which is for a loop of your own"
                )

    def _refuse_crowd(self, workers: int, world: int) -> None:
        who = f"{workers} workers of the DataLoader" if workers else f"{world} ranks"
        for node in self.pipeline.nodes() if workers or world > 1 else ():
            if workers and getattr(node, "writes", False):
                raise ValueError(
                    f"{node.name()} writes, and each of the {who} would run it for itself; leave "
                    "it out, or use DataLoader(num_workers=0)"
                )
            if isinstance(node, PreCache) and node.num_workers:
                raise ValueError(
                    f"{node.name()} has {node.num_workers} workers, which would make batches that "
                    f"others of the {who} are to make; leave it out, as the workers of the "
                    "DataLoader make batches ahead, or give it num_workers=0"
                )

    def _refuse_second_turn(self) -> None:
        if self._was_served_in_worker:
            raise RuntimeError(
                "this worker has a copy of the dataset from before, which would give the same "
                "batches once more; use DataLoader(persistent_workers=False)"
            )
        self._was_served_in_worker = True

    # -- to workers -----------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        # A worker does not know of torch.distributed. Before it is initialised here, whoever gets
        # the copy has to find out.
        known = torch.distributed.is_available() and torch.distributed.is_initialized()
        return {
            **self.__dict__,
            "pipeline": packed(self.pipeline),
            "_rank": self.rank_and_world_size() if known else self._rank,
            "_served": None,
            "_was_served_in_worker": False,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, pipeline=unpacked(*state["pipeline"]))


class Position(int):
    """The number of a batch in its run. Torch refuses to put several into one tensor."""


def _not_grouped(*_: Any, **__: Any) -> NoReturn:
    raise ValueError(
        "an item of a PipelineDataset is a whole batch already: use DataLoader(batch_size=None), "
        "or PipelineLoader; several images make a batch with Stack in the pipeline"
    )


default_collate_fn_map[Position] = _not_grouped


class _Served:
    """One iteration, which ends with an error when a later one needs its pipeline."""

    def __init__(self, items: Generator[dict[str, Any], None, None]) -> None:
        self._items = items
        self._gave_way = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> dict[str, Any]:
        if self._gave_way:
            raise RuntimeError(
                "another iteration of this PipelineDataset has begun, and the pipeline can serve "
                "one at a time; make a dataset of its own, with nodes of its own, for each"
            )
        return next(self._items)

    def give_way(self) -> None:
        """Tear the pipeline down, if it is set up."""
        self._gave_way = True
        self._items.close()


def _item(batch: Batch, index: int) -> dict[str, Any]:
    item: dict[str, Any] = {str(key): to_tensor(array) for key, array in batch.arrays.items()}
    item.update((str(key), graph) for key, graph in batch.graphs.items())
    return {**item, "position": Position(index), "token": str(batch.token)}


def _checked(request: BatchRequest) -> BatchRequest:
    if not isinstance(request, BatchRequest):
        raise TypeError(f"a PipelineDataset takes a BatchRequest, got {type(request).__name__}")
    if request.is_deterministic():
        raise ValueError(
            "the request has a random_seed, with which all batches would be the same; leave it "
            "out, and give PipelineDataset a seed="
        )
    names = [str(key) for key, _ in request.items()]
    for name in names:
        if name in _BESIDE or names.count(name) > 1:
            raise ValueError(
                f"items have one entry for each name, and {name!r} would be there twice; rename "
                "the key"
            )
    return request.clone()


def _positive(name: str, number: int | None) -> int | None:
    if number is not None and number < 1:
        raise ValueError(f"{name} has to be at least 1, got {number}")
    return number


def _checked_rank(rank: int | None, world_size: int | None) -> tuple[int, int] | None:
    if rank is None and world_size is None:
        return None
    if rank is None or world_size is None or not 0 <= rank < world_size:
        raise ValueError(
            "rank and world_size are given together, and rank is from 0 to world_size - 1, got "
            f"rank={rank} and world_size={world_size}"
        )
    return rank, world_size
