"""The runbook says what the program does: every alert, every unit, every command and link."""

from __future__ import annotations

import re

from click import Group

from orchestration.alerting.kinds import kinds
from orchestration.cli import cli
from tests.conftest import PROJECT

RUNBOOK = PROJECT / "docs" / "operations.md"


def test_every_alert_stands_in_the_runbook_as_in_the_data() -> None:
    row = re.compile(r"\| `[a-z_]+` \| (info|warning|error|critical) ")
    rows = [line for line in RUNBOOK.read_text().splitlines() if row.match(line)]
    wanted = [(one.kind, one.severity, one.means, one.do.removesuffix(".")) for one in kinds().values()]
    assert rows == [f"| `{kind}` | {severity} | {means} | {do}. |" for kind, severity, means, do in wanted]


def test_every_command_in_the_runbook_is_one() -> None:
    text = RUNBOOK.read_text()
    named = set(re.findall(r"(?:^|`|bin/|again )oretrace ([a-z]+(?: test)?)(?=[ `\n])", text, re.MULTILINE))
    assert {"backup", "restore", "rollback", "verify", "alerts test"} <= named
    for words in named:
        command = cli
        for word in words.split():
            assert isinstance(command, Group)
            assert word in command.commands, words
            command = command.commands[word]


def test_every_unit_is_in_the_runbook() -> None:
    text = RUNBOOK.read_text()
    for unit in (PROJECT / "deploy" / "systemd").iterdir():
        assert re.search(rf"{unit.stem}\b", text), unit.name


def test_links_of_the_runbook_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", RUNBOOK.read_text()):
        assert (RUNBOOK.parent / target).exists(), target
    for named in re.findall(r"`((?:deploy|ingest|orchestration)/[\w./-]+)`", RUNBOOK.read_text()):
        assert (PROJECT / named).exists(), named
