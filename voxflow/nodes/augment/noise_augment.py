"""Random noise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.nodes.augment.augment import ValueAugment, check_floating, probability
from voxflow.pipeline.data import Array, Batch, BatchRequest

if TYPE_CHECKING:
    from voxflow.pipeline.data import ArrayKey

_MODES = ("gaussian", "localvar", "poisson", "salt", "pepper", "s&p", "speckle")


class NoiseAugment(ValueAugment):
    """Adds noise with `skimage.util.random_noise`.

    Parameters
    ----------
    array
        The array, of floating point.
    mode
        The kind of noise: "gaussian", "poisson", "s&p", ... as in scikit-image.
    clip
        The values have to lie in [-1, 1] and are clipped afterwards: to [0, 1], or to [-1, 1] if
        any value is negative.
    p
        The probability with which the node does anything.
    **kwargs
        Passed on, such as ``var=0.01``.

    Raises
    ------
    ImportError
        If scikit-image is not installed.
    ValueError
        If scikit-image knows no such noise, or does not take the arguments. At a request: if values
        lie outside of [-1, 1] and `clip` is on.
    TypeError
        At setup, or at a request if its dtype is not known before: if the array is not of floating
        point.
    """

    def __init__(
        self,
        array: ArrayKey,
        mode: str = "gaussian",
        clip: bool = True,
        p: float = 1.0,
        **kwargs: Any,
    ) -> None:
        try:
            from skimage.util import random_noise
        except ImportError as error:
            raise ImportError(
                'NoiseAugment needs scikit-image: pip install "voxflow[noise]"'
            ) from error
        # Mistakes in mode and arguments are found now, not at a request.
        if mode.lower() not in _MODES:
            raise ValueError(f"mode has to be one of {', '.join(_MODES)}, got {mode!r}")
        random_noise(np.zeros(1), mode, np.random.default_rng(0), clip, **kwargs)
        self.array = array
        self.mode = mode
        self.clip = clip
        self.p = probability("p", p)
        self.kwargs = kwargs

    def process(self, batch: Batch, request: BatchRequest) -> Batch:
        """Add noise."""
        from skimage.util import random_noise

        array = batch[self.array]
        self._check(array.data)
        rng = request.rng(self.label)
        data = random_noise(array.data, mode=self.mode, rng=rng, clip=self.clip, **self.kwargs)
        made = Batch()
        made[self.array] = Array(
            data.astype(array.data.dtype, copy=False), array.spec, dict(array.attrs)
        )
        return made

    def _check(self, data: np.ndarray[Any, Any]) -> None:
        check_floating(self, self.array, data.dtype)
        if self.clip and data.size and not (data.min() >= -1 and data.max() <= 1):
            raise ValueError(
                f"{self.name()} clips to [-1, 1], but {self.array} has values in "
                f"[{data.min():g}, {data.max():g}]; put Normalize upstream, or use clip=False"
            )
