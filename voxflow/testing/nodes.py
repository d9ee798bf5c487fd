"""Hold a node of your own to what all nodes promise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voxflow.pipeline.engine.pipeline import Chainable
from voxflow.testing import declared, promises
from voxflow.testing.trial import Trial
from voxflow.testing.world import check_axes, draw_world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from voxflow.pipeline.data import BatchRequest
    from voxflow.testing.world import World

__all__ = ["check_in_world", "check_node"]

AXES = ("yx", "zyx", "czyx", "tzyx")


def check_node(
    make: Callable[[World], Any],
    *,
    axes: str | Iterable[str] = AXES,
    keys: Sequence[Any] | None = None,
    local: bool = False,
    registered: bool = False,
    keeps_ids: bool = False,
    reads_only: bool = False,
    examples: int = 3,
    seed: int = 0,
) -> None:
    """Raise if a node breaks a promise.

    The node is made and tried in small worlds that are drawn: images, labels up to 2**64 - 1 and
    points, in 2-D, 3-D, with channels and over time; voxel sizes differ between axes and may be
    such as 9.8; regions begin and end anywhere on the grid. Always checked:

    ====================== =======================================================================
    asks for what is there a request from the middle of what the node provides can be served
    global random state    `random`, `np.random` and torch are left alone
    delivers               keys, regions, voxel sizes, dtypes, shapes: as asked and as promised
    placeholders           are not delivered, and change nothing else
    same seed              the same batch, bit for bit, whatever other nodes there are
    replay                 `pipeline.replay(token)` gives the same batch
    keeps nothing          requests that overlap, in one thread or two, do not disturb each other
    leaves the sources     what sources hold is not written into
    asks the same          the same request asks the same of upstream, each time
    travels                pickled, in another process, the node gives the same
    not asked              where nothing is asked that it makes or changes, it does not run
    ====================== =======================================================================

    Parameters
    ----------
    make
        Makes a new node (or a pipeline that ends in it) for a `World`. A node with one node
        upstream is put behind ``world.upstream``; what has its own sources is tried as it is.
    axes
        Which worlds to try: a letter for each axis, "c" first for channels.
    keys
        What is asked for; None: all that the node provides at first, then parts of it.
    local
        The node also promises that the batch of a sub-region is that part of the whole one.
    registered
        The node also promises that images, labels and points are moved by one map: a label comes
        from the voxel that the image comes from, and points are within a voxel.
    keeps_ids
        The node also promises that labels only hold ids that there are upstream.
    reads_only
        The node also promises that it makes new arrays, where others change those that came.
    examples
        The number of worlds for each of `axes`.
    seed
        The seed of the first of them, then one more for each.

    Raises
    ------
    BrokenPromise
        Says which promise, for which request, and how to see the same again. It is an
        `AssertionError`.

    Examples
    --------
    >>> import voxflow as gp
    >>> from voxflow.testing import check_node
    >>> check_node(lambda world: gp.Normalize(world.raw), axes="yx", local=True)
    """
    if isinstance(make, Chainable) or not callable(make):
        raise TypeError(
            f"check_node takes a function that makes the node, since it needs several: "
            f"check_node(lambda world: {type(make).__name__}(world.raw)); got {make!r}"
        )
    also = {
        "local": local,
        "registered": registered,
        "keeps_ids": keeps_ids,
        "reads_only": reads_only,
    }
    options = _spelled(keys=keys, **also)
    for layout in (axes,) if isinstance(axes, str) else tuple(axes):
        check_axes(layout)
        for n in range(seed, seed + examples):
            again = f"check_node(make, axes={layout!r}, seed={n}, examples=1{options})"
            # The first of all asks for everything; an example alone does what it did among others.
            trial = Trial(make, draw_world(layout, n), n, again, keys, everything=n % 3 == 0)
            _try(trial, also)


def check_in_world(
    make: Callable[[World], Any],
    world: World,
    request: BatchRequest,
    *,
    local: bool = False,
    registered: bool = False,
    keeps_ids: bool = False,
    reads_only: bool = False,
) -> None:
    """Raise if a node breaks a promise in one world, asked for one thing; else like `check_node`.

    Parameters
    ----------
    make
        Makes a new node for the world.
    world
        The world.
    request
        What is asked for. It needs a `random_seed`, which becomes that of a run.
    local, registered, keeps_ids, reads_only
        As for `check_node`.
    """
    trial = Trial(make, world, request.seed, "the same request in the same world", list(request))
    trial.request = request
    also = {
        "local": local,
        "registered": registered,
        "keeps_ids": keeps_ids,
        "reads_only": reads_only,
    }
    _try(trial, also)


#: What a node may promise beyond what all do.
DECLARED = {
    "local": declared.is_local,
    "registered": declared.keeps_registered,
    "keeps_ids": declared.keeps_ids,
    "reads_only": declared.reads_only,
}


def _try(trial: Trial, also: dict[str, bool]) -> None:
    trial.settle()
    for promise in promises.ALWAYS:
        promise(trial)
    for name, wanted in also.items():
        if wanted:
            DECLARED[name](trial)


def _spelled(**options: Any) -> str:
    return "".join(f", {name}={value}" for name, value in options.items() if value)
