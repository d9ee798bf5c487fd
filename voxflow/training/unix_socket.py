"""Unix sockets in folders of any length, which nobody else may use."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_LONGEST = 100  # bytes, of a path that a socket can have: 104 on some systems, with a zero


class BoundSocket:
    """A socket that listens under a path, for the owner alone.

    It is made in a folder that nobody else can enter, gets its permissions there, and is moved to
    its path then: there is no moment at which others could connect. What is at the path is
    replaced. On file systems that know no sockets, the path is a link to one elsewhere.

    Parameters
    ----------
    path
        Where it is.

    Raises
    ------
    OSError
        If none can be made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._elsewhere: Path | None = None
        try:
            try:
                self._bind_here()
            except OSError:
                self._bind_elsewhere()
            self._made = _identity(path)
        except BaseException:
            self.close()
            raise

    def _bind_here(self) -> None:
        folder = Path(tempfile.mkdtemp(prefix=".attach-", dir=self.path.parent))
        try:
            with _short(folder / "s") as address:
                self.socket.bind(address)
            os.chmod(folder / "s", 0o600)
            self.socket.listen()
            os.replace(folder / "s", self.path)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _bind_elsewhere(self) -> None:
        self.socket.close()
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        home = os.environ.get("XDG_RUNTIME_DIR")
        folder = home if home and os.access(home, os.W_OK) else None
        self._elsewhere = Path(tempfile.mkdtemp(prefix="voxflow-", dir=folder))
        target = self._elsewhere / "s"
        self.socket.bind(str(target))
        os.chmod(target, 0o600)
        self.socket.listen()
        link = self.path.with_name(f".{self.path.name}.{secrets.token_hex(4)}")
        os.symlink(target, link)
        os.replace(link, self.path)

    def close(self) -> None:
        """Stop to listen, and remove the path, unless it is another's by now."""
        self.socket.close()
        with suppress(OSError, AttributeError):
            if _identity(self.path) == self._made:
                self.path.unlink()
        if self._elsewhere is not None:
            shutil.rmtree(self._elsewhere, ignore_errors=True)


def connected(path: Path) -> socket.socket:
    """A connection to the socket at a path.

    Raises
    ------
    OSError
        If nobody listens there.
    """
    if path.is_symlink():
        path = path.parent / os.readlink(path)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _short(path) as address:
            made.connect(address)
    except BaseException:
        made.close()
        raise
    return made


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """A path that is short enough for a socket, for the time of a block."""
    if len(os.fsencode(path)) <= _LONGEST:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        # Where there is no such folder, the system says so, and the link elsewhere is made.
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def _identity(path: Path) -> tuple[int, int]:
    found = os.lstat(path)
    return found.st_dev, found.st_ino
