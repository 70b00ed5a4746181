"""The ways out: log file, webhooks, e-mail; configured by the environment.

What belongs here: sending one alert by one way, and saying in plain words why it did not work. What
does not: what is kept when it did not (``outbox``). No secret is ever in an error: an address of a
webhook is one.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import smtplib
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, parseaddr
from pathlib import Path
from urllib.parse import urlsplit

from ingest.errors import BadInput
from ingest.home import Home
from ingest.net.keys import guard_logs, hide
from orchestration.alerting.message import Alert

WEBHOOK, TO, FROM = "ORETRACE_ALERT_WEBHOOK", "ORETRACE_ALERT_EMAIL_TO", "ORETRACE_ALERT_EMAIL_FROM"
HOST, PORT, USER, PASSWORD, TLS = (f"ORETRACE_SMTP_{name}" for name in ("HOST", "PORT", "USER", "PASSWORD", "TLS"))
TIMEOUT = "ORETRACE_ALERT_TIMEOUT"
PORTS = {"starttls": 587, "tls": 465, "none": 25}
LOOPBACK = {"localhost", "127.0.0.1", "::1"}
LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR, "critical": logging.CRITICAL}

logger = logging.getLogger("oretrace.alerts")
# A library's logger: silent unless the process that it runs in says where logs go.
logger.addHandler(logging.NullHandler())


class NotSent(Exception):
    """An alert did not get out by this way; the message says why, in words and without secrets.

    Attributes:
        passing: whether trying again at once may help.
    """

    def __init__(self, why: str, *, passing: bool = False) -> None:
        """Say why."""
        super().__init__(why)
        self.passing = passing


@dataclass(frozen=True)
class Backend:
    """A way out.

    Attributes:
        name: what it is called in lists; holds no secret.
        send: sends an alert and returns what was answered; raises ``NotSent``.
    """

    name: str
    send: Callable[[Alert], str]


def backends(home: Home) -> list[Backend]:
    """Return every way out that the environment configures; the log file is always one.

    A setting that cannot be used gives a way out that says so with every alert, never an exception.
    """
    found = [Backend("log", lambda alert: _write_log(home.root / "alerts" / "alerts.log", alert))]
    try:
        found += [_webhook(url) for url in setting(WEBHOOK).split()]
    except BadInput as error:
        found.append(_broken("webhook", str(error)))
    try:
        found += [_email()] if setting(TO) else []
    except BadInput as error:
        found.append(_broken("email", str(error)))
    return found


def setting(name: str) -> str:
    """Return a setting from the environment, or from the file that ``<name>_FILE`` names.

    Raises:
        BadInput: the file cannot be read.
    """
    path = os.environ.get(f"{name}_FILE", "").strip()
    if not path:
        return os.environ.get(name, "").strip()
    try:
        return Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not text"
        raise BadInput(f"{name}_FILE={path} cannot be read ({why}).") from None


def patience() -> float:
    """Return how long a way out may take to answer, in seconds (``ORETRACE_ALERT_TIMEOUT``, default 10)."""
    try:
        return min(max(float(os.environ.get(TIMEOUT) or 10.0), 0.1), 60.0)
    except ValueError:
        return 10.0


def _broken(name: str, why: str) -> Backend:
    def send(_: Alert) -> str:
        raise NotSent(why)

    return Backend(name, send)


def _write_log(path: Path, alert: Alert) -> str:
    logger.log(LEVELS[alert.severity], "%s", alert.headline, extra={"alert": alert.id})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as lines:
            lines.write(json.dumps(alert.to_dict(), ensure_ascii=False) + "\n")
    except OSError as error:
        raise NotSent(f"{path}: {error.strerror}") from None
    return str(path)


def _webhook(url: str) -> Backend:
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        raise BadInput(f"{WEBHOOK} holds something that is no http(s) address.") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadInput(f"{WEBHOOK} holds something that is no http(s) address.")
    # The path of an address lets anybody post; urllib3 logs it by itself.
    secret = f"{parts.path}?{parts.query}" if parts.query else parts.path
    hide(url, secret if len(secret) > 4 else "", parts.password or "")
    name = f"webhook {parts.hostname}{port} ({hashlib.sha256(url.encode()).hexdigest()[:4]})"
    return Backend(name, lambda alert: _post(url, alert))


def _post(url: str, alert: Alert) -> str:
    import requests  # a fifth of a second to import

    guard_logs()
    # Slack, Teams and Mattermost show `text`; programs read the rest.
    body = {"text": alert.text(), "oretrace": alert.to_dict()}
    try:
        with requests.post(url, json=body, timeout=patience(), allow_redirects=False, stream=True) as answer:
            code = answer.status_code
    except requests.exceptions.Timeout:
        raise NotSent(f"no answer within {patience():g} s", passing=True) from None
    except requests.exceptions.SSLError:
        raise NotSent("the server's certificate does not hold") from None
    except requests.exceptions.ConnectionError:
        raise NotSent("no connection", passing=True) from None
    except (requests.exceptions.RequestException, ValueError) as error:
        raise NotSent(f"not an address one can post to ({type(error).__name__})") from None
    if not 200 <= code < 300:
        raise NotSent(f"status {code}", passing=code in (408, 429) or code >= 500)
    return f"status {code}"


def _email() -> Backend:
    to = [address.strip() for address in setting(TO).replace(";", ",").split(",") if address.strip()]
    sender, host, user, password = (setting(name) for name in (FROM, HOST, USER, PASSWORD))
    tls = (setting(TLS) or "starttls").lower()
    if bad := [address for address in [*to, sender] if not _is_address(address)]:
        raise BadInput(f"{TO} and {FROM} must hold addresses such as data@example.org; {bad[0]!r} is none.")
    if not host:
        raise BadInput(f"{TO} is set but {HOST} is not.")
    if tls not in PORTS:
        raise BadInput(f"{TLS}={tls!r} must be starttls, tls or none.")
    text = setting(PORT)
    if text and not (text.isdigit() and 0 < int(text) < 65536):
        raise BadInput(f"{PORT}={text!r} is not a port.")
    if user and tls == "none" and host not in LOOPBACK:
        raise BadInput(f"{USER} is set and {TLS}=none: the password would cross the network in the clear.")
    hide(password)
    port = int(text) if text else PORTS[tls]
    return Backend(f"email {host}:{port}", lambda alert: _mail(alert, to, sender, (host, port, tls), (user, password)))


def _is_address(text: str) -> bool:
    address = parseaddr(text)[1]
    return "@" in address[1:-1] and text.isprintable()


def _mail(alert: Alert, to: list[str], sender: str, server: tuple[str, int, str], login: tuple[str, str]) -> str:
    mail = EmailMessage()
    mail["Subject"], mail["From"], mail["To"] = alert.headline[:200], sender, ", ".join(to)
    mail["Date"] = formatdate(localtime=False)
    # The same alert has the same id, so that a mail server can tell a second copy.
    mail["Message-ID"] = f"<{alert.id}@{parseaddr(sender)[1].rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(alert.text())
    host, port, tls = server
    safe = ssl.create_default_context()
    try:
        connection = (
            smtplib.SMTP_SSL(host, port, timeout=patience(), context=safe)
            if tls == "tls"
            else smtplib.SMTP(host, port, timeout=patience())
        )
        with connection as smtp:
            if tls == "starttls":
                smtp.starttls(context=safe)
            if login[0]:
                smtp.login(*login)
            refused = smtp.send_message(mail)
    except smtplib.SMTPResponseException as error:
        # A password that is refused may be quoted in the answer, so only its code is told.
        raise NotSent(f"the server answered {error.smtp_code}", passing=400 <= error.smtp_code < 500) from None
    except smtplib.SMTPRecipientsRefused as error:
        codes = sorted({code for code, _ in error.recipients.values()})
        raise NotSent(f"every recipient was refused ({', '.join(map(str, codes))})") from None
    except smtplib.SMTPException as error:
        raise NotSent(f"the server does not do what was asked ({type(error).__name__})") from None
    except ssl.SSLError:
        raise NotSent("the server's certificate does not hold, or it speaks no TLS") from None
    except TimeoutError:
        raise NotSent(f"no answer within {patience():g} s", passing=True) from None
    except OSError:
        raise NotSent("no connection", passing=True) from None
    return f"accepted, {len(refused)} of {len(to)} recipients refused" if refused else "accepted"
