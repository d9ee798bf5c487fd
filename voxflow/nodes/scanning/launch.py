"""Starts a worker of a scan; imports nothing that takes long."""

from __future__ import annotations

import os
import shlex
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

__all__ = ["FIELD", "PARENT", "start_worker", "write_script"]

FIELD = "{command}"
"""Where the worker's own command goes in a template."""

PARENT = "VOXFLOW_SCAN_PARENT"
"""The environment variable with the process that a worker ends with."""


def write_script(path: Path, work: Path) -> None:
    """Write the script that is a worker, given a daisy context.

    It starts this interpreter in this process's folder, where relative paths are the same ones, and
    with its import path.
    """
    imports = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    # -P: what lies in the current folder comes first only if it does so here.
    words = [sys.executable, *flags, "-P", "-m", "voxflow.nodes.scanning.worker", str(work)]
    command = shlex.join(words)
    path.write_text(
        "#!/bin/sh\n"
        f"cd {shlex.quote(os.getcwd())} || exit 1\n"
        f"export PYTHONPATH={shlex.quote(imports)}\n"
        f'exec {command} "$@"\n'
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)


def start_worker(script: str, template: str | None, caps: dict[str, str], *, context: Any) -> None:
    """Be a worker, or start one elsewhere and wait for it.

    Parameters
    ----------
    script
        See `write_script`.
    template
        The command that starts a worker elsewhere; None: here.
    caps
        Environment variables that cap the threads of a worker here.
    context
        Daisy's, with the address of the scheduler.
    """
    words = [script, context.to_env()]
    if template is None:
        environment = {**os.environ, **caps, PARENT: str(os.getppid())}
        os.execve("/bin/sh", ["sh", *words], environment)
    command = shlex.split(template.replace(FIELD, shlex.join(words)))
    code = subprocess.run(command, check=False).returncode
    if code:
        raise SystemExit(f"{shlex.join(command)} ended with exit code {code}")
    return None
