"""Servers that tests start: files over HTTP, an S3, and a line to a server that can be cut."""

import contextlib
import functools
import http.server
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@contextlib.contextmanager
def http_server(folder, port=0):
    """Serve a folder; gives the URL."""
    handler = functools.partial(_Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def s3_server(bucket="data"):
    """Run a server that speaks S3, with one bucket, as a process; gives its port."""
    port = free_port()
    code = f"from moto.server import main; main(['-H', '127.0.0.1', '-p', '{port}'])"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([sys.executable, "-c", code], env=os.environ.copy(), **quiet) as process:
        try:
            _make_bucket(f"http://127.0.0.1:{port}/{bucket}", process)
            yield port
        finally:
            process.kill()


def _make_bucket(url, process):
    for _ in range(300):
        assert process.poll() is None
        with contextlib.suppress(OSError):
            urllib.request.urlopen(urllib.request.Request(url, method="PUT")).close()
            return
        time.sleep(0.1)
    raise TimeoutError("the S3 server does not start")


class Line:
    """A port that leads to another one, until it is cut."""

    def __init__(self, target, port=0):
        self.target = target
        self._port = port
        self._open = set()
        self.port = self.connect()

    def connect(self):
        self._listener = socket.create_server(("127.0.0.1", self._port))
        self._port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()
        return self._port

    def cut(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for end in list(self._open):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener):
        while True:
            try:
                near = listener.accept()[0]
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self.target))
            self._open |= {near, far}
            for ends in ((near, far), (far, near)):
                threading.Thread(target=self._forward, args=ends, daemon=True).start()

    def _forward(self, source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            source.close()
        self._open.discard(source)
