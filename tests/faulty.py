"""A proxy before a real S3 server that breaks what a test tells it to break.

Signatures cover the host, which is passed on as it came, so that the server behind checks them as always.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

# What becomes of a request, by its method and path: "pass", "500", "cut" (the connection ends half-way through the
# upload), "mute" (it is done, and the answer is lost), "hold" (nothing happens until the proxy ends), "lie" (a refusal
# is reported as done, as by a server that knows no conditional writes), "garble" (the first byte read is another one).
Rule = Callable[[str, str], str]


class Proxy:
    """A running proxy: its address, the requests it saw, and the rule, which may be changed at any time."""

    def __init__(self, endpoint: str) -> None:
        self.behind = urlsplit(endpoint).netloc
        self.rule: Rule = lambda method, path: "pass"
        self.seen: list[tuple[str, str]] = []
        self.held = threading.Event()
        self.over = threading.Event()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                with suppress(ConnectionError):
                    super().handle_one_request()

            def do_GET(self) -> None:
                proxy.pass_on(self)

            do_PUT = do_POST = do_DELETE = do_HEAD = do_GET  # noqa: N815  # as the library wants them

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self.server.server_address[1]}"

    def pass_on(self, request: BaseHTTPRequestHandler) -> None:
        self.seen.append((request.command, request.path))
        what = self.rule(request.command, request.path)
        size = int(request.headers.get("Content-Length") or 0)
        if what == "hold":
            self.held.set()
            self.over.wait()
        if what in ("hold", "cut"):
            request.rfile.read(size // 2)
            request.connection.shutdown(socket.SHUT_RDWR)
            request.close_connection = True
            return
        body = request.rfile.read(size)
        status, headers, content = self.ask(request, body) if what != "500" else (500, [], b"<Error/>")
        if what == "mute":
            request.connection.shutdown(socket.SHUT_RDWR)
            request.close_connection = True
            return
        if what == "lie" and status == 412:
            status, headers, content = 200, [("ETag", '"0"')], b""
        if what == "garble" and content:
            content = bytes([content[0] ^ 1]) + content[1:]
        request.send_response(status)
        for name, value in headers:
            if name.lower() not in ("connection", "transfer-encoding", "content-length", "date", "server"):
                request.send_header(name, value)
        length = dict(headers).get("Content-Length") if request.command == "HEAD" else None
        request.send_header("Content-Length", length or str(len(content)))
        request.end_headers()
        request.wfile.write(content)

    def ask(self, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = HTTPConnection(self.behind, timeout=60)
        connection.putrequest(request.command, request.path, skip_host=True, skip_accept_encoding=True)
        for name, value in request.headers.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        found = answer.status, answer.getheaders(), answer.read()
        connection.close()
        return found


@contextmanager
def proxy_before(endpoint: str) -> Iterator[Proxy]:
    """Start a proxy before a server and end it afterwards."""
    proxy = Proxy(endpoint)
    thread = threading.Thread(target=proxy.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.over.set()
        proxy.server.shutdown()
        proxy.server.server_close()
        thread.join()
