"""The server of a viewer: for this machine alone, and for who has the link."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from neuroglancer.server import Server
from neuroglancer.viewer_base import ViewerBase
from tornado.routing import HostMatches, Rule, RuleRouter

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["serve"]

_HERE = "127.0.0.1"


class _Viewer(ViewerBase):
    """Neuroglancer's viewer, on a server of its own: others of this process may be open to all."""

    def __init__(self, server: Server) -> None:
        self._server = server
        super().__init__(allow_credentials=False)  # this process's, for Google's storage
        server.viewers[self.token] = self

    def get_viewer_url(self) -> str:
        return f"http://{_HERE}:{self._server.port}/v/{self.token}/"

    def defer_callback(self, callback: Callable[..., Any], *args: Any, **options: Any) -> None:
        self._server.loop.call_soon_threadsafe(lambda: callback(*args, **options))


def serve(port: int = 0) -> tuple[Server, _Viewer]:
    """Start a server with a viewer that shows nothing yet.

    It listens to this machine, and answers what is asked of it under this machine's name: a page
    from elsewhere whose name leads here is refused.

    Parameters
    ----------
    port
        0: one that is free.

    Raises
    ------
    OSError
        If the port is taken.
    """
    with socket.socket() as probe:  # neuroglancer leaves its own open where the port is taken
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((_HERE, port))
    server = Server(bind_address=_HERE, bind_port=port)
    allowed = HostMatches(r"(127\.0\.0\.1|localhost)$")
    server.http_server.request_callback = RuleRouter([Rule(allowed, server.app)])
    return server, _Viewer(server)
