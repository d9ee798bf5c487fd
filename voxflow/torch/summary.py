"""Scalars for TensorBoard."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any


def open_summary(log_dir: str | Path | None, iteration: int) -> Any:
    """A TensorBoard writer, or None without a folder.

    Parameters
    ----------
    log_dir
        The folder.
    iteration
        How many iterations were done: what is logged after it belongs to a run that was broken
        off, and is dropped.

    Raises
    ------
    ImportError
        If TensorBoard is not installed.
    """
    if log_dir is None:
        return None
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ImportError('log_dir= needs TensorBoard: pip install "voxflow[torch]"') from error
    _wait_for_a_later_name(Path(log_dir))
    return SummaryWriter(str(log_dir), purge_step=iteration + 1)


def _wait_for_a_later_name(folder: Path) -> None:
    """Wait, less than a second, until a new file comes after those that are there.

    TensorBoard reads files in the order of their names, which begin with the second in which they
    were made and end with a number without leading zeros: within a second, the tenth of a process
    would be read before the ninth, and lose what it is to replace.
    """
    now = time.time()
    if any(folder.glob(f"events.out.tfevents.{int(now):010d}.*")):
        time.sleep(1 - now % 1)
