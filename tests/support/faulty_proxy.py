"""An HTTP proxy before a real S3 server that throttles, stalls and cuts connections on demand."""

import contextlib
import http.client
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

THROTTLE, STALL, CUT_RESPONSE, CUT_REQUEST = "throttle", "stall", "cut response", "cut request"
_SLOW_DOWN = (
    b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
)
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "expect"}


class FaultyProxy:
    """Answers for ``upstream``; ``fail`` arms faults that the next requests of a method meet."""

    def __init__(self, upstream: str) -> None:
        self.upstream = urlsplit(upstream)
        self.met: list[str] = []
        self._armed: list[tuple[str, str]] = []
        self._lock = threading.Lock()
        self.stall_seconds = 4.0  # longer than the client waits, which is longer than a loaded server takes

    def fail(self, method: str, kind: str, times: int) -> None:
        """Let the next ``times`` requests of ``method`` that have something to cut meet the fault."""
        with self._lock:
            self._armed += [(method, kind)] * times

    def take(self, method: str) -> str | None:
        with self._lock:
            for index, (wanted, kind) in enumerate(self._armed):
                if wanted == method:
                    del self._armed[index]
                    self.met.append(kind)
                    return kind
        return None


@contextlib.contextmanager
def faulty_proxy(upstream: str) -> Iterator[tuple[str, FaultyProxy]]:
    """Yield the proxy's URL and its faults."""
    proxy = FaultyProxy(upstream)
    handler = type("Handler", (_Handler,), {"proxy": proxy})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", proxy
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: FaultyProxy

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        fault = self.proxy.take(self.command)
        if fault == CUT_REQUEST:
            self.rfile.read(length // 2)
            self.close_connection = True
            return
        body = self.rfile.read(length)
        if fault == STALL:
            time.sleep(self.proxy.stall_seconds)
        if fault == THROTTLE:
            self._send(503, [("Content-Type", "application/xml")], _SLOW_DOWN)
        else:
            self._forward(body, cut=fault == CUT_RESPONSE)

    def _forward(self, body: bytes, cut: bool) -> None:
        connection = http.client.HTTPConnection(str(self.proxy.upstream.hostname), self.proxy.upstream.port, timeout=30)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}
        connection.request(self.command, self.path, body=body or None, headers=headers)
        response = connection.getresponse()
        self._send(response.status, response.getheaders(), response.read(), cut)
        connection.close()

    def _send(self, status: int, headers: list[tuple[str, str]], data: bytes, cut: bool = False) -> None:
        kept = [(name, value) for name, value in headers if name.lower() not in _HOP_BY_HOP]
        if self.command != "HEAD":
            kept = [(name, value) for name, value in kept if name.lower() != "content-length"]
            kept.append(("Content-Length", str(len(data))))
        self.send_response(status)
        for name, value in kept:
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(ConnectionError):  # a client that gave up waiting is part of the test
            self.wfile.write(data[: len(data) // 2] if cut else data)
            self.wfile.flush()
        self.close_connection = cut

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _answer

    def log_message(self, *arguments: object) -> None:
        """Stay silent: http.server would print every request."""
