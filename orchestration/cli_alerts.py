"""The commands ``oretrace alerts``: what was told, a test message, a look round.

What belongs here: words and options. What does not: the work (``alerting``).
"""

from __future__ import annotations

import sys
import time

import click

from ingest.errors import BadInput, OretraceError
from ingest.home import Home
from ingest.words import nearest
from orchestration.cli_options import json_option, print_json


@click.group(invoke_without_command=True)
@json_option("Every alert with all its fields, as JSON.")
@click.option("--last", type=click.IntRange(1), default=20, show_default=True, help="How many, newest first.")
@click.pass_context
def alerts(context: click.Context, as_json: bool, last: int) -> None:
    """List alerts, newest first, and how far each got; or test, check, show one.

    \b
    Ways out are configured by the environment:
      ORETRACE_ALERT_WEBHOOK      one or more addresses, separated by blanks
      ORETRACE_ALERT_EMAIL_TO     addresses, separated by commas; with ORETRACE_ALERT_EMAIL_FROM
      ORETRACE_SMTP_HOST          with _PORT, _USER, _PASSWORD, _TLS (starttls, tls or none)
    Each can come from a file instead: ORETRACE_SMTP_PASSWORD_FILE=/run/secrets/smtp.
    Example: oretrace alerts --last 5 --json
    """  # noqa: D301  # click's mark needs the character itself
    if context.invoked_subcommand is not None:
        return
    from orchestration.alerting.outbox import Outbox

    messages = Outbox(Home.from_environment()).messages()[:last]
    if as_json:
        print_json([message.to_dict() for message in messages])
        return
    if not messages:
        print("no alerts yet. Send one to yourself with: oretrace alerts test", file=sys.stderr)
    for message in messages:
        alert = message.alert
        waits = f"   waits for {', '.join(message.waiting)}" if message.waiting else ""
        print(f"{alert.id:<48} {alert.headline.removeprefix('[oretrace] ')}{waits}")


@alerts.command()
@click.argument("name", metavar="ID")
def show(name: str) -> None:
    """Show the alert ID (see: oretrace alerts), and what each way out answered.

    \b
    Example: oretrace alerts show 20261127T101500Z-run_failed
    """  # noqa: D301  # click's mark needs the character itself
    from orchestration.alerting.outbox import Outbox

    message = Outbox(Home.from_environment()).find(name)
    if message is None:
        known = [message.alert.id for message in Outbox(Home.from_environment()).messages()]
        near = f" Nearest: {', '.join(found)}." if (found := nearest(name, known)) else ""
        raise BadInput(f"there is no alert {name!r}.{near} List them with: oretrace alerts")
    print(message.alert.text())
    print()
    for way, delivery in message.deliveries.items():
        said = f" ({delivery['said']})" if delivery["said"] else ""
        print(f"{way}: {delivery['state']}{said}{' ' + delivery['at'] if delivery['at'] else ''}")


@alerts.command()
def test() -> None:
    """Send a test message by every way out; exit code 1 when one did not take it.

    \b
    Example: oretrace alerts test
    """  # noqa: D301  # click's mark needs the character itself
    from orchestration.alerting.backends import NotSent, backends
    from orchestration.alerting.message import Alert, now, published_now

    home = Home.from_environment()
    alert = Alert("test", "alerts", "a test message: alerts get here", now(), published=published_now(home))
    ways = backends(home)
    failed = 0
    for way in ways:
        begun = time.monotonic()
        try:
            said = way.send(alert)
            print(f"{way.name}: sent ({said}, {time.monotonic() - begun:.1f} s)")
        except NotSent as error:
            failed += 1
            print(f"{way.name}: NOT SENT ({error})")
    if len(ways) == 1:
        print("nobody is told: set ORETRACE_ALERT_WEBHOOK or ORETRACE_ALERT_EMAIL_TO (see: oretrace alerts --help)")
    if failed:
        raise OretraceError(f"{failed} of {len(ways)} ways out did not take the message.")


@alerts.command()
@click.option("--services", is_flag=True, help="Tell as well when Dagster's storage or daemon does not answer.")
def check(services: bool) -> None:
    """Look for dead runs, late publishers and unsent alerts now, as the sensor `watch` does every minute.

    For those who run `oretrace run` from cron, without Dagster's daemon; with --services for a timer that
    watches the daemon itself.

    \b
    Example: oretrace alerts check
    """  # noqa: D301  # click's mark needs the character itself
    from orchestration.alerting.services import look_from_outside
    from orchestration.alerting.watch import look_round
    from orchestration.instance import dagster_instance
    from orchestration.progress import shown

    home = Home.from_environment().create()
    if services:
        print("\n".join(look_from_outside(home)) or "nothing to tell")
        return
    with shown("looking round"), dagster_instance(home) as instance:
        found = look_round(home, instance)
    print("\n".join(found) or "nothing to tell")
