"""Workers: partitions run by several processes that take them from a broker (dagster-celery, RabbitMQ).

What belongs here: the broker's address, the settings that let no partition be lost, asking whether anybody is
there. What does not: which runs are handed to workers (``executor``), what a partition computes.

A worker acknowledges a partition when it is done. The broker hands one whose worker went away to another, at
once; so a partition may run twice, and is written whole or not at all.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

from ingest.errors import BadInput

if TYPE_CHECKING:
    from celery import Celery
    from dagster_celery.executor import CeleryExecutor

BROKER = "ORETRACE_BROKER"
QUEUE = "dagster"
DEATHS = 3
"""So many workers may die of a partition before it is taken for their murderer."""

PAUSE = 30.0
_SCHEMES = ("amqp", "amqps", "pyamqp")
SETTINGS: dict[str, Any] = {
    "task_acks_late": True,
    # The process of a partition was killed, but not the worker it belongs to.
    "task_reject_on_worker_lost": True,
    "worker_cancel_long_running_tasks_on_connection_loss": True,
    # One at a time: what waits behind a long partition could be with another worker.
    "worker_prefetch_multiplier": 1,
    "broker_connection_retry_on_startup": True,
    "broker_connection_timeout": 5,
    "worker_proc_alive_timeout": 60.0,
}


def broker_url(given: str | None = None) -> str | None:
    """Return the broker's address: the one given, else ``ORETRACE_BROKER``; None where there is none.

    Raises:
        BadInput: it is no address of a broker, or the packages for it are not installed.
    """
    url = given or os.environ.get(BROKER) or None
    if url is None:
        return None
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES or not parts.hostname:
        raise BadInput(
            f"{BROKER}={_hidden(url)}: expected amqp://user:password@host:5672/ (RabbitMQ). Redis is not taken: it "
            "gives back what a killed worker held only after a time-out."
        )
    if importlib.util.find_spec("dagster_celery") is None:
        raise BadInput("workers need packages that are not installed: pip install 'oretrace[workers]'")
    return url


def _hidden(url: str) -> str:
    """Return an address without its password."""
    parts = urlsplit(url)
    return url.replace(f":{parts.password}@", ":***@") if parts.password else url


def executor(url: str) -> CeleryExecutor:
    """Return Dagster's executor that hands steps to the workers of a broker."""
    from celery.exceptions import DuplicateTaskNameWarning
    from dagster._core.execution.retries import RetryMode
    from dagster_celery.executor import CeleryExecutor

    # dagster-celery registers its task anew with every step that it hands out.
    warnings.filterwarnings("ignore", category=DuplicateTaskNameWarning)
    return CeleryExecutor(retries=RetryMode.DISABLED, broker=url, backend="rpc://", config_source=SETTINGS)


def celery_app(url: str) -> Celery:
    """Return the Celery application that workers run and the executor talks to."""
    from dagster_celery.make_app import make_app

    app: Celery = make_app(executor(url).app_args())
    return app


def present(url: str) -> list[str]:
    """Return the names of the workers that answer.

    Raises:
        BadInput: the broker does not answer, or not to us.
    """
    app = celery_app(url)
    with app.connection_for_read() as connection:
        try:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=10)
        except Exception as error:  # of the socket, of the protocol, refused credentials: one type each
            raise BadInput(
                f"no broker at {_hidden(url)} ({str(error).strip() or type(error).__name__}). Start RabbitMQ there, or "
                f"give its address with --broker or {BROKER}."
            ) from None
    answers = app.control.ping(timeout=3.0) or []
    return sorted(name for answer in answers for name in answer)


def check_present(url: str) -> list[str]:
    """Return the names of the workers.

    Raises:
        BadInput: the broker does not answer, or no worker does.
    """
    found = present(url)
    if not found:
        raise BadInput(f"no worker listens at {_hidden(url)}; start one or more: oretrace worker --broker ADDRESS")
    return found


@contextmanager
def watched(url: str, say: Callable[[str], object]) -> Iterator[None]:
    """Say so when no worker is left while partitions wait; they wait on."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(PAUSE):
            try:
                alone = not present(url)
            except BadInput as error:
                say(f"  {error}")
                continue
            if alone and not over.is_set():
                say("  no worker answers; what is left waits for one: oretrace worker")

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()


def worker_command(processes: int, name: str | None = None) -> list[str]:
    """Return the command of a worker: its application reads the address from the environment."""
    return [
        *(sys.executable, "-m", "celery", "--app", "orchestration.worker_app", "--quiet", "worker"),
        *("--queues", QUEUE, "--concurrency", str(processes), "--prefetch-multiplier", "1"),
        *("--hostname", f"{name or f'oretrace-{uuid4().hex[:6]}'}@%h", "--loglevel", "INFO"),
        # Workers need not know of one another.
        *("--without-gossip", "--without-mingle"),
    ]
