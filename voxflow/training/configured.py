"""From a configuration to a session, and through its run."""

from __future__ import annotations

import logging
import os
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxflow.torch.step_options import StepOptions
from voxflow.torch.warm_start import freeze
from voxflow.training.config import ConfigError, load_config
from voxflow.training.config.names import parse_dotted
from voxflow.training.coverage import Coverage
from voxflow.training.filters import Filters
from voxflow.training.keeping import Keeper
from voxflow.training.monitor import Monitor
from voxflow.training.parts.feeds import make_feed
from voxflow.training.parts.named import load_named
from voxflow.training.parts.network import make_loss, make_model, make_optimizer
from voxflow.training.parts.regions import make_regions
from voxflow.training.parts.whole import whole_validation
from voxflow.training.plateau import Plateau
from voxflow.training.plotting import Plots
from voxflow.training.previews import Previews
from voxflow.training.recorder import Recorder
from voxflow.training.regression import Regression
from voxflow.training.run_dir import RunDir
from voxflow.training.run_log import log_to
from voxflow.training.scheduled import Scheduled
from voxflow.training.schedules import Decay, Linear, Updates
from voxflow.training.session import Session
from voxflow.training.snapshots import Snapshots
from voxflow.training.status import Status
from voxflow.training.stopping import EarlyStopping, MaxActiveHours, MaxSteps, MaxWallHours
from voxflow.training.validation import Validation
from voxflow.training.when import Every

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voxflow.training.config import Config, Settings
    from voxflow.training.config.schema import (
        CheckpointSection,
        EverySection,
        ScheduleSection,
        SourceSection,
        StopSection,
        ValidationSection,
    )
    from voxflow.training.parts.feeds import Feed
    from voxflow.training.result import RunReport

__all__ = ["make_session", "train"]

logger = logging.getLogger(__name__)


def train(
    settings: Settings,
    *,
    resume: bool = False,
    run_dir: str | Path | None = None,
    scripts: Sequence[str | Path] = (),
    hooks: Sequence[Any] = (),
) -> RunReport:
    """Train as a configuration says.

    Parameters
    ----------
    settings
        What `load_config` gave.
    resume
        Whether an earlier run goes on. Without, its folder must not be there.
    run_dir
        The run directory; None: ``run.folder/name``.
    scripts
        Files to copy into it, beside those that the configuration names.
    hooks
        More hooks of the session.

    Returns
    -------
    RunReport
        How far it got, and why it ended.

    Raises
    ------
    RunDirTaken
        If the run directory is there, or another process works in it.
    FileNotFoundError
        If there is nothing to resume.
    ValueError, TypeError
        If what is named makes something that does not fit.
    """
    config = settings.config
    folder = Path(config.run.folder) / config.name if run_dir is None else Path(run_dir)
    # First: what cannot be built leaves no run directory behind.
    begin = _built(config, hooks)
    before: Path | None = None
    with ExitStack() as stack:
        if int(os.environ.get("RANK", "0")) == 0:  # of several processes, one writes
            made = RunDir.resume(folder) if resume else RunDir.make(folder, config.run.exists)
            stack.enter_context(made)
            folder, before = made.path, made.config
            files, device = [*scripts, *_files(config)], {"asked": config.device}
            made.record(settings.dump(), files, device, config.run.source)
            stack.enter_context(log_to(made.file("log.txt"), config.device))
        keeper = _keeper(folder, config.checkpoints)
        if before is not None and keeper.has_any():
            _tell_of_optimizer(before, config)
        session = begin(run_dir=folder, keeper=keeper)
        session.scope["config"] = config
        # An earlier part that left no checkpoint is begun anew.
        if config.model.start_from is not None and not keeper.has_any():
            session.load(config.model.start_from, config.model.start_mode)
        report: RunReport = session.run()
        return report


def _tell_of_optimizer(before: Path, config: Config) -> None:
    """Say which options were changed in vain: the optimizer is that of the checkpoint."""
    try:
        old = load_config(before).config.optimizer
    except ConfigError:  # of another version
        return
    for name, now in config.optimizer:
        if now != getattr(old, name):
            logger.warning(
                "optimizer.%s=%s changes nothing, as it was %s, and a run that goes on has the "
                "optimizer of its checkpoint; say `set` to the run (voxflow attach), or begin "
                "another with model.start_from",
                name,
                now,
                getattr(old, name),
            )


def make_session(
    config: Config, run_dir: str | Path | None = None, hooks: Sequence[Any] = ()
) -> Session:
    """Build what a configuration names, and put it together.

    Parameters
    ----------
    config
        The configuration.
    run_dir
        Where log and checkpoints go; None: nowhere.
    hooks
        More hooks.

    Raises
    ------
    ValueError, TypeError
        If what is named makes something that does not fit.
    """
    keeper = None if run_dir is None else _keeper(Path(run_dir), config.checkpoints)
    session = _built(config, hooks)(run_dir=run_dir, keeper=keeper)
    session.scope["config"] = config
    return session


def _built(config: Config, hooks: Sequence[Any]) -> partial[Session]:
    """A session that only lacks its folder."""
    model = make_model(config.model, config.seed)
    if config.model.freeze:
        logger.info("not trained: %s", ", ".join(freeze(model, config.model.freeze)))
    feed = make_feed(config.data, config.data, model, train=True)
    schedules = {target: _schedule(section) for target, section in config.schedules.items()}
    begin = partial(
        Session,
        model,
        make_loss(config.loss),
        make_optimizer(config.optimizer, model),
        feed.pipeline,
        feed.request,
        inputs=feed.inputs,
        outputs=feed.outputs,
        loss_inputs=feed.loss_inputs,
        validation=_validation(config, model),
        hooks=[
            *([Scheduled(schedules)] if schedules else []),
            *_monitors(config, model),
            *_watching(config, feed, model),
            *hooks,
        ],
        seed=config.seed,
        stop_after=_rules(config.stop),
        options=StepOptions(**config.step.model_dump()),
        device=config.device,
    )
    begin().check()
    return begin


def _watching(config: Config, feed: Feed, model: Any) -> list[Any]:
    """What shows how the training goes."""
    log, previews = config.log, config.previews
    recorder = Recorder(
        tensorboard=log.tensorboard,
        tensorboard_folder=log.tensorboard_folder,
        csv=log.csv,
        histograms=_every(log.histograms),
        graph=log.graph,
    )
    pictures = Previews(
        make_regions(config, feed, model),
        every=Every(**previews.every.model_dump()),
        training=previews.training,
        images=recorder,
        channels=previews.channels,
        classes=config.data.target == "classes" and config.data.pipeline is None,
        sections=previews.max_sections,
    )
    status = Status(_due(log.every), quiet=not log.status, change=log.loss_change)
    watching: list[Any] = [recorder, status, pictures]
    if log.regression is not None:
        watching.append(Regression(every=_due(log.regression), images=recorder))
    if log.filters is not None:
        watching.append(Filters(_due(log.filters), images=recorder))
    if config.snapshots is not None:
        watching.append(Snapshots(_due(config.snapshots.every)))
    if log.plots:
        watching.append(Plots(_due(log.every)))
    # The last one: the first to end, so that the last picture has all of it.
    return [*watching, Coverage()] if log.coverage else watching


def _due(section: EverySection) -> Every:
    return Every(**section.model_dump())


def _files(config: Config) -> list[str]:
    """Files of Python code that the configuration names, and others that it lists."""
    validation = config.validation
    named = [config.model.name, config.loss.name, config.optimizer.name, config.data.pipeline]
    named.append(None if validation is None else validation.pipeline)
    places = [parse_dotted(word)[0] for word in named if word is not None and ":" in word]
    code = [place for place in places if place.endswith(".py")]
    return list(dict.fromkeys([*code, *config.run.scripts]))


def _every(section: EverySection | None) -> Every | None:
    return None if section is None else _due(section)


def _validation(config: Config, model: Any) -> Validation | None:
    section = config.validation
    if section is None or not section.whole:
        return None if section is None else _evaluation(config, section, section, model)
    feed = make_feed(section, config.data, model, train=False)
    return whole_validation(config, section.pairs[0], feed, model, **_measuring(config, section))


def _monitors(config: Config, model: Any) -> list[Monitor]:
    section = config.validation
    if section is None or not section.training:
        return []
    return [Monitor(_evaluation(config, section, config.data, model))]


def _evaluation(
    config: Config, section: ValidationSection, source: SourceSection, model: Any
) -> Validation:
    feed = make_feed(source, config.data, model, train=False)
    options = _measuring(config, section)
    return Validation(feed.pipeline, feed.request, batches=section.batches, **options)


def _measuring(config: Config, section: ValidationSection) -> dict[str, Any]:
    """When, and what is measured beside the loss."""
    return {
        "every": Every(**section.every.model_dump(), at_start=True),
        "metrics": {name.rpartition(":")[2]: _metric(name) for name in section.metrics},
        "seed": config.seed,
    }


def _metric(name: str) -> Any:
    return load_named(name) if ":" in name else name


def _rules(section: StopSection) -> list[Any]:
    rules: list[Any] = []
    if section.steps is not None:
        rules.append(MaxSteps(section.steps))
    if section.hours is not None:
        rules.append(MaxActiveHours(section.hours))
    if section.wall_hours is not None:
        rules.append(MaxWallHours(section.wall_hours))
    if section.early is not None:
        options = section.early.model_dump()
        rules.append(EarlyStopping(options.pop("metric"), **options))
    return rules


def _keeper(folder: Path, section: CheckpointSection) -> Keeper:
    return Keeper(
        folder / "checkpoints",
        last=_every(section.last),
        every=_every(section.every),
        best=section.best,
        keep=section.keep,
    )


def _schedule(section: ScheduleSection) -> Any:
    every = section.every or 1000
    made: Any = None
    if section.plateau is not None:
        options = section.plateau.model_dump()
        return Plateau(options.pop("metric"), **options)
    if section.decay is not None:
        made = Decay(section.decay, every)
    elif section.linear is not None:
        made = Linear(*section.linear, every)
    return made if section.updates is None else Updates(section.updates, made)
