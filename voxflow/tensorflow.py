"""The names of gunpowder's nodes for TensorFlow 1, which current Pythons do not have.

Scripts can import them; their use says what to take instead.
"""

from __future__ import annotations

from typing import Any, NoReturn

__all__ = ["LocalServer", "Predict", "Train"]


def _gone(name: str, instead: str) -> NoReturn:
    raise ImportError(
        f"voxflow.tensorflow.{name} needs TensorFlow 1, which does not exist for this Python. "
        f"{instead}"
    )


class Train:
    """Trained a TensorFlow graph. Any use raises ImportError.

    Raises
    ------
    ImportError
        Always.
    """

    def __init__(
        self,
        graph: Any,
        optimizer: Any,
        loss: Any,
        inputs: Any,
        outputs: Any,
        gradients: Any,
        summary: Any = None,
        array_specs: Any = None,
        save_every: int = 2000,
        log_dir: str = "./",
        log_every: int = 1,
    ) -> None:
        _gone("Train", "Make the network with torch, and train it with voxflow.torch.Train.")


class Predict:
    """Predicted with a TensorFlow graph. Any use raises ImportError.

    Raises
    ------
    ImportError
        Always.
    """

    def __init__(
        self,
        checkpoint: Any,
        inputs: Any,
        outputs: Any,
        array_specs: Any = None,
        graph: Any = None,
        skip_empty: bool = False,
        max_shared_memory: int = 1024 * 1024 * 1024,
    ) -> None:
        _gone("Predict", "Make the network with torch, and predict with voxflow.torch.Predict.")


class LocalServer:
    """Shared a TensorFlow session between nodes. Any use raises ImportError."""

    @staticmethod
    def get_target() -> NoReturn:
        """Raise ImportError."""
        _gone("LocalServer", "Nodes of voxflow.torch share a model by being given the same one.")
