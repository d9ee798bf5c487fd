"""The name of gunpowder's U-Net for TensorFlow 1, which current Pythons do not have."""

from __future__ import annotations

from typing import Any, NoReturn

__all__ = ["unet"]


def unet(*args: Any, **kwargs: Any) -> NoReturn:
    """Raise ImportError: TensorFlow 1 does not exist for this Python."""
    raise ImportError(
        "voxflow.zoo.tensorflow.unet needs TensorFlow 1, which does not exist for this Python; "
        "voxflow.models.UNet is the network, in torch"
    )
