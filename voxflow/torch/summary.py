"""Scalars for TensorBoard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


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
    return SummaryWriter(str(log_dir), purge_step=iteration + 1)
