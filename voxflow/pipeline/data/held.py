"""Whether anybody else has some voxels: told by how many references there are to them.

Nodes from outside may write again to voxels that they handed out: many use one buffer for all
batches. Who does so has kept a reference, so voxels that nobody else refers to need not be copied.
"""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any
from weakref import getweakrefcount

import numpy as np

__all__ = ["nobody_else_has"]


def nobody_else_has(holder: Any, name: str) -> bool:
    """Whether the memory of an array cannot be reached but by one attribute of an object.

    What reaches memory of numpy has a reference, or a weak one, to the array that it belongs to: so
    have views, memoryviews, and tensors made of it. Of memory of others that cannot be said.

    Examples
    --------
    >>> holder = SimpleNamespace(voxels=np.zeros((2, 3)))
    >>> nobody_else_has(holder, "voxels")
    True
    >>> row = holder.voxels[0]
    >>> nobody_else_has(holder, "voxels")
    False
    """
    if not _has_alone(holder, name):
        return False
    voxels = getattr(holder, name)
    if voxels.flags.owndata:
        return True
    return _has_alone(voxels, "base") and bool(voxels.base.flags.owndata)


def _has_alone(holder: Any, name: str) -> bool:
    # A call has what it is given, too: how often, differs from one Python to the next. So what is
    # counted is compared with what nobody else has, either of them held by no variable.
    sample = SimpleNamespace(voxels=object())
    return (
        type(getattr(holder, name)) is np.ndarray
        and _references(holder, name) <= _references(sample, "voxels")
        and not getweakrefcount(getattr(holder, name))
    )


def _references(holder: Any, name: str) -> int:
    return sys.getrefcount(getattr(holder, name))
