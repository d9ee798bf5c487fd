"""Models for the tests of `voxflow.jax`."""

import jax
import jax.numpy as jnp
import optax

from voxflow.jax import GenericJaxModel


class Line(GenericJaxModel):
    """y = a x + b, trained by momentum, whose state is among the parameters."""

    def __init__(self, is_training=True, rate=0.1, by_name=False):
        super().__init__(is_training)
        self.optimizer = optax.sgd(rate, momentum=0.5)
        self.by_name = by_name

    def initialize(self, rng_key, inputs):
        weights = {"a": jax.random.normal(rng_key, ()), "b": jnp.zeros(())}
        return {"weights": weights, "optimizer": self.optimizer.init(weights)}

    def forward(self, params, inputs):
        return {"y": params["weights"]["a"] * inputs["x"] + params["weights"]["b"]}

    def _loss(self, weights, inputs):
        y = self.forward({"weights": weights}, inputs)["y"]
        return jnp.mean((y - inputs["target"]) ** 2), y

    def train_step(self, params, inputs, pmapped):
        grad = jax.value_and_grad(self._loss, has_aux=True)
        (loss, y), gradients = grad(params["weights"], inputs)
        if pmapped:
            gradients = jax.lax.pmean(gradients, axis_name="num_devices")
        updates, state = self.optimizer.update(gradients, params["optimizer"])
        weights = optax.apply_updates(params["weights"], updates)
        if self.by_name:
            loss = {"near": 0.75 * loss, "far": 0.25 * loss}
        new = {"weights": weights, "optimizer": state}
        return new, {"y": y, "error": y - inputs["target"]}, loss
