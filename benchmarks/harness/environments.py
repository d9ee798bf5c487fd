"""Virtual environments for the peers, made at their first use."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

#: Where environments, data and results are kept.
FOLDER = Path(os.environ.get("VOXFLOW_BENCH", ".bench")).absolute()

#: What is installed in which environment. Versions of others follow from these.
PEERS = {
    "gunpowder": ["gunpowder==1.4.4"],
    "gunpowder-torch": ["torch==2.13.0", "gunpowder==1.4.4"],
    "torchio": ["torch==2.13.0", "torchio==1.2.1"],
    "monai": ["torch==2.13.0", "monai==1.6.1"],
    "batchgeneratorsv2": ["torch==2.13.0", "batchgeneratorsv2==0.3.6"],
    "albumentations": ["albumentations==2.0.8"],
    "mwatershed": ["mwatershed==0.5.4"],
    "waterz": ["waterz==0.10.1"],
    "albumentations-torch": ["torch==2.13.0", "albumentations==2.0.8"],
}

#: Malloc keeps what it once had: how much a first touch of memory costs belongs to the machine, and
#: on virtual ones it would drown everything else. Libraries use one thread.
QUIET = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(1 << 40),
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "BLOSC_NTHREADS": "1",
}


def python_of(name: str) -> str:
    """The interpreter of an environment: our own for "voxflow", else that of a peer."""
    if name == "voxflow":
        return sys.executable
    folder = FOLDER / "environments" / name
    python, stamp = folder / "bin" / "python", folder / "installed"
    if not stamp.exists():
        print(f"installing {' '.join(PEERS[name])} into {folder}", flush=True)
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *PEERS[name]], check=True)
        stamp.touch()
    return str(python)
