"""Where alerts arrive in tests: a real HTTP server and a real SMTP server on loopback."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

SECRET_PATH = "/services/T0PLANTED/hook-s3cr3t"  # noqa: S105
PASSWORD = "pla:nted pass"  # noqa: S105


@dataclass
class Received:
    """What arrived, and how to reach the servers.

    Attributes:
        posts: bodies that the webhook took.
        mails: messages that the mail server took.
        status: what the webhook answers.
        environment: settings of the notifier that lead here.
    """

    posts: list[dict[str, Any]] = field(default_factory=list)
    mails: list[EmailMessage] = field(default_factory=list)
    status: int = 200
    environment: dict[str, str] = field(default_factory=dict)

    def kinds(self) -> list[str]:
        """Kinds of the alerts that the webhook took, in order."""
        return [post["oretrace"]["kind"] for post in self.posts]

    def of(self, kind: str, run_id: str | None = None) -> list[dict[str, Any]]:
        """Alerts of a kind (and run) that the webhook took."""
        found = [post["oretrace"] for post in self.posts]
        return [item for item in found if item["kind"] == kind and run_id in (None, item["run_id"])]

    def wait_for(self, kind: str, seconds: float = 60, run_id: str | None = None) -> dict[str, Any]:
        """Wait until an alert of a kind is there by both ways."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            mailed = {str(mail["Message-ID"])[1:].partition("@")[0] for mail in self.mails}
            for item in self.of(kind, run_id):
                if item["id"] in mailed:
                    return item
            time.sleep(0.2)
        raise AssertionError(
            f"no {kind} arrived by webhook and mail; there are {self.kinds()}, {len(self.mails)} mails"
        )


@contextmanager
def receivers(*, auth: bool = False) -> Iterator[Received]:
    """Start both servers; ``auth`` makes the mail server want the password."""
    got = Received()

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path == SECRET_PATH and got.status == 200:
                got.posts.append(body)
            self.send_response(got.status if self.path == SECRET_PATH else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    class Mail:
        async def handle_DATA(self, _: SMTP, __: Session, envelope: Envelope) -> str:
            message = message_from_bytes(envelope.content or b"", policy=policy.default)  # type: ignore[arg-type]
            assert isinstance(message, EmailMessage)
            got.mails.append(message)
            return "250 taken"

    def check(_: SMTP, __: Session, ___: Envelope, ____: str, login: object) -> AuthResult:
        right = isinstance(login, LoginPassword) and login.password == PASSWORD.encode()
        return AuthResult(success=right, handled=False)

    hook = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    thread = threading.Thread(target=hook.serve_forever, daemon=True)
    thread.start()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    mail = Controller(
        Mail(), hostname="127.0.0.1", port=port, auth_required=auth, auth_require_tls=False, authenticator=check
    )
    mail.start()
    got.environment = {
        "ORETRACE_ALERT_WEBHOOK": f"http://127.0.0.1:{hook.server_port}{SECRET_PATH}",
        "ORETRACE_ALERT_EMAIL_TO": "ops@example.org, desk@example.org",
        "ORETRACE_ALERT_EMAIL_FROM": "oretrace@example.org",
        "ORETRACE_SMTP_HOST": "127.0.0.1",
        "ORETRACE_SMTP_PORT": str(port),
        "ORETRACE_SMTP_TLS": "none",
        "ORETRACE_ALERT_TIMEOUT": "5",
    }
    if auth:
        got.environment |= {"ORETRACE_SMTP_USER": "oretrace", "ORETRACE_SMTP_PASSWORD": PASSWORD}
    try:
        yield got
    finally:
        mail.stop()
        hook.shutdown()
        hook.server_close()
