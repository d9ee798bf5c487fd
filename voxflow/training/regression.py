"""Predicted values against their targets, as pictures: how good a regression is, and where not."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import numpy as np

from voxflow.training.drawn import Drawn
from voxflow.training.regression_plot import density_picture, scatter_picture

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch
    from numpy.typing import NDArray

    from voxflow.pipeline.data import ArrayKey
    from voxflow.torch.calls import Name
    from voxflow.training.drawn import TakesImages
    from voxflow.training.result import StepResult
    from voxflow.training.session import Session
    from voxflow.training.when import Every

    Pairs = NDArray[np.float32]

__all__ = ["Regression"]

_BATCHES = 8  # of a training, among which the pairs are shared out
_LOOKED_AT = 16  # times as many values as are taken: most targets may be missing


class Regression(Drawn):
    """Draws predicted values against their targets: a hook of a session whose loss compares them.

    The pairs are those that the loss was given: of the last batches of the training, as they were
    before their step, and of the last validation. Where a target is not finite there is no pair.
    Pictures are ``<name>-scatter-<when>.png``, with a point for each pair, and
    ``<name>-density-<when>.png``, with how many there are, such as
    ``regression/validation-density-step-2000.png``. A thread draws and writes them beside the
    training, of which nothing changes. What fails is told, and the training goes on.

    Parameters
    ----------
    prediction, target
        Which of the arrays of the loss are compared. None: the first one that the model makes, and
        the first one that it does not make.
    every
        When: a number of steps, or a trigger.
    pairs
        How many are drawn. Of a training they are the last ones, a part of each batch; of a
        validation they are spread over all of it.
    central
        How many percent of the values the axes hold; what is farther out is counted in the title.
    folder
        Where the files go; None: ``regression`` in the run directory.
    images
        Where pictures go besides, such as a `Recorder`.

    Raises
    ------
    ValueError
        If a number is out of range. When the training begins: if the loss does not compare what is
        to be compared.

    Examples
    --------
    >>> regression = Regression(every=1000, pairs=10_000)
    """

    kind = "regression"

    def __init__(
        self,
        prediction: ArrayKey | None = None,
        target: ArrayKey | None = None,
        *,
        every: int | Every = 1000,
        pairs: int = 4000,
        central: float = 99.0,
        folder: str | Path | None = None,
        images: TakesImages | None = None,
    ) -> None:
        if pairs < 1 or not 0 < central <= 100:
            raise ValueError(
                f"pairs is at least 1, and central above 0 up to 100; got {pairs} and {central}"
            )
        self.prediction = prediction
        self.target = target
        super().__init__(every, folder, images)
        self.pairs = pairs
        self.central = central
        self._names: tuple[Name, Name] | None = None
        self._trained: deque[Pairs] = deque()
        self._validated: list[Pairs] = []
        self._validated_at = -1

    # -- a hook ---------------------------------------------------------------------------------

    def check(self, session: Session) -> None:
        """Say what cannot be compared."""
        self._names = self._found(session)

    def after_loss(self, session: Session, given: Mapping[Name, torch.Tensor], kind: str) -> None:
        """Take pairs from what the loss was given."""
        if self._names is None:
            return
        if kind == "validation":
            if self._validated_at != session.step:
                self._validated, self._validated_at = [], session.step
            self._validated.append(_pairs_of(given, self._names, self.pairs))
        else:
            most = -(-self.pairs // _BATCHES)
            self._trained.append(_pairs_of(given, self._names, most))
            while sum(map(len, self._trained)) - len(self._trained[0]) >= self.pairs:
                self._trained.popleft()

    def after_step(self, session: Session, step: StepResult) -> None:
        """Draw what is due."""
        self._draw_if_due(session)

    # -- which ----------------------------------------------------------------------------------

    def _found(self, session: Session) -> tuple[Name, Name]:
        forward = session._forward
        made, there = {*forward.outputs.values()}, forward.loss_inputs
        found: list[Name] = []
        for key, is_made in ((self.prediction, True), (self.target, False)):
            names = [
                n for n, k in there.items() if k == key or (key is None and (k in made) == is_made)
            ]
            if not names:
                wanted = key or ("a prediction" if is_made else "a target")
                raise ValueError(
                    f"Regression compares {wanted}, which the loss is not given; it is given "
                    f"{', '.join(map(str, there.values()))}"
                )
            found.append(names[0])
        return found[0], found[1]

    # -- drawing --------------------------------------------------------------------------------

    def _draw(self, session: Session, when: str) -> list[Path]:
        """Draw later; the files that there will be."""
        files = []
        seen = {"training": [*self._trained], "validation": [*self._validated]}
        for name, parts in seen.items():
            pairs = np.concatenate(parts) if parts else np.empty((0, 2), np.float32)
            pairs = pairs[-self.pairs :] if name == "training" else _spread(pairs, self.pairs)
            if not len(pairs):
                continue
            step = session.step if name == "training" else self._validated_at
            drawn = {kind: self._file(session, f"{name}-{kind}-{when}.png") for kind in _PICTURES}
            job = (session.step, name, f"{name}, step {step}", pairs, drawn)
            self._aside.do(session.hooks.guarded, self, f"draw {name}", self._save, *job)
            files += [file for file in drawn.values() if file is not None]
        return files

    def _save(
        self, step: int, name: str, title: str, pairs: Pairs, files: Mapping[str, Path | None]
    ) -> None:
        for kind, file in files.items():
            pixels = _PICTURES[kind](pairs, central=self.central, title=title)
            self._hand_out(step, f"{name}.{kind}", pixels, file)


_PICTURES = {"scatter": scatter_picture, "density": density_picture}


def _pairs_of(given: Mapping[Name, torch.Tensor], names: tuple[Name, Name], most: int) -> Pairs:
    """At most so many pairs, spread over the tensors: shape (pairs, 2), target and prediction."""
    prediction, target = (given[name].detach() for name in names)
    if prediction.numel() != target.numel():
        raise ValueError(
            f"a prediction of the shape {tuple(prediction.shape)} has no target for each value: "
            f"those are of the shape {tuple(target.shape)}"
        )
    step = max(1, target.numel() // (most * _LOOKED_AT))
    columns = [t.reshape(-1)[::step].float().cpu().numpy() for t in (target, prediction)]
    pairs = np.stack(columns, axis=1)
    return _spread(pairs[np.isfinite(pairs).all(axis=1)], most)


def _spread(pairs: Pairs, most: int) -> Pairs:
    """At most so many, from the first to the last."""
    if len(pairs) <= most:
        return pairs
    kept: Pairs = pairs[np.linspace(0, len(pairs) - 1, most).astype(int)]
    return kept
