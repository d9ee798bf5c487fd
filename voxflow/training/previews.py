"""Pictures of what a network makes of fixed regions, and of what it is trained on."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from voxflow.nodes.scanning.callback import ScanCallback
from voxflow.nodes.scanning.scan import Scan
from voxflow.pictures import batch_picture
from voxflow.pipeline.data import Array, ArrayKey, ArraySpec, Batch, BatchRequest
from voxflow.pipeline.engine import build
from voxflow.torch.draws import drawing_from
from voxflow.torch.modes import evaluating
from voxflow.torch.predict import Predict
from voxflow.training.drawn import Drawn
from voxflow.training.outputs import with_outputs
from voxflow.training.when import Every

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from voxflow.pictures import Style
    from voxflow.training.drawn import TakesImages
    from voxflow.training.result import StepResult
    from voxflow.training.session import Session

__all__ = ["PreviewRegion", "Previews"]

logger = logging.getLogger(__name__)

TRAINING = "training"
"""The name of the picture of training data."""

_SEED = 0


@dataclass(frozen=True)
class PreviewRegion:
    """A part of an image that is predicted again and again.

    Parameters
    ----------
    pipeline
        Gives what goes into the network, as the network takes it; and whatever else is to be seen,
        such as labels. Without random draws.
    request
        What is shown: outputs of the network, and arrays of the pipeline, each with its region.
    context
        How much of the input the network needs around its output, on each side, in world units.
        None: the request has the inputs with all that the network needs.
    block
        What is predicted at once, as the reference of a `Scan`; None: all.
    """

    pipeline: Any
    request: BatchRequest
    context: Iterable[Any] | None = None
    block: BatchRequest | None = None


class Previews(Drawn):
    """Draws what the network makes of fixed regions, and of training data: a hook of a session.

    The pictures are ``<name>-<when>.png``, such as ``previews/heldout-step-2000.png``. The network
    is in evaluation mode and draws from a seed of its own: nothing of the training changes. Drawing
    and writing are done by a thread, beside the training; predicting is not, and is no time of the
    training. What fails is told, and the training goes on.

    Parameters
    ----------
    regions
        By name.
    every
        When: a number of steps, or a trigger, such as ``Every(first_hours=1, hours=3)``.
    folder
        Where the files go; None: ``previews`` in the run directory.
    training
        Whether the last batch of the training is shown as well, with what the network makes of it.
    images
        Where pictures go besides.
    channels
        Which channels of the outputs are shown.
    classes
        Whether the channel with the largest value is shown as a label.
    sections
        At most how many sections of a volume are shown.
    averaged
        Whether the averaged weights predict (`StepOptions.average`).
    styles
        How arrays are shown, by key: see `batch_picture`.

    Examples
    --------
    >>> previews = Previews({}, every=Every(first_hours=1, hours=3, steps=10_000))
    """

    kind = "previews"

    def __init__(
        self,
        regions: Mapping[str, PreviewRegion] | None = None,
        *,
        every: int | Every = 1000,
        folder: str | Path | None = None,
        training: bool = True,
        images: TakesImages | None = None,
        channels: Literal["all"] | Sequence[int] = "all",
        classes: bool = False,
        sections: int = 5,
        averaged: bool = False,
        styles: Mapping[ArrayKey, Style] | None = None,
    ) -> None:
        self.regions = dict(regions or {})
        if TRAINING in self.regions and training:
            raise ValueError(f"{TRAINING!r} is the picture of training data: rename the region")
        super().__init__(every, folder, images)
        self.training = training
        self.channels = channels
        self.classes = classes
        self.sections = sections
        self.averaged = averaged
        self.styles = dict(styles or {})
        self._last: Batch | None = None

    # -- a hook ---------------------------------------------------------------------------------

    def begin(self, session: Session) -> None:
        """Draw the beginning, if that is due."""
        self._draw_if_due(session)

    def after_step(self, session: Session, step: StepResult) -> None:
        """Draw what is due."""
        self._last = step.batch
        self._draw_if_due(session)

    def end(self, session: Session) -> None:
        """Draw the end, if that is due, and wait until all is written."""
        super().end(session)
        self._last = None

    # -- what is to be seen ---------------------------------------------------------------------

    def _draw(self, session: Session, when: str) -> list[Path]:
        """Predict now, and draw later; the files that there will be."""
        files = []
        for name in [*self.regions, *([TRAINING] if self.training and self._last else [])]:
            with session.paused():
                arrays = session.hooks.guarded(self, f"predict {name}", self._seen, session, name)
            if arrays is None:
                continue
            file = self._file(session, f"{name}-{when}.png")
            title = f"{name}, step {session.step}"
            job = (session.step, name, title, arrays, file)
            self._aside.do(session.hooks.guarded, self, f"draw {name}", self._save, *job)
            files += [] if file is None else [file]
        return files

    def _seen(self, session: Session, name: str) -> dict[str, Array]:
        averages = session._step.averages
        if self.averaged and averages is None:
            raise ValueError("there are no averaged weights: give StepOptions(average=...)")
        used = averages.used() if self.averaged and averages is not None else nullcontext()
        with used, evaluating(session.model), drawing_from(_SEED, session.device):
            if name == TRAINING:
                batch = Batch() if self._last is None else with_outputs(session, self._last)
            else:
                batch = self._of_region(session, self.regions[name])
        outputs = list(session._forward.outputs.values())
        arrays: dict[str, Array] = {}
        for key, array in batch.items():
            if not isinstance(array, Array):
                continue
            # Its memory may be that of a worker, who is given it back after the next step.
            kept = Array(array.view.copy(), array.spec)
            arrays.update(self._output(str(key), kept) if key in outputs else {str(key): kept})
        return arrays

    def _of_region(self, session: Session, region: PreviewRegion) -> Batch:
        forward = session._forward
        outputs = {n: k for n, k in forward.outputs.items() if k in region.request}
        made = region.pipeline + Predict(
            session.model, forward.inputs, outputs, device=session.device, context=region.context
        )
        if region.block is not None:
            made += Scan(region.block, progress_callback=ScanCallback())
        with build(made, seed=_SEED):
            return made.request_batch(region.request)  # type: ignore[no-any-return]

    def _output(self, name: str, array: Array) -> dict[str, Array]:
        """An output, of which some channels are shown, and the class that is most likely."""
        dims = 0 if array.spec.voxel_size is None else array.spec.voxel_size.dims
        data, axis = array.data, array.data.ndim - dims - 1
        if axis < 0 or not dims:
            return {name: array}
        chosen = data if self.channels == "all" else np.take(data, self.channels, axis)
        seen = {name: Array(chosen, _retyped(array.spec, chosen))}
        if self.classes and data.shape[axis] > 1:
            best = data.argmax(axis, keepdims=True)
            spec = _retyped(array.spec, best)
            spec.interpolatable = False
            seen[f"{name} CLASSES"] = Array(best, spec)
        return seen

    # -- drawing --------------------------------------------------------------------------------

    def _save(
        self, step: int, name: str, title: str, arrays: dict[str, Array], file: Path | None
    ) -> None:
        pixels = batch_picture(
            arrays, styles=self.styles, sections=self.sections, channels=8, title=title
        )
        self._hand_out(step, name, pixels, file)


def _retyped(spec: ArraySpec, data: NDArray[Any]) -> ArraySpec:
    made = spec.copy()
    made.dtype = data.dtype
    return made
