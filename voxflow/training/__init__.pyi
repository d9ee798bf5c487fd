# The face of the room: each public name and the file it comes from.

from . import (
    commands,
    config,
    launching,
    tuning,
)
from .attach import (
    attach_to,
    Attached,
    NotRunning,
    Reply,
)
from .clock import Clock
from .configured import make_session, train
from .coverage import Coverage
from .coverage_plot import plot_coverage
from .covered import (
    Branch,
    Covered,
    read_coverage,
    SourceMap,
)
from .curves import (
    ema,
    history,
    Series,
    sma,
    to_csv,
)
from .described import describe_model
from .dump import dump_batch
from .events import Event, EventLog, read_events
from .filters import Filters
from .first_batches import first_batches
from .improvement import Improvement
from .keeping import Keeper, load_newest_checkpoint
from .loggers import (
    CsvLogger,
    Loggers,
    ScalarLogger,
    TensorBoardLogger,
)
from .monitor import Monitor
from .parts.feeds import Feed
from .plateau import Plateau
from .plots import plot_history, Plotter
from .plotting import Plots
from .previews import PreviewRegion, Previews
from .recorder import Recorder
from .region_validation import RegionValidation
from .regression import Regression
from .result import RunReport, StepResult
from .run_dir import NoRunDir, RunDir, RunDirTaken
from .run_evaluation import evaluate_run, RunEvaluation
from .scheduled import Scheduled
from .schedules import (
    Decay,
    Linear,
    Schedule,
    Updates,
)
from .session import Session
from .snapshots import Snapshots
from .status import Status
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
    "attach_to",
    "Attached",
    "Branch",
    "Clock",
    "commands",
    "config",
    "Coverage",
    "Covered",
    "CsvLogger",
    "Decay",
    "describe_model",
    "dump_batch",
    "EarlyStopping",
    "ema",
    "evaluate_run",
    "Event",
    "EventLog",
    "Every",
    "Feed",
    "Filters",
    "first_batches",
    "history",
    "Improvement",
    "Keeper",
    "launching",
    "Linear",
    "load_newest_checkpoint",
    "Loggers",
    "make_session",
    "MaxActiveHours",
    "MaxSteps",
    "MaxWallHours",
    "Moment",
    "Monitor",
    "NonFiniteMetric",
    "NoRunDir",
    "NotRunning",
    "Plateau",
    "plot_coverage",
    "plot_history",
    "Plots",
    "Plotter",
    "PreviewRegion",
    "Previews",
    "read_coverage",
    "read_events",
    "Recorder",
    "RegionValidation",
    "Regression",
    "Reply",
    "RunDir",
    "RunDirTaken",
    "RunEvaluation",
    "RunReport",
    "ScalarLogger",
    "Schedule",
    "Scheduled",
    "Series",
    "Session",
    "sma",
    "Snapshots",
    "SourceMap",
    "Status",
    "StepResult",
    "StopRule",
    "Targets",
    "TensorBoardLogger",
    "to_csv",
    "TorchSchedule",
    "train",
    "tuning",
    "UnknownTarget",
    "Updates",
    "Validation",
]
