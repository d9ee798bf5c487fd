"""The source of this package as a run has it, so that the run can be made again."""

from __future__ import annotations

import functools
import gzip
import io
import tarfile
from pathlib import Path

__all__ = ["own_source"]


@functools.cache
def own_source() -> bytes:
    """This package's files as a ``tgz``; the same bytes for the same files.

    Examples
    --------
    >>> with tarfile.open(fileobj=io.BytesIO(own_source())) as archive:
    ...     "voxflow/training/own_source.py" in archive.getnames()
    True
    """
    folder = Path(__file__).parents[1]
    packed = io.BytesIO()
    # Neither when it was packed nor when files were written is in it.
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=1, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w") as archive,
    ):
        for path in sorted(folder.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                content = path.read_bytes()
                member = tarfile.TarInfo(path.relative_to(folder.parent).as_posix())
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()
