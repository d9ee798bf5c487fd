"""A server that speaks what is used of Google Cloud Storage's JSON interface; it has any bucket."""

import contextlib
import http.server
import json
import re
import threading
from urllib.parse import parse_qs, unquote, urlsplit


class _Objects(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    page = 5  # objects that are listed at once

    def log_message(self, *args):
        pass

    def _parse(self):
        split = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(split.query).items()}
        found = re.fullmatch(r"(?:/upload)?/storage/v1/b/([^/]+)/o(?:/(.+))?", split.path)
        name = unquote(found[2]) if found[2] else query.get("name")
        return found[1], name, query

    def do_GET(self):
        bucket, name, query = self._parse()
        if name is None:
            return self._list(bucket, query)
        stored = self.server.objects.get((bucket, name))
        if stored is None:
            return self._answer(404)
        generation, value = stored
        if query.get("ifGenerationNotMatch") == str(generation):
            return self._answer(304)
        part = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        headers = {"x-goog-generation": str(generation)}
        if part is None:
            return self._answer(200, value, headers)
        begin = int(part[1]) if part[1] else max(0, len(value) - int(part[2]))
        end = int(part[2]) + 1 if part[1] and part[2] else len(value)
        headers["Content-Range"] = f"bytes {begin}-{min(end, len(value)) - 1}/{len(value)}"
        return self._answer(206, value[begin:end], headers)

    def do_POST(self):
        bucket, name, query = self._parse()
        value = self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.lock:
            if self._refuses(bucket, name, query):
                return self._answer(412)
            self.server.generation += 1
            self.server.objects[bucket, name] = self.server.generation, value
        return self._answer(200, json.dumps(self._metadata(bucket, name)).encode())

    def do_DELETE(self):
        bucket, name, query = self._parse()
        with self.server.lock:
            if self._refuses(bucket, name, query):
                return self._answer(412)
            there = self.server.objects.pop((bucket, name), None)
        return self._answer(404 if there is None else 204)

    def _refuses(self, bucket, name, query):
        wanted = query.get("ifGenerationMatch")
        return wanted not in (None, str(self.server.objects.get((bucket, name), (0,))[0]))

    def _metadata(self, bucket, name):
        generation, value = self.server.objects[bucket, name]
        when = "2020-01-01T00:00:00.000Z"
        return {
            "name": name,
            "bucket": bucket,
            "generation": str(generation),
            "metageneration": "1",
            "size": str(len(value)),
            "timeCreated": when,
            "updated": when,
        }

    def _list(self, bucket, query):
        begin = query.get("pageToken") or query.get("startOffset", "")
        end, prefix = query.get("endOffset"), query.get("prefix", "")
        names = sorted(n for b, n in self.server.objects if b == bucket and n.startswith(prefix))
        names = [n for n in names if n >= begin and (end is None or n < end)]
        listed = {"items": [self._metadata(bucket, n) for n in names[: self.page]]}
        if len(names) > self.page:
            listed["nextPageToken"] = names[self.page]
        return self._answer(200, json.dumps(listed).encode())

    def _answer(self, code, value=b"", headers=()):
        self.send_response(code)
        for name, text in dict(headers).items():
            self.send_header(name, text)
        if code not in (204, 304):
            self.send_header("Content-Length", str(len(value)))
        self.end_headers()
        self.wfile.write(value)


@contextlib.contextmanager
def gcs_server():
    """Gives its URL."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Objects)
    server.daemon_threads = True
    server.objects, server.generation, server.lock = {}, 1, threading.Lock()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
