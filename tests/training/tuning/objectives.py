"""Trainings that take no time, for tests of tuning."""

import json
import math
from types import SimpleNamespace

from voxflow.training import StepResult
from voxflow.training.config import load_config
from voxflow.training.run_dir import MARKER

GOOD = """
model: {name: UNet, options: {in_channels: 1, out_channels: 2}}
loss: {name: CrossEntropyLoss}
data:
  pairs:
    - {raw: [a.zarr, raw], labels: [a.zarr, labels]}
  input_shape: [64, 64]
validation:
  pairs:
    - {raw: [b.zarr, raw], labels: [b.zarr, labels]}
  every: {steps: 10}
stop: {steps: 40}
"""


def loads(folder, *assignments):
    """What gives the configuration, of a file in a folder."""
    file = folder / "run.yaml"
    file.write_text(GOOD)

    def load(over):
        environment = {"XDG_CONFIG_HOME": "/nowhere"}
        return load_config(file, [*assignments, *over], environment=environment)

    return load


def lr_error(config, step):
    """Least at a rate of 1e-3, and less with each step."""
    return (math.log10(config.optimizer.lr) + 3) ** 2 + 1 / step


class Objective:
    """Trains nothing, and has a validation find what a function says.

    Parameters
    ----------
    function
        Gives the value for a configuration and a step.
    before
        Called with the number of the trial and its configuration, before it begins.
    """

    def __init__(self, function=lr_error, before=lambda number, config: None):
        self.function = function
        self.before = before
        self.made = []
        self.resumed = []

    def __call__(self, settings, *, run_dir, resume, hooks, scripts):
        config = settings.config
        self.made.append(config)
        self.resumed.append(resume)
        (run_dir / "checkpoints").mkdir(parents=True, exist_ok=True)
        (run_dir / MARKER).write_text(json.dumps({"format": 1}))
        session = SimpleNamespace(stop_reason=None)
        session.request_stop = lambda why, save=True: setattr(session, "stop_reason", why)
        self.before(int(run_dir.name), config)
        every = config.validation.every.steps
        for step in range(1, config.stop.steps + 1):
            found = {"validation.loss": self.function(config, step)} if step % every == 0 else {}
            hooks[0].after_step(session, StepResult(step, 0.0, {"loss": 0.0, **found}))
            if session.stop_reason is not None:
                break
        hooks[0].end(session)
