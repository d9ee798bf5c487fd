"""What a run was made with: python, packages, the machine, the state of a repository."""

from __future__ import annotations

import getpass
import os
import platform
import socket
import subprocess
import sys
import time
from importlib import metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["environment", "git_state"]

# Of all variables, those that change what a run computes. Others may be secrets.
_VARIABLES = (
    "CUBLAS_WORKSPACE_CONFIG",
    "CUDA_VISIBLE_DEVICES",
    "LOCAL_RANK",
    "MKL_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "PYTHONHASHSEED",
    "RANK",
    "SLURM_JOB_ID",
    "WORLD_SIZE",
)
_LARGEST_DIFFERENCE = 10 << 20  # bytes
_PATIENCE = 30  # seconds, for a repository on a slow disk


def environment() -> dict[str, Any]:
    """Python, its packages, the machine, its user, and GPUs where torch is loaded already.

    >>> environment()["python"]["version"] == platform.python_version()
    True
    """
    return {
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "argv": sys.argv,
        "folder": os.getcwd(),
        "host": socket.gethostname(),
        "user": _user(),
        "process": os.getpid(),
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "python": {"version": platform.python_version(), "executable": sys.executable},
        "torch": _torch(),
        "variables": {name: os.environ[name] for name in _VARIABLES if name in os.environ},
        "packages": _packages(),
    }


def _packages() -> dict[str, str]:
    found = {(d.metadata["Name"] or ""): d.version for d in metadata.distributions()}
    return {name: found[name] for name in sorted(found, key=str.lower) if name}


def _user() -> str | None:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        return None


def _torch() -> dict[str, Any] | None:
    """Versions and GPUs, if torch is loaded: whoever does not use it does not wait for it."""
    torch = sys.modules.get("torch")
    if torch is None:
        return None
    gpus = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
    return {
        "version": torch.__version__,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "gpus": [{"name": gpu.name, "memory": gpu.total_memory} for gpu in gpus],
    }


def git_state(folder: Path) -> tuple[dict[str, Any], bytes]:
    """The commit of the repository that a folder is in, and what differs from it.

    Parameters
    ----------
    folder
        The folder.

    Returns
    -------
    tuple
        ``commit``, ``branch``, ``dirty``, names of files that are ``untracked``; all None where
        there is no repository, and ``reason`` says why. And the difference of the files that are
        tracked; empty if it is larger than 10 MiB, which ``reason`` says.
    """
    state: dict[str, Any] = dict.fromkeys(("commit", "branch", "dirty", "untracked", "reason"))
    try:
        root = _git(folder, "rev-parse", "--show-toplevel").decode().strip()
        status = _git(folder, "status", "--porcelain").decode(errors="replace").splitlines()
        state |= {
            "repository": root,
            "commit": _git(folder, "rev-parse", "HEAD").decode().strip(),
            "branch": _git(folder, "rev-parse", "--abbrev-ref", "HEAD").decode().strip(),
            "dirty": any(not line.startswith("??") for line in status),
            "untracked": [line[3:] for line in status if line.startswith("??")],
        }
        difference = _git(folder, "diff", "HEAD")
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None)
        state["reason"] = (said.decode(errors="replace").strip() if said else "") or str(error)
        return state, b""
    if len(difference) > _LARGEST_DIFFERENCE:
        state["reason"] = f"the difference has {len(difference)} bytes and was left out"
        return state, b""
    return state, difference


def _git(folder: Path, *arguments: str) -> bytes:
    command = ["git", "-C", str(folder), "--no-optional-locks", *arguments]
    done = subprocess.run(command, capture_output=True, check=True, timeout=_PATIENCE)
    return done.stdout
