"""What this process may use: processors, memory, and the thread caps of a worker."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import psutil

__all__ = ["available_cpus", "free_memory", "memory_limit", "thread_caps"]

CGROUP_ROOT = Path("/sys/fs/cgroup")

# Read by the libraries when they are loaded, so they must stand in the environment first.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "BLOSC_NTHREADS",
    "RAYON_NUM_THREADS",
    "ZARR_THREADING__MAX_WORKERS",
)


def available_cpus() -> int:
    """Return how many processors this process may use, at least 1.

    The smaller of the affinity mask and the processor share of the control group (as set by
    containers and batch schedulers), which is often far less than ``os.cpu_count()``.

    Examples
    --------
    >>> available_cpus() >= 1
    True
    """
    try:
        count = len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        count = os.cpu_count() or 1
    share = _cpu_share()
    return max(1, count if share is None else min(count, share))


def memory_limit() -> int | None:
    """Return the memory limit of this process's control group in bytes; None: no limit.

    Examples
    --------
    >>> limit = memory_limit()
    >>> limit is None or limit > 0
    True
    """
    return min((limit for _, limit in _memory_limits()), default=None)


def free_memory() -> int:
    """Return about how many bytes more this process and its workers may use together.

    Examples
    --------
    >>> free_memory() > 0
    True
    """
    free = [int(psutil.virtual_memory().available)]
    free += [max(0, limit - _memory_used(folder)) for folder, limit in _memory_limits()]
    return min(free)


def thread_caps(num_workers: int, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the environment variables that cap the threads of libraries in each worker.

    ``num_workers`` times the cap is at most `available_cpus`; a smaller value that the user has
    set is kept.

    Examples
    --------
    >>> thread_caps(10**6, {})["OMP_NUM_THREADS"]
    '1'
    """
    cap = max(1, available_cpus() // num_workers)
    caps = {}
    for name in THREAD_VARIABLES:
        own = environment.get(name, "")
        caps[name] = own if own.isdigit() and 0 < int(own) < cap else str(cap)
    return caps


def cap_loaded_libraries() -> None:
    """Cap the libraries in this worker that do not read the environment."""
    cv2 = sys.modules.get("cv2")
    if cv2 is not None:
        cv2.setNumThreads(int(os.environ.get("OMP_NUM_THREADS", "1")))


def _cpu_share() -> int | None:
    """Return the whole processors that the tightest control group grants; None: all."""
    shares = []
    for folder in _cgroup_folders():
        text = _read(folder / "cpu.max")
        if text is None:
            quota, period = _read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us")
        else:
            quota, _, period = text.partition(" ")
        if quota and period and quota.isdigit() and int(period) > 0:
            # Half a processor is still one worker's worth; 2.5 are two.
            shares.append(max(1, int(quota) // int(period)))
    return min(shares, default=None)


def _memory_limits() -> list[tuple[Path, int]]:
    """Return the control groups with a limit, and the bytes of that."""
    limits = []
    for folder in _cgroup_folders():
        text = _read(folder / "memory.max") or _read(folder / "memory.limit_in_bytes")
        # Version 1 writes "no limit" as a number near 2**63.
        if text is not None and text.isdigit() and int(text) < 2**60:
            limits.append((folder, int(text)))
    return limits


def _memory_used(folder: Path) -> int:
    """Return the bytes that all processes of a group use, without what is only cached of files."""
    text = _read(folder / "memory.current") or _read(folder / "memory.usage_in_bytes") or "0"
    stat = dict(line.split() for line in (_read(folder / "memory.stat") or "").splitlines())
    cached = [int(stat.get(f"total_{n}", stat.get(n, 0))) for n in ("inactive_file", "active_file")]
    return int(text) - sum(cached)


def _cgroup_folders() -> list[Path]:
    """Return the folders of this process's control groups, up to the root of each."""
    folders: list[Path] = []
    for line in (_read(Path("/proc/self/cgroup")) or "").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and not {"cpu", "memory"} & set(controllers.split(",")):
            continue
        root = CGROUP_ROOT / controllers
        here = root / path.lstrip("/")
        folders += [here, *(p for p in here.parents if p == root or root in p.parents)]
    return folders or [CGROUP_ROOT]


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None
