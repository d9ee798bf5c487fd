"""What all tests share: quiet libraries, steady hypothesis, and the place of the real data."""

import gc
import os
import signal
from pathlib import Path

# Two workers of pytest on two cores: a library that takes all cores makes everybody slower.
# This must be said before the first of them is imported.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")
os.environ.setdefault("MPLBACKEND", "Agg")

# What a script runs in the background ignores interrupts, and so would all that it starts.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

from typing import Any  # noqa: E402

import hypothesis  # noqa: E402
import psutil  # noqa: E402
import pytest  # noqa: E402

from tests import helpers  # noqa: E402

REPOSITORY = Path(__file__).resolve().parents[1]
SAME_KERNELS = ("tests/ops/maps/", "tests/ops/resampling/", "tests/ops/test_recipe.py")

hypothesis.settings.register_profile(
    "voxflow",
    deadline=None,  # the machine's load is not what a property test measures
    derandomize=True,
    max_examples=50,
    print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.register_profile(
    "search",
    parent=hypothesis.settings.get_profile("voxflow"),
    derandomize=False,
    max_examples=1000,
)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "voxflow"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Kernels are compiled where they are tested: before processes wait for each other."""
    first = REPOSITORY / "tests" / "ops"
    items.sort(key=lambda item: first not in item.path.parents)


def pytest_collection_finish() -> None:
    """What is there before the first test stays: the collector need not go through it again."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Files that need the same large kernels go to one worker: two would both compile them."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file: str = super()._split_scope(nodeid)
            return "tests/ops/maps" if file.startswith(SAME_KERNELS) else file

    return Scheduling(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.fixture(scope="module", autouse=True)
def earlier_processes() -> None:
    """What one file has left behind is not taken for that of the next."""
    helpers.EARLIER = set(psutil.Process().children(recursive=True))


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the source tree."""
    return REPOSITORY


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real volumes; the test is skipped where there is none."""
    folder = Path(os.environ.get("VOXFLOW_DATA") or REPOSITORY.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip("no real data here: set VOXFLOW_DATA to the folder that holds them")
    return folder
