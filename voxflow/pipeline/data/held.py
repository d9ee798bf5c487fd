"""Whether anybody else has an object: told by how many references there are to it.

Nodes from outside may write again to voxels that they handed out: many use one buffer for all
batches. Who does so has kept a reference, so voxels that nobody else refers to need not be copied.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

__all__ = ["reached_once"]


def _references(held: Any) -> int:
    return sys.getrefcount(held)


# A call has what it is given, too: how often that counts differs from one Python to the next.
_sample = [object()]
_ONCE = _references(_sample[0])


def reached_once(voxels: np.ndarray[Any, Any]) -> bool:
    """Whether the memory of voxels cannot be reached but by the one reference they are given by.

    That has to be an item or an attribute: what a variable holds, is held by the variable, too.
    What reaches memory of numpy has a reference to the array that it belongs to: so have views,
    memoryviews, and tensors made of it. Of memory of somebody else that cannot be said.

    Examples
    --------
    >>> items = [np.zeros((2, 3))]
    >>> reached_once(items[0])
    True
    >>> row = items[0][0]
    >>> reached_once(items[0])
    False
    """
    if sys.getrefcount(voxels) > _ONCE or type(voxels) is not np.ndarray:
        return False
    if voxels.base is None:
        return voxels.flags.owndata
    base = type(voxels.base) is np.ndarray and voxels.base.flags.owndata
    return base and _references(voxels.base) <= _ONCE
