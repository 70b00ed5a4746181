"""A publisher on loopback: a real HTTP server that gives recorded answers, and misbehaves when told to.

What belongs here: serving and misbehaving. What does not: what a publisher answers (``tests/publishers``).
"""

from __future__ import annotations

import gzip
import hashlib
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass
class Asked:
    """One request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]


@dataclass
class Reply:
    """One answer. A path as body is streamed from disk; ``validator`` adds an ETag and honours conditions."""

    body: bytes | Path = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    kind: str = "application/json"
    validator: bool = False


Route = Callable[[Asked], Reply]
# What a fault does with a request and the right answer: it writes to the handler itself.
Fault = Callable[["Handler", Asked, Reply], None]


class Replay:
    """Start with ``with Replay() as server``; add routes and faults; read ``server.asked``."""

    def __init__(self) -> None:
        self.routes: list[tuple[str, Route]] = []
        self.faults: list[dict[str, Any]] = []
        self.asked: list[Asked] = []
        self.lock = threading.Lock()
        self.stopping = threading.Event()

        class Bound(Handler):
            replay = self

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Bound)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> Replay:
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self.server.shutdown()
        self.server.server_close()

    def on(self, path: str, route: Route) -> None:
        """Answer every path that begins with ``path``; the longest beginning wins, then the newest."""
        self.routes.append((path, route))

    def misbehave(self, fault: Fault, *, path: str = "/", times: int | None = None, after: int = 0) -> None:
        """Let a fault take the place of the right answer: ``times`` times (for ever when None), after ``after``."""
        self.faults.append({"fault": fault, "path": path, "left": times, "skip": after})

    def behave(self) -> None:
        """Forget every fault."""
        self.faults.clear()

    def route(self, asked: Asked) -> Reply:
        fitting = [(path, route) for path, route in self.routes if asked.path.startswith(path)]
        if not fitting:
            return Reply(b'{"message": "no such resource"}', 404)
        return max(reversed(fitting), key=lambda pair: len(pair[0]))[1](asked)

    def fault(self, asked: Asked) -> Fault | None:
        with self.lock:
            for entry in self.faults:
                if entry["path"] not in asked.path or entry["left"] == 0:
                    continue
                if entry["skip"]:
                    entry["skip"] -= 1
                    continue
                if entry["left"] is not None:
                    entry["left"] -= 1
                found: Fault = entry["fault"]
                return found
        return None


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    replay: Replay
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else the body waits for the headers' receipt
    timeout = 60

    def log_message(self, *_: Any) -> None:
        """Be quiet."""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        names = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(self.command, parts.path, dict(parse_qsl(parts.query, keep_blank_values=True)), names)
        with self.replay.lock:
            self.replay.asked.append(asked)
        reply = self.replay.route(asked)
        fault = self.replay.fault(asked)
        try:
            if fault:
                fault(self, asked, reply)
            else:
                self.answer(asked, reply)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    do_HEAD = do_GET  # noqa: N815

    def answer(self, asked: Asked, reply: Reply) -> None:
        """Answer as a good server does: conditions, ranges, gzip where it is asked for."""
        body = reply.body.read_bytes() if isinstance(reply.body, Path) else reply.body
        headers = {"Content-Type": reply.kind, **reply.headers}
        etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        status = reply.status
        if reply.validator:
            headers["ETag"] = etag
            if asked.headers.get("if-none-match") == etag:
                return self.send(304, headers, b"")
            span = asked.headers.get("range", "")
            if span.startswith("bytes=") and asked.headers.get("if-range", etag) == etag:
                start = int(span.removeprefix("bytes=").rstrip("-"))
                if start >= len(body):
                    return self.send(416, headers | {"Content-Range": f"bytes */{len(body)}"}, b"")
                headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
                status, body = 206, body[start:]
        if "gzip" in asked.headers.get("accept-encoding", "") and status == 200 and len(body) > 500:
            headers["Content-Encoding"] = "gzip"
            body = gzip.compress(body, 1)
        return self.send(status, headers, body)

    def send(self, status: int, headers: Mapping[str, str], body: bytes, *, length: int | None = None) -> None:
        """Write status, headers and body; ``length`` lies about the body's length."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _body(reply: Reply) -> bytes:
    return reply.body.read_bytes() if isinstance(reply.body, Path) else reply.body


def status(code: int, **headers: str) -> Fault:
    """Answer with a bare status, e.g. ``status(429, Retry_After="1")``."""

    def fault(handler: Handler, _: Asked, __: Reply) -> None:
        handler.send(code, {name.replace("_", "-"): value for name, value in headers.items()}, b"")

    return fault


def silence(handler: Handler, _: Asked, __: Reply) -> None:
    """Accept the request and say nothing until the client gives up."""
    handler.replay.stopping.wait(30)
    handler.close_connection = True


def drip(handler: Handler, _: Asked, reply: Reply) -> None:
    """Send a byte every tenth of a second."""
    body = _body(reply)
    handler.send_response(200)
    handler.send_header("Content-Type", reply.kind)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    for byte in body:
        handler.wfile.write(bytes([byte]))
        handler.wfile.flush()
        if handler.replay.stopping.wait(0.1):
            return


def reset(handler: Handler, _: Asked, reply: Reply) -> None:
    """Break the connection in the middle of the body."""
    body = _body(reply)
    handler.send_response(200)
    handler.send_header("Content-Type", reply.kind)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body[: max(len(body) // 2, 1)])
    handler.wfile.flush()
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    handler.connection.close()
    handler.close_connection = True


def truncated(handler: Handler, _: Asked, reply: Reply) -> None:
    """Send half the body and call it whole, with an ETag to make matters worse."""
    body = _body(reply)
    handler.send(200, {"Content-Type": reply.kind, "ETag": '"half"'}, body[: len(body) // 2])


def long_length(handler: Handler, _: Asked, reply: Reply) -> None:
    """Promise more bytes than are sent."""
    body = _body(reply)
    handler.send(200, {"Content-Type": reply.kind}, body, length=len(body) + 1000)
    handler.close_connection = True


def broken_gzip(handler: Handler, _: Asked, reply: Reply) -> None:
    """Send a gzip stream that ends early, with the right Content-Length for what is sent."""
    packed = gzip.compress(_body(reply))
    handler.send(200, {"Content-Type": reply.kind, "Content-Encoding": "gzip"}, packed[: len(packed) * 2 // 3])


def html(handler: Handler, _: Asked, __: Reply) -> None:
    """Send a maintenance page with status 200."""
    handler.send(200, {"Content-Type": "text/html"}, b"<html><body>We will be back soon.</body></html>")


def elsewhere(host: str) -> Fault:
    """Redirect to another host."""

    def fault(handler: Handler, asked: Asked, _: Reply) -> None:
        handler.send(302, {"Location": f"{host}{asked.path}"}, b"")

    return fault


def slow(seconds: float) -> Fault:
    """Answer rightly, but late."""

    def fault(handler: Handler, asked: Asked, reply: Reply) -> None:
        time.sleep(seconds)
        handler.answer(asked, reply)

    return fault


def other(change: Callable[[Asked, Reply], Reply]) -> Fault:
    """Answer with a changed reply: a total that does not match, a page that repeats, 204, an empty ``data``."""

    def fault(handler: Handler, asked: Asked, reply: Reply) -> None:
        handler.answer(asked, change(asked, reply))

    return fault
