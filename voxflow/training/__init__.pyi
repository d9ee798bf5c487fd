# The face of the room: each public name and the file it comes from.

from .clock import Clock
from .curves import Series, ema, history, sma, to_csv
from .events import Event, EventLog, read_events
from .improvement import Improvement
from .keeping import Keeper, load_newest_checkpoint
from .loggers import CsvLogger, Loggers, ScalarLogger, TensorBoardLogger
from .plateau import Plateau
from .plots import Plotter, plot_history
from .result import RunReport
from .result import StepResult
from .scheduled import Scheduled
from .schedules import Decay, Linear, Schedule, Updates
from .session import Session
from .stopping import (
    EarlyStopping,
    MaxActiveHours,
    MaxSteps,
    MaxWallHours,
    NonFiniteMetric,
    StopRule,
)
from .targets import Targets, UnknownTarget
from .torch_schedule import TorchSchedule
from .validation import Validation
from .when import Every, Moment

__all__ = [
    "Clock",
    "CsvLogger",
    "Decay",
    "EarlyStopping",
    "ema",
    "Event",
    "EventLog",
    "Every",
    "history",
    "Improvement",
    "Keeper",
    "Linear",
    "load_newest_checkpoint",
    "Loggers",
    "MaxActiveHours",
    "MaxSteps",
    "MaxWallHours",
    "Moment",
    "NonFiniteMetric",
    "Plateau",
    "plot_history",
    "Plotter",
    "read_events",
    "ScalarLogger",
    "RunReport",
    "Schedule",
    "Scheduled",
    "Series",
    "Session",
    "sma",
    "StepResult",
    "StopRule",
    "Targets",
    "TensorBoardLogger",
    "to_csv",
    "TorchSchedule",
    "UnknownTarget",
    "Updates",
    "Validation",
from .run_dir import RunDir, RunDirTaken
from . import config
from .configured import make_session
from .configured import train
from .parts.feeds import Feed
from .run_dir import NoRunDir
from .run_dir import RunDir
from .run_dir import RunDirTaken

__all__ = [
    "config",
    "Feed",
    "make_session",
    "NoRunDir",
    "RunDir",
    "RunDirTaken",
    "train",
]
