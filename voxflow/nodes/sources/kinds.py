"""Is an array an image or a map of labels, and do its values speak of directions?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from voxflow.pipeline.data.kinds import kind_of_attrs
from voxflow.stores import MetadataConflict

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from voxflow.pipeline.data.kinds import Kind
    from voxflow.stores import Dataset


def guess_interpolatable(dtype: DTypeLike | None) -> bool | None:
    """Whether values between voxels are likely to mean something: floating point and uint8.

    Examples
    --------
    >>> guess_interpolatable("uint8"), guess_interpolatable("uint64")
    (True, False)
    """
    if dtype is None:
        return None
    return np.issubdtype(dtype, np.floating) or np.dtype(dtype) == np.uint8


def stated_kind(dataset: Dataset) -> Kind | None:
    """What the attributes of a dataset say of its values; None for plain ones.

    Raises
    ------
    MetadataConflict
        If an attribute does not say what it should.
    """
    try:
        return kind_of_attrs(dataset.attrs)
    except (TypeError, ValueError) as error:
        raise MetadataConflict(
            f"{dataset.uri} does not say clearly what its values are: {error}. Correct its "
            "attributes, or give kind= in the spec"
        ) from error
