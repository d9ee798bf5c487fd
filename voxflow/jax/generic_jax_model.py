"""What the nodes know of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Mapping


class GenericJaxModel:
    """The interface of models, made with haiku, flax or jax alone. Subclasses fill it in.

    Functions have to be pure, as jax compiles them: what changes is in the parameters, which may
    be any tree of arrays, with the state of the optimizer among them.

    Parameters
    ----------
    is_training
        Whether the model is to be trained.
    """

    def __init__(self, is_training: bool) -> None:
        self.is_training = is_training

    def initialize(self, rng_key: Any, inputs: Mapping[str, Any]) -> Any:
        """The first parameters.

        Parameters
        ----------
        rng_key
            A key of `jax.random`.
        inputs
            Arrays by name; on several devices the part of one of them.
        """
        self._lacks("initialize")

    def forward(self, params: Any, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """The outputs by name."""
        self._lacks("forward")

    def train_step(
        self, params: Any, inputs: Mapping[str, Any], pmapped: bool
    ) -> tuple[Any, dict[str, Any], Any]:
        """One step.

        Parameters
        ----------
        params
            The parameters.
        inputs
            Arrays by name.
        pmapped
            Whether it is computed by several devices, each with its part of the inputs. Gradients
            then have to be averaged: ``jax.lax.pmean(gradients, axis_name="num_devices")``.

        Returns
        -------
        tuple
            The new parameters, the outputs by name, and the loss: a number, or several by name.
        """
        self._lacks("train_step")

    def _lacks(self, method: str) -> NoReturn:
        raise RuntimeError(f"{type(self).__name__} does not implement {method}()")
