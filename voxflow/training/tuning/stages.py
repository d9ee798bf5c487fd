"""The stages of a tuning: what is tried in each, how often, and for how long."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from voxflow.training.config.options import split_key
from voxflow.training.config.schema import Config
from voxflow.training.tuning.parameters import Choice, Range, assignment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["BATCH", "LR", "NotTunable", "Stage", "batch_stages", "lr_stages"]

LR = "optimizer.lr"
BATCH = "data.batch_size"

Length = int | str
"""A number of steps, or a part of those of the configuration, such as ``"10%"``."""

_LR_STAGES: tuple[tuple[int, Length], ...] = ((20, "10%"), (10, "50%"), (5, "100%"))


class NotTunable(ValueError):
    """A configuration lacks what tuning needs, or the next stage of it."""


@dataclass(frozen=True)
class Stage:
    """A part of a tuning whose trials are like one another.

    Parameters
    ----------
    space
        What is tuned, by dotted keys of the configuration.
    trials
        How many trials there are.
    how
        "model": where good values are likely, after what was found so far (TPE); "random": drawn
        anew for each; "each": the choices in their order, one after another.
    steps
        How many steps a trial has; None: as the configuration says.
    samples
        After how many samples a trial ends, in place of steps: with larger batches there are fewer
        steps, and they are validated after fewer.
    batch
        The option that says how many samples are in a batch.
    around
        Of all ranges: how many powers of ten below and above the best value of the stage before are
        tried, as far as they are in the range; None: all of the range.

    Raises
    ------
    ValueError
        If a number is out of range.
    """

    space: Mapping[str, Range | Choice]
    trials: int
    how: Literal["model", "random", "each"] = "model"
    steps: int | None = None
    samples: int | None = None
    batch: str = BATCH
    around: float | None = None

    def __post_init__(self) -> None:
        if not self.space:
            raise ValueError("nothing is tuned: name an option and its values")
        if self.trials < 1:
            raise ValueError(f"a stage needs at least 1 trial, got {self.trials}")

    @property
    def facts(self) -> dict[str, Any]:
        """What all trials of the stage have in common, as JSON has it; not how many there are."""
        space = {key: str(values) for key, values in self.space.items()}
        alike = {
            name: getattr(self, name) for name in ("how", "steps", "samples", "batch", "around")
        }
        return {**alike, "space": space}

    def after(self, best: Mapping[str, Any]) -> Mapping[str, Range | Choice]:
        """What is tried after a stage.

        Parameters
        ----------
        best
            The best values of the stage before.
        """
        powers = self.around
        if powers is None:
            return self.space
        return {
            key: values.around(best[key], powers) if isinstance(values, Range) else values
            for key, values in self.space.items()
        }

    def assignments(self, values: Mapping[str, Any], config: Config) -> list[str]:
        """What a trial has on top of the configuration: its values, and its length.

        Parameters
        ----------
        values
            What is tried, by dotted keys.
        config
            Without it.
        """
        found = dict(values)
        steps, every = self.steps, _validated_every(config)
        if self.samples is not None and config.stop.steps is not None:
            steps = max(1, math.ceil(self.samples / _in_step(values, config, self.batch)))
            if every is not None:
                every = max(1, round(every * steps / config.stop.steps))
        if steps is not None:
            found["stop.steps"] = steps
            if every is not None:
                # The least that a trial needs is one value, at its end.
                found["validation.every.steps"] = min(every, steps)
        return [assignment(key, value) for key, value in found.items()]


def lr_stages(
    config: Config,
    low: float = 1e-6,
    high: float = 1e-1,
    stages: Sequence[tuple[int, Length]] = _LR_STAGES,
) -> list[Stage]:
    """Find a learning rate, coarsely first and then ever more finely.

    Rates are drawn at random, each power of ten as likely as any other: in the first stage from all
    of the range, in the second up to a power of ten around the best of the first, in the third up
    to a tenth of a power, and so on; never a rate that is not in the range.

    Parameters
    ----------
    config
        What is trained.
    low, high
        Where the rate is looked for.
    stages
        Of each the number of trials, and their length: steps, or a part of those of the
        configuration, such as ``"10%"``.

    Raises
    ------
    NotTunable
        If a length is a part of steps that the configuration does not say.
    ValueError
        If a number is out of range.
    """
    space = {LR: Range(low, high, log=True)}
    return [
        Stage(
            space,
            trials,
            "random",
            steps=_steps(length, config),
            around=None if number == 0 else 10.0 ** (1 - number),
        )
        for number, (trials, length) in enumerate(stages)
    ]


def batch_stages(
    config: Config, sizes: Sequence[int] = (2, 4, 8, 16, 32), key: str = BATCH
) -> list[Stage]:
    """Try sizes of batches, each for as many samples as the configuration has in its steps.

    Parameters
    ----------
    config
        What is trained.
    sizes
        The sizes, in their order.
    key
        The option that says the size; of a pipeline of your own, one of ``data.options``.

    Raises
    ------
    NotTunable
        If the configuration has no size of batches there.
    ValueError
        If there are no sizes.
    """
    if key == BATCH and config.data.pipeline is not None:
        raise NotTunable(
            f"{BATCH} is not for a pipeline of your own; say which of its options is the size of "
            "batches, such as data.options.batch"
        )
    steps = config.stop.steps
    samples = None if steps is None else steps * _in_step({}, config, key)
    return [Stage({key: Choice(tuple(sizes))}, len(sizes), "each", samples=samples, batch=key)]


def _in_step(values: Mapping[str, Any], config: Config, key: str) -> int:
    """How many samples are in a step."""
    found: Any = values.get(key)
    if found is None:
        found = config.model_dump()
        for name in split_key(Config, key):
            found = found.get(name) if isinstance(found, dict) else None
    if isinstance(found, bool) or not isinstance(found, int) or found < 1:
        raise NotTunable(f"{key} is no size of batches: the configuration has {found!r} there")
    return found * config.step.accumulate


def _validated_every(config: Config) -> int | None:
    return None if config.validation is None else config.validation.every.steps


def _steps(length: Length, config: Config) -> int:
    """How many steps a length is.

    Raises
    ------
    NotTunable
        If the configuration does not say.
    """
    if isinstance(length, int):
        return length
    if config.stop.steps is None:
        raise NotTunable(
            f"{length} of the steps is asked for, and the configuration has no stop.steps; give "
            "stop.steps, or lengths in steps"
        )
    return max(1, round(float(length.rstrip("%")) / 100 * config.stop.steps))
