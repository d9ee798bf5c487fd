"""The wording of deaths, and the clocks."""

import os
import subprocess
import sys
import time

import psutil
import pytest

from voxflow.pipeline.engine.workers import health


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (0, "exited with code 0, although"),
        (-9, "SIGKILL (probably out of memory; it last held 2.00 GiB"),
        (-7, "SIGBUS (a crash in native code"),
        (-15, "SIGTERM"),
        (-250, "signal 250"),
        (None, "could not be found out"),
    ],
)
def test_an_end_in_words(code, text):
    assert text in health.in_words(code, 2 * 2**30)


def test_a_machine_that_slept_stops_no_clock_wrongly():
    state = health.Health(os.getpid())
    state.look(3600.0, in_task=True, stall_timeout=120.0)
    assert state.busy <= 1.0
    assert state.stopped == 0.0


def let_work(pid, seconds):
    """Wait until a process had so much of a processor, of which others take their part."""
    process, begin = psutil.Process(pid), time.monotonic()
    until = sum(process.cpu_times()[:2]) + seconds
    while sum(process.cpu_times()[:2]) < until:
        assert time.monotonic() - begin < 60
        time.sleep(0.01)


def test_a_sleeper_is_quiet_and_a_worker_is_not():
    sleeper = subprocess.Popen(
        [sys.executable, "-c", "import time; print(flush=True); time.sleep(1000)"],
        stdout=subprocess.PIPE,
    )
    spinner = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        sleeper.stdout.readline()
        quiet, busy = health.Health(sleeper.pid), health.Health(spinner.pid)
        for _ in range(8):
            for state in (quiet, busy):
                state.look(0.1, in_task=True, stall_timeout=0.25)
            let_work(spinner.pid, 0.03)
        assert busy.quiet < 0.4 < quiet.quiet
        assert busy.busy > 0.7
    finally:
        for process in (sleeper, spinner):
            process.kill()
            process.wait()
        sleeper.stdout.close()
    assert not psutil.pid_exists(sleeper.pid)
    quiet.look(0.1, in_task=True, stall_timeout=0.25)  # gone: somebody else will say so
