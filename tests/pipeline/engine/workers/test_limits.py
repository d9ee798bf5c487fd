"""Processors and memory, as the kernel and the control groups grant them."""

import os

import pytest

from voxflow.pipeline.engine.workers import limits


@pytest.fixture
def groups(monkeypatch, tmp_path):
    """Return a function that writes the files of a made-up control group."""

    def write(line, files):
        (tmp_path / "self").write_text(line)
        for name, text in files.items():
            path = tmp_path / "cgroup" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    read = limits._read
    monkeypatch.setattr(limits, "CGROUP_ROOT", tmp_path / "cgroup")
    monkeypatch.setattr(
        limits, "_read", lambda p: read(tmp_path / "self" if str(p).startswith("/proc") else p)
    )
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)
    return write


def test_no_group_means_the_affinity(groups):
    groups("", {})
    assert limits.available_cpus() == 16
    assert limits.memory_limit() is None


@pytest.mark.parametrize(("quota", "cpus"), [("max", 16), ("250000", 2), ("50000", 1)])
def test_version_2_shares(groups, quota, cpus):
    groups("0::/a/b\n", {"a/b/cpu.max": f"{quota} 100000\n", "a/b/memory.max": "max\n"})
    assert limits.available_cpus() == cpus
    assert limits.memory_limit() is None


def test_the_tightest_group_on_the_way_up_counts(groups):
    files = {"a/cpu.max": "300000 100000", "a/b/cpu.max": "800000 100000"}
    groups("0::/a/b\n", files | {"a/memory.max": "1000", "a/b/memory.max": "2000"})
    assert limits.available_cpus() == 3
    assert limits.memory_limit() == 1000


def test_version_1(groups):
    files = {
        "cpu,cpuacct/job/cpu.cfs_quota_us": "400000",
        "cpu,cpuacct/job/cpu.cfs_period_us": "100000",
        "memory/job/memory.limit_in_bytes": str(2**63 - 4096),
        "memory/memory.limit_in_bytes": "5000",
    }
    groups("4:cpu,cpuacct:/job\n3:memory:/job\n2:pids:/job\n", files)
    assert limits.available_cpus() == 4
    assert limits.memory_limit() == 5000


def test_caps_share_the_processors(groups):
    groups("", {})
    assert limits.thread_caps(3, {})["OMP_NUM_THREADS"] == "5"
    assert limits.thread_caps(100, {})["NUMBA_NUM_THREADS"] == "1"
    caps = limits.thread_caps(4, {"MKL_NUM_THREADS": "2", "OMP_NUM_THREADS": "64"})
    assert (caps["MKL_NUM_THREADS"], caps["OMP_NUM_THREADS"]) == ("2", "4")


def test_free_memory_is_what_all_processes_of_the_tightest_group_leave(groups):
    files = {
        "a/memory.max": "10000",
        "a/memory.current": "7000",
        "a/memory.stat": "anon 4000\ninactive_file 1500\nactive_file 500\n",
        "a/b/memory.max": "9000",
        "a/b/memory.current": "1000",
    }
    groups("0::/a/b\n", files)
    assert limits.free_memory() == 10000 - (7000 - 2000)


def test_free_memory_in_version_1(groups):
    files = {
        "memory/job/memory.limit_in_bytes": "5000",
        "memory/job/memory.usage_in_bytes": "6000",
        "memory/job/memory.stat": "inactive_file 100\ntotal_inactive_file 2000\n",
    }
    groups("3:memory:/job\n", files)
    assert limits.free_memory() == 1000
