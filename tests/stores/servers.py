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


class Moods:
    """What a server does instead of answering, one entry a request: a code, "hang", "reset", "cut".

    ``asked`` are the requests that came.
    """

    def __init__(self, *moods, then=None):
        self.moods, self.then, self.asked = list(moods), then, []
        self.over = threading.Event()

    def next(self, request):
        self.asked.append(request)
        return self.moods.pop(0) if self.moods else self.then


class _Moody(_Quiet):
    protocol_version = "HTTP/1.1"
    moods: Moods

    def do_GET(self):
        mood = self.moods.next(self.path)
        if mood is None:
            super().do_GET()
        elif mood == "hang":
            self.moods.over.wait(60)
        elif mood == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0" + bytes(4))
            os.close(self.connection.detach())
        elif mood == "cut":
            self._head(200, 1000)
            self.wfile.write(b"x" * 10)
            self.connection.shutdown(socket.SHUT_RDWR)
        else:
            self._head(mood, 0)

    def do_PUT(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.do_GET()

    def _head(self, code, length):
        self.send_response(code)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def finish(self):
        with contextlib.suppress(OSError, ValueError):
            super().finish()


class _Calm(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass


@contextlib.contextmanager
def moody_server(folder, moods):
    """Serve a folder, after the moods are over; gives the URL."""
    handler = functools.partial(type("Handler", (_Moody,), {"moods": moods}), directory=str(folder))
    server = _Calm(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        moods.over.set()
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
    for _ in range(600):
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
